"""Every chat template that TRL trains is read, proved and masked as TRL itself masks it."""

import pytest

from parrot_core.errors import UserError
from parrot_core.stages.training.markup import markup_of
from parrot_core.stages.training.own_template import DAY
from parrot_core.stages.training.templates import chat_template
from tests.support.training.masks import expected, runs
from tests.support.training.tiny_model import CHATML, build_tiny_tokenizer
from tests.support.training.trl_templates import NAMES, source, tokenizer_of

SESSION = [
    {"role": "user", "content": "What is it?"},
    {"role": "assistant", "content": "A parrot.\n\n- It talks."},
    {"role": "user", "content": "And in winter?"},
    {"role": "assistant", "content": "The same."},
    {"role": "user", "content": "Thanks! 12345"},
    {"role": "assistant", "content": "好的, yes."},
]
BRIEF = {"role": "system", "content": "Be brief."}
both_roles = pytest.mark.parametrize("learned", ["user", "assistant"])
all_templates = pytest.mark.parametrize("name", NAMES)


def rendered(tokenizer, template, messages):
    """Ids, mask and text."""
    encoded = tokenizer.apply_chat_template(
        messages,
        chat_template=template,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids = encoded["input_ids"]
    return ids, list(map(bool, encoded["assistant_masks"])), tokenizer.decode(ids)


def blocks(messages):
    return [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]


def test_trl_has_twenty_templates_to_train_with():
    assert len(NAMES) >= 20


@all_templates
@both_roles
def test_the_learned_roles_turns_carry_the_loss_each_with_one_end_and_nothing_after(name, learned):
    tokenizer = tokenizer_of(name)
    markup = markup_of(tokenizer, learned)
    template = chat_template(markup, learned)
    sessions = [SESSION, SESSION[:1], SESSION[:2], SESSION[:5]]
    if "system" in markup.turns:
        sessions += [[BRIEF, *session] for session in sessions]
    stop = tokenizer.convert_tokens_to_ids(markup.stop)
    for session in sessions:
        ids, mask, _ = rendered(tokenizer, template, session)
        end = markup.turns[learned].end
        assert runs(tokenizer, ids, mask) == expected(session, learned, end)
        said = [id for id, learnt in zip(ids, mask, strict=True) if learnt]
        assert said.count(stop) == sum(m["role"] == learned for m in session)
        assert not said or said[-1] == stop


@all_templates
@both_roles
def test_a_turn_is_asked_for_with_the_tokens_that_training_saw(name, learned):
    tokenizer = tokenizer_of(name)
    template = chat_template(markup_of(tokenizer, learned), learned)

    def ids(messages, prompt):
        return tokenizer.apply_chat_template(
            messages, chat_template=template, add_generation_prompt=prompt, return_dict=True
        )["input_ids"]

    whole = ids(SESSION, False)
    asked = 0
    for turn in range(1, len(SESSION)):
        if SESSION[turn]["role"] == learned:
            prompt = ids(SESSION[:turn], True)
            assert whole[: len(prompt)] == prompt
            asked += 1
        before = ids(SESSION[:turn], False)
        assert whole[: len(before)] == before
    assert asked >= 2


@all_templates
def test_there_is_one_beginning_of_the_text(name):
    tokenizer = tokenizer_of(name)
    markup = markup_of(tokenizer, "assistant")
    ids, _, _ = rendered(tokenizer, chat_template(markup, "assistant"), SESSION)
    own = tokenizer.apply_chat_template(
        blocks(SESSION) if asks_blocks(name) else SESSION,
        return_dict=True,
    )["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == own.count(tokenizer.bos_token_id) <= 1


def last_ends_alike(ours, theirs):
    """Both texts, without what either writes after the last answer."""
    reply = SESSION[-1]["content"]
    return ours.rpartition(reply)[0], theirs.rpartition(reply)[0]


@all_templates
def test_the_text_is_that_of_trls_training_template_and_so_are_the_learned_answers(name):
    tokenizer = tokenizer_of(name)
    markup = markup_of(tokenizer, "assistant")
    ids, mask, text = rendered(tokenizer, chat_template(markup, "assistant"), SESSION)
    wants_blocks = asks_blocks(name)
    given = blocks(SESSION) if wants_blocks else SESSION
    options = {"enable_thinking": False, "strftime_now": DAY.strftime}
    encoded = tokenizer.apply_chat_template(
        given,
        chat_template=source(f"{name}_training"),
        return_dict=True,
        return_assistant_tokens_mask=True,
        **options,
    )
    theirs = encoded["input_ids"]
    mine, other = last_ends_alike(text, tokenizer.decode(theirs))
    assert mine == other
    scored = runs(tokenizer, theirs, list(map(bool, encoded["assistant_masks"])))
    learned = runs(tokenizer, ids, mask)
    for ours, trl in zip(learned, scored, strict=True):
        content = ours.removesuffix(markup.turns["assistant"].end.strip()).strip()
        assert content in trl  # TRL scores the thought and the white space after the end, too


def asks_blocks(name):
    return name in ("smolvlm", "idefics3", "llava_next")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}", "content"),
        (
            CHATML.replace(
                "message['content']",
                "(message['content'] if loop.index0 < 4 else message['content'] + '!')",
            ),
            "by its place",
        ),
        (CHATML.replace("'<|im_end|>\n'", "'\n'").replace("<|im_start|>", ""), "nothing can stop"),
        ("{{ raise_exception('no') }}", "TemplateError"),
        ("{% if %}", "TemplateSyntaxError"),
        (CHATML.replace("message['content']", "message['content'].replace('12345', 'x')"), "12345"),
    ],
)
def test_a_template_that_cannot_be_proved_stops_the_training_and_says_what_to_set(template, why):
    tokenizer = build_tiny_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(UserError, match=f"(?s)({why}).*set `template:`.*plain, chatml, llama3"):
        markup_of(tokenizer, "assistant")


