"""Single-turn controls of a benchmark: the same question in one message, without a conversation.

How much lower a model scores in a conversation is the cost of having it in turns (Kwan et al. 2024,
MT-Eval; Laban et al. 2025).
"""

from collections.abc import Sequence

from parrot_core.benchmarks.benchmark import Benchmark, Question, load_benchmark
from parrot_core.errors import SourceError
from parrot_core.recipe import Evaluate

CONCAT = "concat"
_LEAD = {
    "en": (
        "I wrote the following messages one after the other, before you could answer any of them. "
        "Take them all into account and answer the last one."
    ),
    "zh": "下面几条消息是我依次写下的，当时您还没有机会回答。请结合全部内容，回答最后一条。",
}


def single_turn_controls(benchmark: Benchmark, settings: Evaluate) -> Benchmark:
    """The single-turn equivalents of the turns that a run asks; none where the recipe wants none.

    Each has the id of its question and the number of its turn. ``concat`` makes one of all
    queries so far, as Laban et al. 2025 do; it has none of first turns, which stand alone already.
    A file's are found by their ids: that of the turn, or that of the session and the turn
    (``<session>#<turn>`` or ``<session>_<turn>``), as in MT-Eval.

    Raises:
        SourceError: the file can't be read, or holds an equivalent of no turn that is asked.
    """
    if settings.single_turn is None:
        return Benchmark((), "")
    if settings.single_turn == CONCAT:
        return Benchmark(_concatenated(benchmark.questions), "")
    found = load_benchmark(settings.single_turn)
    known = {question.question_id: question for question in found.questions}
    controls = tuple(
        _control(question, turn, known[name].turns[0])
        for question in benchmark.questions
        for turn, id in enumerate(question.turn_ids, 1)
        if question.is_asked(turn)
        for name in _names(question.question_id, id)
        if name in known and len(known[name].turns) == 1
    )
    if not controls:
        raise SourceError(
            f"{settings.single_turn}: no single-turn equivalent of a turn of "
            f"{settings.questions}; expected ids of its turns, as in MT-Eval"
        )
    return Benchmark(controls, found.sha256)


def _names(session: str, turn: str) -> tuple[str, ...]:
    return (turn, f"{session}#{turn}", f"{session}_{turn}")


def _concatenated(questions: Sequence[Question]) -> tuple[Question, ...]:
    controls = []
    for question in questions:
        lead = _LEAD.get(question.language, _LEAD["en"])
        for turn in range(2, len(question.turns) + 1):
            if question.is_asked(turn):
                listed = (f"{n}. {text}" for n, text in enumerate(question.turns[:turn], 1))
                controls.append(_control(question, turn, "\n\n".join([lead, *listed])))
    return tuple(controls)


def _control(question: Question, turn: int, text: str) -> Question:
    return question.model_copy(
        update={
            "turns": (text,),
            "reference": (question.reference_of(turn),),
            "given": (),
            "turn_ids": (),
            "asked": (),
            "first_turn": turn,
        }
    )
