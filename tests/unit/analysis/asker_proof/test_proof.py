"""What the proof measures: against values counted by hand, and who is asked with what."""

import asyncio

import pytest

from parrot_core.analysis.asker_proof.contexts import HeldOutContext
from parrot_core.analysis.asker_proof.measures import (
    differences,
    estimates,
    look_at,
    refusals,
    told_apart,
)
from parrot_core.analysis.asker_proof.proof import likelihoods
from parrot_core.analysis.asker_proof.tables import proof_grids
from parrot_core.analysis.asker_proof.writing import ask_both
from parrot_core.engines.types import ProviderError
from parrot_core.recipe import Filter, Sampling
from parrot_core.stages.synthesis.role_play import role_play
from tests.support.lakes.scripted_model import ScriptedModel

HISTORY = (
    {"role": "user", "content": "What is the capital of France?"},
    {"role": "assistant", "content": "The capital of France is Paris."},
)


def context(number=0, query="How many people live there?"):
    return HeldOutContext(f"s{number}/t2", f"s{number}", "en", 2, HISTORY, query)


def look(text):
    return look_at(context(), text, Filter())


def test_a_query_is_looked_at_as_select_and_filter_would():
    leaning, alone = look("How many people live there?"), look("Name three rivers of Spain.")
    assert (leaning.depends, leaning.question, leaning.refused, leaning.words) == (1, 1, None, 5)
    assert (alone.depends, alone.question, alone.refused) == (0, 0, None)
    answer = look("Sure, here are some facts about Paris that may help you.")
    assert (answer.as_assistant, answer.refused) == (True, "answers")
    nothing = look("")
    assert (nothing.depends, nothing.refused, nothing.words) == (False, "empty_query", 0)


def test_shares_are_counted_over_all_queries_or_over_those_the_filters_keep():
    looks = [look(text) for text in ("How old is it?", "", "Name three rivers of Spain.", "")]
    found = estimates(looks, 1)
    assert found["depends"].value == pytest.approx(1 / 4)
    assert found["depends_usable"].value == pytest.approx(1 / 2)
    assert found["usable"].value == pytest.approx(1 / 2)
    assert found["depends"].low <= 1 / 4 <= found["depends"].high
    assert refusals(looks) == {"empty_query": 2}


def test_questions_are_counted_apart_from_other_texts_that_lean_and_those_refused_are_none() -> (
    None
):
    said = (
        "How many people live there?",
        "Name three rivers of Spain.",
        "Translate it into French.",
        "Who wrote the novel Middlemarch?",
        "Sure, here are some facts about Paris that may help you. Is that all?",
        "",
    )
    found = estimates([look(text) for text in said], 1)
    assert found["question"].value == pytest.approx(3 / 6)
    assert found["depends_question"].value == pytest.approx(1 / 6)
    assert found["self_contained_question"].value == pytest.approx(1 / 6)
    assert found["questions_depend"].value == pytest.approx(1 / 2)


def test_a_paired_difference_to_oneself_is_nothing_and_is_never_in_doubt():
    looks = [look(text) for text in ("How old is it?", "", "Name three rivers of Spain.")]
    for found in differences(looks, looks, 1).values():
        assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_writer_who_leans_on_the_context_everywhere_differs_surely_from_one_who_never_does():
    leaning = [look("How many people live there?")] * 12
    found = differences(leaning, [look("Name three rivers of Spain.")] * 12, 1)["depends"]
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_likelihoods_are_means_over_tokens_and_what_does_not_fit_one_model_counts_for_none():
    found = likelihoods(
        {
            "before": {"a": [(-8.0, 2)], "b": [(-4.0, 4)], "c": None},
            "after": {"a": [(-2.0, 2)], "b": [(-4.0, 4)], "c": [(-1.0, 1)]},
            "role_play": {"a": [(-6.0, 3)], "b": [(-8.0, 4)], "c": [(-1.0, 1)]},
        },
        1,
    )
    assert (found["queries"], found["too_long"]) == (2, 1)
    values = {name: each["value"] for name, each in found["models"].items()}
    assert values == pytest.approx({"before": 12 / 6, "after": 1.0, "role_play": 14 / 7})
    first, second = found["gains"].values()
    assert (first["value"], first["lower_in"]) == (pytest.approx(1.0), 1)
    assert (second["value"], second["lower_in"]) == (pytest.approx(-1.0), 0)
    assert first["low"] <= 1.0 <= first["high"]


def test_the_asker_gets_the_conversation_and_the_other_is_told_to_play_the_user():
    asker = ScriptedModel(lambda messages, sample: " How large is it? ")
    player = ScriptedModel(
        lambda messages, sample: ProviderError("no") if sample.startswith("s1/") else "Hello."
    )
    contexts = [context(n) for n in range(3)]
    asked, played = asyncio.run(ask_both(contexts, asker, player, Sampling()))
    assert asked == ["How large is it?"] * 3
    assert played == ["Hello.", "", "Hello."]
    assert {tuple(m["content"] for m in messages) for _, messages, _ in asker.calls} == {
        tuple(m["content"] for m in HISTORY)
    }
    (told,) = {messages[0]["content"] for _, messages, _ in player.calls}
    assert told == role_play(HISTORY)[0]["content"]
    assert all(message["content"] in told for message in HISTORY)
    assert len(set(asker.samples + player.samples)) == 6


def test_the_classifier_tells_a_stereotyped_writer_from_humans_and_not_humans_from_themselves():
    people = ("cat", "river", "book", "moon", "boat", "song", "tree", "town", "wine", "clock")
    contexts = [
        context(n, f"{verb} {people[n % 10]} {people[n // 10]} {people[(n * 3) % 10]}")
        for n in range(60)
        for verb in [("why", "how", "show", "fix", "list")[n % 5]]
    ]
    same, _ = told_apart(contexts, [c.query for c in contexts], 1)
    other, _ = told_apart(contexts, ["Certainly dear valued customer"] * 60, 1)
    assert other.value > 0.95
    assert same.value < 0.75


def test_tables_show_the_writers_side_by_side():
    looks = {who: [look("How old is it?")] * 3 for who in ("human", "asker", "instruct")}

    def shown(found):
        fields = ("value", "low", "high")
        return {k: {f: getattr(v, f) for f in fields} for k, v in found.items()}

    auc = {"value": 0.5, "low": None, "high": None}
    result = {
        "asker": "parrot-ask@x",
        "instruct": "tiny",
        "contexts": {"taken": 3},
        "likelihood": likelihoods({"before": {"a": [(-4.0, 2)]}, "after": {"a": [(-2.0, 2)]}}, 1),
        "follow_ups": {who: shown(estimates(seen, 1)) for who, seen in looks.items()},
        "differences": {
            who: shown(differences(looks["asker"], looks[who], 1)) for who in ("human", "instruct")
        },
        "told_apart": {"asker": auc, "instruct": auc},
    }
    likelihood, follow_ups = proof_grids(result)
    assert ("base, before training", "2", "2.000") in likelihood.rows
    assert follow_ups.rows[0][:2] == ("context-dependent (%)", "100.0 [100.0, 100.0]")
    assert follow_ups.rows[-1] == ("told from the human (AUC)", "–", "0.50", "0.50", "", "")
    assert "parrot-ask@x" in follow_ups.markdown()
