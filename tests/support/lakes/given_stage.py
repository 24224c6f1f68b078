"""A stage that publishes rows as a test gives them."""

from typing import ClassVar

from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import Stage


class Given(Stage):
    """Publishes rows."""

    unit: ClassVar[str] = "session"

    def __init__(self, name, output, rows):
        self.name, self.output, self.given = name, output, rows

    def plan(self, run):
        return [ShardPlan(0)]

    def process(self, work):
        work.expect(len(self.given))
        for row in self.given:
            work.emit(row)
