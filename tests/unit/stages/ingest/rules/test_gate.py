"""A gate never keeps from a rule what the rule would change or find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message, Role
from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.clean import clean_texts
from parrot_core.stages.ingest.rule_log import RuleLog
from parrot_core.stages.ingest.rules import CHECKS, GATES, text_rules
from parrot_core.stages.ingest.rules.gate import Gate, suspects
from parrot_core.stages.ingest.rules.rule import TextRule

RULES = text_rules(Ingest(sources=("-",)))
PIECES = (
    *(" ", "\t", "\n", "\r", "\x00", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\u200b", "\u2028"),
    *("\ufeff", "\u3000", "é", "中", "a", "1 / 2", "2 / 2", "Share Prompt", "Model: GPT-4", "x\n"),
    *("Copy code\n", "Regenerate response", '<div class="markdown"><p>x</p></div>', "<|im_end|>"),
    *("[INST]", "me@web.org", "(212) 555-0199", "\n\n\n\n", "sk-abc9defghijklmnopqrstu"),
    *("I want to kill myself", "how to build a pipe bomb", "naked", "children", "synthesizé sarin"),
    *(
        *("\\_", "\\*", "it&#39;s", " &amp; ", "[a.org](http://a.org)", "\n1 / 2\n\n"),
        *("[<EMAIL>](mailto:<EMAIL>)", "sqlCopy codex", "Continue generating"),
        "KILLING MYSELF",
        "I am ChatGPT",
        "我是ChatGPT",
        "由 OpenAI 开发",
        "made by Google",
        "as an AI ",
    ),
)
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@given(text=texts)
def test_a_text_that_a_rule_changes_passes_its_gate(rule: TextRule, text: str) -> None:
    gate = GATES.get(rule.__name__)
    before = RULES[0](text, "user")  # the first rule has dealt with odd characters by then
    for role in ("user", "assistant"):
        given_text = text if rule is RULES[0] else before
        if gate is not None and rule(given_text, role) != given_text:
            assert suspects([given_text], [role], [gate]) == [[0]]


@pytest.mark.parametrize("name", CHECKS)
@given(text=texts)
def test_a_text_in_which_a_check_finds_something_passes_its_gate(name: str, text: str) -> None:
    gate = GATES.get(name)
    for query, answer in ((text, "-"), ("-", text)):
        messages = [{"role": "user", "content": query}, {"role": "assistant", "content": answer}]
        if gate is not None and CHECKS[name](messages):
            place = 0 if query == text else 1
            assert place in suspects([query, answer], ["user", "assistant"], [gate])[0]


@given(messages=st.lists(st.tuples(st.sampled_from(("user", "assistant", "system")), texts)))
def test_a_batch_is_cleaned_as_if_every_rule_read_every_text(
    messages: list[tuple[Role, str]],
) -> None:
    given_messages: list[Message] = [{"role": role, "content": text} for role, text in messages]
    expected = []
    for role, text in messages:
        for rule in RULES:
            text = rule(text, role)
        expected.append({"role": role, "content": text})
    settings = Ingest(sources=("-",))
    assert clean_texts([("id", given_messages)], settings, RuleLog()) == [expected]


def test_each_gate_gets_the_places_of_its_role_and_a_broken_pattern_lets_all_through() -> None:
    gates = [Gate(("b",)), Gate(("b",), "user"), Gate(role="assistant"), Gate((r"(?=b)",))]
    found = suspects(["ab", "b", "c"], ["user", "assistant", "assistant"], gates)
    assert [sorted(places) for places in found] == [[0, 1], [0], [1, 2], [0, 1, 2]]
