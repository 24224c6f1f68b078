"""The three stages that train: Parrot-Ask, Parrot-Chat SFT, Parrot-Chat DPO."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from parrot_core.errors import TrainingFailed
from parrot_core.lake.metrics import TrainingMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.models.references import resolve_model
from parrot_core.recipe import ALL_STRATEGIES, Recipe, TrainAsk, TrainDpo, TrainSft
from parrot_core.stages.base import Row, ShardWork, Stage
from parrot_core.stages.forecasting import MESSAGE_TOKENS, Examples, Sizes
from parrot_core.stages.training.checkpoints import carried_to_lake, identity_of, resume_from_lake
from parrot_core.stages.training.choice import (
    Candidate,
    Choice,
    ChoiceLimits,
    Part,
    choose,
    parts_of,
)
from parrot_core.stages.training.job import Kind, TrainingJob
from parrot_core.stages.training.joining import JoinedTraining
from parrot_core.stages.training.launch import Figures, node_in, prepare, run_training
from parrot_core.stages.training.summary import downsampled
from parrot_core.text.control_tokens import END_OF_SESSION

logger = logging.getLogger(__name__)

Launch = Callable[[TrainingJob, Callable[[Figures], None]], Figures]

PAPER_SESSIONS = 70_000
"""ShareGPT sessions that the paper trained on (§4.1.3), where the recipe sets no limit."""


class TrainStage(Stage):
    """What the trainings share: choose examples, run the process, publish the model."""

    kind: ClassVar[Literal["dataset", "model"]] = "model"
    metrics = TrainingMetrics
    job_kind: ClassVar[Kind]

    def __init__(self, launch: Launch = run_training) -> None:
        """Make the stage; ``launch`` runs a job (a test may pass another)."""
        self._launch = launch

    @abstractmethod
    def settings(self, run: Run) -> TrainAsk | TrainSft | TrainDpo:
        """The stage's part of the recipe."""

    @abstractmethod
    def base(self, run: Run) -> str:
        """Reference of the model that the training starts from."""

    @abstractmethod
    def candidate(self, row: Row, run: Run) -> Candidate:
        """What a row contributes."""

    @abstractmethod
    def heldout_fraction(self, run: Run) -> float:
        """Share of groups to hold out; 0 where the data's split says it."""

    def joins(self, run: Run) -> JoinedTraining | None:
        """Where a launcher says that this is another node of the training than the first one."""
        settings = self.settings(run)
        if settings.devices.nodes == 1:
            return None
        job = TrainingJob(
            kind=self.job_kind,
            model="",  # this, and the examples, the first node tells
            folder=run.work_dir.resolve() / self.name,
            settings=settings,
            seed=run.recipe.seed,
            data_sha256="",
        )
        node = node_in(job)
        if node is None or node.rank == 0:
            return None
        apart = job.folder / f"node-{node.rank}"  # from the first one's, on a shared volume
        return JoinedTraining(job.model_copy(update={"folder": apart}), node)

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard, which reads every row of the dataset: a training can't be divided."""
        name = self.reads(run)[0]
        version = run.version_of(name)
        files = run.lake.dataset(name, version).manifest.files
        slices = tuple(
            Slice(name, version, file=i, start=0, rows=entry.rows) for i, entry in enumerate(files)
        )
        return (ShardPlan(0, slices),)

    def process(self, work: ShardWork) -> None:
        """Train, report the figures and publish the model."""
        run = work.run
        job, choice = self._prepare(work)
        kept, identity = work.checkpoints(), identity_of(job, self.base(run))
        with ExitStack() as stack:
            if job.settings.checkpoints_in_lake:
                prepare(job)
                resume_from_lake(job, kept, identity)
                stack.enter_context(carried_to_lake(job, kept, identity))
            figures = self._launch(job, lambda line: _pass_on(work, line))
        examples = accounts(choice, figures)
        asked = job.settings.max_examples
        if asked is not None and examples["trained"] < asked:
            work.warn(
                f"trained on {examples['trained']:,} {self.unit}s, fewer than the {asked:,} of "
                "max_examples: there are no more"
            )
        work.metric("examples", examples)
        for name, value in figures.items():
            if name not in ("examples", "curve"):
                work.metric(name, value)
        work.metric("curve", downsampled(figures["curve"]))
        work.metric("base", self.base(run))
        if examples["heldout"] == 0:
            work.warn("no held-out example: the figures do not show what the model learned")
        work.publish_model(job.model_folder)

    def parts(self, run: Run) -> dict[str, Part]:
        """Which rows this run's training learns from and which it holds out, by the row's id.

        Computed from data, recipe and seed, before or after the training. Rows that neither
        trained nor were held out are missing.
        """
        name = self.reads(run)[0]
        rows = run.lake.dataset(name, run.version_of(name)).rows()
        candidates = (self.candidate(row, run) for row in rows)
        return parts_of(candidates, self._limits(run), run.recipe.seed)

    def _limits(self, run: Run) -> ChoiceLimits:
        settings = self.settings(run)
        return ChoiceLimits(
            settings.max_examples, settings.eval_examples, self.heldout_fraction(run)
        )

    def _prepare(self, work: ShardWork) -> tuple[TrainingJob, Choice]:
        run, settings = work.run, self.settings(work.run)
        folder = run.work_dir / self.name
        folder.mkdir(parents=True, exist_ok=True)
        choice = choose(
            (self.candidate(row, run) for row in work.rows()),
            {"train": folder / "train.jsonl", "heldout": folder / "heldout.jsonl"},
            self._limits(run),
            run.recipe.seed,
        )
        if not choice.written["train"]:
            why = ", ".join(f"{n} {reason}" for reason, n in sorted(choice.left_out.items()))
            raise TrainingFailed(
                f"{self.name}: none of the {choice.rows} rows of '{self.reads(run)[0]}' can be "
                f"trained on ({why or 'the dataset is empty'})"
            )
        job = TrainingJob(
            kind=self.job_kind,
            model=str(resolve_model(self.base(run), run)),
            folder=folder.resolve(),
            settings=settings,
            seed=run.recipe.seed,
            data_sha256=choice.sha256,
        )
        return job, choice


