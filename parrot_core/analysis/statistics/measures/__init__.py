"""The offline measures, one a file: a measure sees each session once, then says what it found.

Adding one touches its file, its test and its line in :func:`offline_measures`.
"""

from parrot_core.analysis.statistics.measures.context import ContextMeasure
from parrot_core.analysis.statistics.measures.distinct import DistinctMeasure
from parrot_core.analysis.statistics.measures.lengths import Lengths
from parrot_core.analysis.statistics.measures.measure import Measure
from parrot_core.analysis.statistics.measures.self_rouge import SelfRouge
from parrot_core.analysis.statistics.measures.topics import TopicShifts
from parrot_core.analysis.statistics.measures.turns import Turns
from parrot_core.analysis.statistics.tokens import Counter

__all__ = ["Measure", "offline_measures"]


def offline_measures(seed: int, counter: Counter) -> tuple[Measure, ...]:
    """Fresh measures, in the order in which their figures are shown."""
    return (
        Turns(seed),
        ContextMeasure(seed),
        SelfRouge(seed),
        TopicShifts(seed),
        Lengths(seed, counter),
        DistinctMeasure(seed),
    )
