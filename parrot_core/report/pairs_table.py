"""The preference pairs of each strategy in one table, for reports and dashboard."""

from parrot_core.lake.metrics import PreferenceMetrics, Shares
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
    found = PreferenceMetrics.read(stage.metrics)
    rows = tuple(
        (
            strategy,
            count(asked),
            count(found.pairs.get(strategy, 0)),
            *(
                _shown(found.shares.get(of, {}), strategy, ".0%")
                for of in ("truncated", "asked_back")
            ),
            *(
                _shown(found.words.get(side, {}), strategy, ".0f")
                for side in ("chosen", "rejected")
            ),
            _shown(found.chosen_longer, strategy, ".0%"),
            _shown(found.answer_alone, strategy, ".2f"),
            _shown(found.margin_gain, strategy, "+.2f"),
        )
        for strategy, asked in found.asked.items()
    )
    return Grid("Preference pairs by strategy", _HEADER, rows) if rows else None


def _shown(values: Shares, strategy: str, form: str) -> str:
    value = values.get(strategy)
    return "-" if value is None else format(value, form)