def _source_of(row: Row) -> str:
    """The name of a row's source: an id begins with it, or with it and one of its files."""
    return str(row.get("source") or row["id"].partition(":")[0].partition("/")[0])


class SupervisedStage(TrainStage):
    """What the two trainings on sessions share: the recipe names the model they start from."""

    @abstractmethod
    def settings(self, run: Run) -> TrainAsk | TrainSft:
        """The stage's part of the recipe."""

    def base(self, run: Run) -> str:
        """The recipe's base model."""
        return self.settings(run).base or ""

    def lacks(self, recipe: Recipe) -> str:
        """A base model."""
        (name,) = self.settings_read or ()
        return "" if getattr(recipe, name).base else f"{name}.base"


class TrainAskStage(SupervisedStage):
    """Parrot-Ask: learns to write the user's turns (paper §3.1)."""

    name = "train-ask"
    settings_read = ("train_ask",)
    summary = "Parrot-Ask, with the loss on user tokens."
    inputs = ("conversations",)
    output = "parrot-ask"
    unit = "session"
    job_kind = "ask"

    def forecast(self, sizes: Sizes) -> Examples:
        settings = self.settings(sizes.run)
        return Examples(
            settings,
            self.base(sizes.run),
            sizes.rows("conversations", PAPER_SESSIONS),
            sizes.basis.session_turns.value * sizes.turn_tokens,
        )

    def settings(self, run: Run) -> TrainAsk:
        """``train_ask`` of the recipe."""
        return run.recipe.train_ask

    def heldout_fraction(self, run: Run) -> float:
        """Ingest has held sessions out already."""
        return 0.0

    def candidate(self, row: Row, run: Run) -> Candidate:
        """Training sessions train, held-out ones measure, seeds are for synthesis."""
        if row["split"] not in ("train", "heldout"):
            return Candidate(row["id"], left_out=f"split_{row['split']}")
        if not fnmatchcase(_source_of(row), run.recipe.train_ask.source):
            return Candidate(row["id"], left_out="other_source")
        messages = list(row["messages"])
        if run.recipe.train_ask.end_mark and _ends_whole(row):
            messages.append({"role": "user", "content": END_OF_SESSION})
        return Candidate(row["id"], part=row["split"], example={"messages": messages})


def _ends_whole(row: Row) -> bool:
    """Whether a session is known to have ended with its last answer."""
    return bool(row.get("ends_session")) and row["messages"][-1]["role"] == "assistant"


class TrainSftStage(SupervisedStage):
    """Parrot-Chat SFT: learns the assistant's turns of the synthesized dialogues (paper §3.2).

    Or of real conversations, for the comparison of the paper's Table 4.
    """

    name = "train-sft"
    settings_read = ("train_sft",)
    summary = "Parrot-Chat, with the loss on assistant tokens."
    inputs = ("parrot",)
    output = "parrot-sft"
    unit = "session"
    job_kind = "sft"

    def forecast(self, sizes: Sizes) -> Examples:
        settings = self.settings(sizes.run)
        expected = sizes.recipe.seeds.limit * sizes.basis.kept.value
        turns = min(sizes.turns, settings.max_turns or sizes.turns)
        return Examples(
            settings,
            self.base(sizes.run),
            sizes.rows("parrot", expected),
            turns * sizes.turn_tokens,
        )

    def settings(self, run: Run) -> TrainSft:
        """``train_sft`` of the recipe."""
        return run.recipe.train_sft

    def heldout_fraction(self, run: Run) -> float:
        return run.recipe.train_sft.heldout_fraction

    def reads(self, run: Run) -> Sequence[str]:
        return (run.recipe.train_sft.data,)

    def candidate(self, row: Row, run: Run) -> Candidate:
        """A session, of which the recipe may keep only the first turns (Table 5)."""
        settings = run.recipe.train_sft
        if settings.data == "conversations" and row["split"] != settings.split:
            return Candidate(row["id"], left_out=f"split_{row['split']}")
        if not fnmatchcase(_source_of(row), settings.source):
            return Candidate(row["id"], left_out="other_source")
        messages = first_turns(with_cuts(row), settings.max_turns)
        group = row.get("group") or ""
        return Candidate(row["id"], group=group, example={"messages": messages})


