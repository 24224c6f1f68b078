"""The preference pairs of each strategy in one table, for reports and dashboard."""

from parrot_core.monitor.stage_facts import strategy_facts
from parrot_core.monitor.state import StageState
from parrot_core.text.text_table import Grid
from parrot_core.text.wording import count

NOTE = (
    "Far from 50 %, length alone tells the sides apart. So does style where a classifier that sees "
    "the answer alone has an AUC far above 0.5: a model then learns style, not context."
)
_HEADER = (
    "negatives",
    "asked",
    "pairs",
    "cut",
    "ask back",
    "words, chosen",
    "words, rejected",
    "chosen longer",
    "AUC, answer alone",
    "history adds to margin",
)


def pairs_grid(stage: StageState | None) -> Grid | None:
    """None where the stage that makes pairs has said nothing of them."""
    if stage is None:
        return None
    rows = tuple(
        (
            each.strategy,
            count(each.asked),
            count(each.pairs),
            _share(each.truncated),
            _share(each.asked_back),
            _number(each.chosen_words, ".0f"),
            _number(each.rejected_words, ".0f"),
            _share(each.chosen_longer),
            _number(each.answer_alone, ".2f"),
            _number(each.margin_gain, "+.2f"),
        )
        for each in strategy_facts(stage)
    )
    return Grid("Preference pairs by strategy", _HEADER, rows) if rows else None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