@both_roles
def test_no_template_falls_back_to_headings_unasked(learned):
    tokenizer = build_tiny_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(UserError, match="no chat template; set `template:`"):
        markup_of(tokenizer, learned)
    assert markup_of(tokenizer, learned, "plain").family == "plain"


def test_a_jinja_file_can_be_set_and_is_proved_like_a_tokenizers_own(tmp_path):
    tokenizer = build_tiny_tokenizer()
    file = tmp_path / "mine.jinja"
    file.write_text(CHATML)
    own = markup_of(tokenizer, "user")
    tokenizer.chat_template = None
    markup = markup_of(tokenizer, "user", str(file))
    assert (markup.family, markup.turns) == ("file", own.turns)
    file.write_text("{{ messages[0]['content'] }}")
    with pytest.raises(UserError, match="the template file can't be proved"):
        markup_of(tokenizer, "user", str(file))
    with pytest.raises(UserError, match=r"absent\.jinja can't be read"):
        markup_of(tokenizer, "user", str(tmp_path / "absent.jinja"))


def test_an_answer_without_a_thought_is_trained_and_served_with_the_same_empty_one():
    tokenizer = tokenizer_of("qwen3")
    markup = markup_of(tokenizer, "assistant")
    template = chat_template(markup, "assistant")
    thought = "<think>\n\n</think>\n\n"
    prompt = tokenizer.apply_chat_template(
        SESSION[:3], chat_template=template, add_generation_prompt=True, tokenize=False
    )
    assert prompt.endswith(f"<|im_start|>assistant\n{thought}")
    assert prompt.count(thought) == 2
    assert any("every answer keeps" in note for note in markup.notes)
    ids, mask, _ = rendered(tokenizer, template, SESSION)
    assert not any("think" in run for run in runs(tokenizer, ids, mask))


def test_a_date_in_a_template_is_the_same_on_every_day():
    tokenizer = tokenizer_of("gptoss")
    assert "Current date: 2024-07-26" in markup_of(tokenizer, "user").without_system


@both_roles
def test_a_cut_message_has_no_end_to_learn_and_none_at_the_last(learned):
    tokenizer = build_tiny_tokenizer()
    markup = markup_of(tokenizer, learned)
    template = chat_template(markup, learned)
    session = [dict(message) for message in SESSION[:4]]
    turn = 2 if learned == "user" else 1
    session[turn]["cut"] = True
    ids, mask, text = rendered(tokenizer, template, session)
    told = runs(tokenizer, ids, mask)
    assert session[turn]["content"] in told
    assert [t for t in told if t.endswith("<|im_end|>")] == [
        t for t in told if t != session[turn]["content"]
    ]
    assert f"{session[turn]['content']}<|im_end|>" in text
    _, _, text = rendered(tokenizer, template, session[: turn + 1])
    assert text.endswith(session[turn]["content"])


@both_roles
def test_a_message_that_is_not_to_be_learned_carries_no_loss(learned):
    tokenizer = build_tiny_tokenizer()
    template = chat_template(markup_of(tokenizer, learned), learned)
    session = [dict(message) for message in SESSION[:4]]
    turn = 0 if learned == "user" else 1
    session[turn]["learn"] = False
    ids, mask, text = rendered(tokenizer, template, session)
    assert runs(tokenizer, ids, mask) == expected(session[turn + 1 :], learned, "<|im_end|>")
    assert text == rendered(tokenizer, template, SESSION[:4])[2]