class TrainDpoStage(TrainStage):
    """Parrot-Chat DPO: from the SFT model, on CaPO's pairs (paper §3.3)."""

    name = "train-dpo"
    settings_read = ("train_dpo",)
    summary = "DPO on the preference pairs."
    inputs = ("preferences", "parrot-sft")
    output = "parrot-chat"
    unit = "pair"
    job_kind = "dpo"

    def forecast(self, sizes: Sizes) -> Examples:
        """Pairs, each with half a session's history."""
        pairs = sizes.recipe.select.limit * len(sizes.recipe.train_dpo.strategies)
        longest = max(
            sizes.recipe.synthesize.answer.max_tokens, sizes.recipe.capo.sampling.max_tokens
        )
        return Examples(
            sizes.recipe.train_dpo,
            self.base(sizes.run),
            sizes.rows("preferences", pairs),
            (sizes.turns + 1) / 2 * sizes.turn_tokens,
            longest + round(MESSAGE_TOKENS),
        )

    def settings(self, run: Run) -> TrainDpo:
        """``train_dpo`` of the recipe."""
        return run.recipe.train_dpo

    def base(self, run: Run) -> str:
        """This run's SFT model, which is the reference too."""
        return "lake:parrot-sft"

    def heldout_fraction(self, run: Run) -> float:
        return run.recipe.train_dpo.heldout_fraction

    def candidate(self, row: Row, run: Run) -> Candidate:
        """A pair, if its strategy is trained on; the pairs of a query stay together."""
        strategies = run.recipe.train_dpo.strategies
        if row["strategy"] in ALL_STRATEGIES and row["strategy"] not in strategies:  # else imported
            return Candidate(row["id"], left_out=f"strategy_{row['strategy']}")
        example = {
            "prompt": row["prompt"],
            "chosen": [_answer(row, "chosen")],
            "rejected": [_answer(row, "rejected")],
        }
        return Candidate(row["id"], group="/".join(row["source_ids"]), example=example)


COUNTED = ("sequences", "clipped", "turns", "turns_cut", "messages_cut")
"""What is counted of the examples used, over both parts."""

STAGES: tuple[type[TrainStage], ...] = (TrainAskStage, TrainSftStage, TrainDpoStage)


def with_cuts(row: Row) -> list[dict[str, Any]]:
    """A dialogue's messages; those whose writer a limit stopped are marked ``cut``."""
    origins = row.get("provenance") or [None] * len(row["messages"])
    return [
        {**message, "cut": True} if origin and origin["finish_reason"] == "length" else {**message}
        for message, origin in zip(row["messages"], origins, strict=True)
    ]


def _answer(row: Row, side: Literal["chosen", "rejected"]) -> dict[str, Any]:
    """A pair's answer, marked ``cut`` if a limit stopped its writer."""
    answer = dict(row[side][0])
    return {**answer, "cut": True} if row.get(f"{side}_finish_reason") == "length" else answer


def first_turns(messages: Sequence[Mapping[str, str]], turns: int | None) -> list[Any]:
    """The messages of the first so many turns (a turn begins with a user query)."""
    if turns is None:
        return list(messages)
    starts = [i for i, message in enumerate(messages) if message["role"] == "user"]
    return list(messages[: starts[turns]] if len(starts) > turns else messages)


def accounts(choice: Choice, figures: Figures) -> dict[str, Any]:
    """What became of every row: ``rows`` = ``trained`` + ``heldout`` + all of ``left_out``.

    Among those trained on and held out, ``clipped`` counts the ones that lost whole turns,
    ``turns_cut`` those turns, out of ``turns``; ``messages_cut`` are learned without an end.
    """
    train, heldout = figures["examples"]["train"], figures["examples"]["heldout"]
    left_out = dict(choice.left_out)
    for part in (train, heldout):
        for reason, number in part["dropped"].items():
            left_out[reason] = left_out.get(reason, 0) + number
    result = {
        "rows": choice.rows,
        "trained": train["used"],
        "heldout": heldout["used"],
        "left_out": dict(sorted(left_out.items())),
        **{name: train[name] + heldout[name] for name in COUNTED},
    }
    if result["trained"] + result["heldout"] + sum(left_out.values()) != choice.rows:
        raise TrainingFailed(f"the training's examples don't add up to the rows read: {result}")
    return result


def _pass_on(work: ShardWork, line: Figures) -> None:
    """Hand a line of progress to the run: steps done, and the figures of the last one."""
    if "warning" in line:
        logger.warning("%s", line["warning"])
    if "step" not in line:
        return
    figures = {
        name.replace("rewards/", ""): float(value)
        for name, value in line.items()
        if name not in ("step", "total_steps")
    }
    work.progress(int(line["step"]), int(line["total_steps"]), **figures)
