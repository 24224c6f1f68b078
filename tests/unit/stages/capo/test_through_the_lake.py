from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from parrot_core.execution.preview import preview
from parrot_core.execution.runs import begin_run
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import ShardWork, Stage
from parrot_core.stages.capo.stage import CapoStage, SelectStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive
from tests.support.servers.fake_api import Reply, canonical, serving

QUERIES = ("What is a comet?", "Why does it have a tail?", "What is the capital of Peru?", "Why?")


class Sessions(Stage):
    """Publishes six sessions of four turns as if they had been filtered."""

    name: ClassVar[str] = "filter"
    output: ClassVar[str] = "parrot"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        return [ShardPlan(0)]

    def process(self, work: ShardWork) -> None:
        work.expect(6)
        for number in range(6):
            messages = [
                {"role": role, "content": text}
                for query in QUERIES
                for role, text in (("user", query), ("assistant", f"Chosen answer to: {query}"))
            ]
            work.emit(
                {
                    "id": f"s{number}",
                    "source_ids": [f"seed{number}"],
                    "language": "en",
                    "messages": messages,
                    "provenance": [],
                    "n_turns": 4,
                    "end_reason": "max_turns",
                }
            )


def reply(_: int, body: dict[str, Any]) -> Reply:
    asked = body["messages"][-1]["content"]
    if "Reply with only YES or NO" in asked:
        return Reply("NO" if "New message: Why?" in asked else "YES")
    if "Reply with only its number" in asked:
        return Reply("1")
    return Reply("a bicycle" if "Guess what" in asked else f"Wrong, {len(body['messages'])}.")


def test_pairs_lead_back_to_their_session_and_both_accounts_close(tmp_path: Path) -> None:
    with serving(reply) as api:
        recipe = minimal_recipe(
            str(tmp_path),
            api.base_url,
            select={"judge": "judge", "limit": 5, "sessions_per_shard": 4},
            capo={"queries_per_shard": 3},
        )
        run = begin_run(recipe)
        drive(run, Sessions())
        selected = drive(run, SelectStage())
        pairs = drive(run, CapoStage())
        requests = len(api.requests)
        drive(run, SelectStage())
        drive(run, CapoStage())
        assert len(api.requests) == requests  # all of it is done and kept

    assert selected.accounting.rows_in == 18
    assert selected.accounting.rows_out == 5
    assert selected.accounting.rejected["self_contained"] == 6
    assert selected.metrics["cues"] == {"pronoun": 6, "ellipsis": 6}
    assert selected.metrics["judge"]["yes"] == 5
    queries = {row["id"]: row for row in run.lake.dataset("context-queries", "test").rows()}
    assert {row["query"] for row in queries.values()} == {"Why does it have a tail?"}

    assert (pairs.accounting.unit, pairs.accounting.rows_in) == ("pair", 15)
    assert pairs.accounting.rows_out == 10
    assert pairs.accounting.rejected == {"no_other_matter": 5}  # all are of turn 2
    assert pairs.metrics["yield"] == {"neglect": 1, "hallucination": 1, "misunderstanding": 0}
    rows = list(run.lake.dataset("preferences", "test").rows())
    assert Counter(row["strategy"] for row in rows) == {"neglect": 5, "hallucination": 5}
    for row in rows:
        assert queries[row["source_ids"][0]]["source_ids"][0].startswith("s")
        assert row["prompt"][-1] == {"role": "user", "content": "Why does it have a tail?"}
        assert row["chosen"] != row["rejected"]
    assert pairs.usage["answerer"].requests == 5 * (1 + 2)  # a misunderstanding costs nothing here


class Unseen:
    """A viewer that nobody looks at."""

    def begins(self, row: Any) -> None: ...
    def said(self, sample: str, engine: str, completion: Any) -> None: ...
    def made(self, row: Any) -> None: ...
    def refused(self, reject: Any) -> None: ...


def test_verdicts_and_negatives_that_were_previewed_are_not_bought_again(tmp_path: Path) -> None:
    with serving(reply) as api:
        settings = {"judge": "judge", "proof_queries": 0}
        run = begin_run(minimal_recipe(str(tmp_path), api.base_url, select=settings))
        drive(run, Sessions())
        verdicts = preview(run, "select", 2, Unseen())
        assert {row["query"] for row in verdicts.rows} == {"Why does it have a tail?"}
        assert verdicts.bought == len(api.requests) == 4
        drive(run, SelectStage())
        assert len(api.requests) == 12  # six sessions with two cues each
        negatives = preview(run, "capo", 1, Unseen())
        assert len(negatives.rows) + len(negatives.rejects) == 3  # one a strategy
        bought = len(api.requests) - 12
        assert negatives.bought == bought > 2
        drive(run, CapoStage())
        sent = Counter(canonical(body) for body in api.requests[12:])
        assert set(sent.values()) == {1}
