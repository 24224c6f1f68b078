"""What the trainers are fed, looked at token by token in this process."""

import pytest

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import TrainAsk, TrainSft
from parrot_core.stages.training.job import TrainingJob
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

SESSIONS = [
    [
        {"role": "user", "content": "And in winter?"},
        {"role": "assistant", "content": "It is colder."},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "The days are short."},
    ],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?"},
        {"role": "assistant", "content": "A parrot, which listens, and repeats."},
    ],
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize(
    ("kind", "settings", "learned"),
    [
        ("ask", TrainAsk(base="x", batch_size=2), ["And in winter?|Why?|", "What is it?|"]),
        (
            "sft",
            TrainSft(base="x", batch_size=2),
            [
                "It is colder.|The days are short.|",
                "A parrot, which listens, and repeats.|",
            ],
        ),
    ],
)
def test_no_label_lies_on_another_role_or_on_padding(tmp_path, model, kind, settings, learned):
    from transformers import AutoTokenizer

    from parrot_core.stages.training.examples import prepare_tokenizer
    from parrot_core.stages.training.schedule import Schedule
    from parrot_core.stages.training.trainers import make_trainer

    job = TrainingJob(
        kind=kind, model=str(model), folder=tmp_path, settings=settings, seed=1, data_sha256=""
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    prepare_tokenizer(job, tokenizer)
    rows = [{"messages": messages} for messages in SESSIONS]
    trainer = make_trainer(job, tokenizer, rows, rows, Schedule.of(settings, 2, 1), [])
    batch = next(iter(trainer.get_eval_dataloader()))
    found = []
    for ids, labels, mask in zip(
        batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
    ):
        chosen = labels != -100
        assert (labels[chosen] == ids[chosen]).all()
        assert mask[chosen].all()
        found.append(tokenizer.decode(labels[chosen]).replace("<|im_end|>", "|"))
    assert found == learned
    assert (batch["attention_mask"] == 0).any()


def test_scoring_labelled_positions_alone_gives_trls_figures_and_gradients(model, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from parrot_core.stages.training import cpu_head

    monkeypatch.setattr(cpu_head, "ROWS_AT_ONCE", 5)
    names = ("log_probs", "entropy", "is_top1", "mean_logits")
    ids = torch.randint(0, 1000, (2, 20), generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[:, :9] = -100
    found = []
    for add in (add_fused_lm_head, cpu_head.add_head):
        network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        add(network, outputs=names)
        out = network(input_ids=ids, labels=labels, fused_lm_head=True)
        out.loss.backward()
        found.append(
            [getattr(out, name) for name in names] + [p.grad for p in network.parameters()]
        )
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours.float(), theirs.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("packing", [False, True])
def test_sequences_whose_labels_were_cut_away_are_refused_not_learned_as_loss_zero(
    tmp_path, model, packing
):
    from transformers import AutoTokenizer

    from parrot_core.stages.training.examples import prepare_tokenizer
    from parrot_core.stages.training.schedule import Schedule
    from parrot_core.stages.training.trainers import make_trainer
    from parrot_core.stages.training.worker import check_labels

    settings = TrainSft(base="x", batch_size=2, max_length=64, packing=packing)
    job = TrainingJob(
        kind="sft", model=str(model), folder=tmp_path, settings=settings, seed=1, data_sha256=""
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    prepare_tokenizer(job, tokenizer)
    late = [{"role": "user", "content": "What is it? " * 60}, SESSIONS[0][-1]]
    rows = [{"messages": messages} for messages in (*SESSIONS, late)]
    trainer = make_trainer(job, tokenizer, rows, [], Schedule.of(settings, 3, 1), [])
    with pytest.raises(TrainingFailed, match=r"1 of 3 train sequences hold no token to learn"):
        check_labels(trainer, {"train": 3, "heldout": 0})
