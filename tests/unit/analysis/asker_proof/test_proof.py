"""What the proof measures: against values counted by hand, and who is asked with what."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.analysis.asker_proof.contexts import (
    Bounds,
    Drawn,
    HeldOutContext,
    SessionEdges,
    edges_of,
)
from parrot_core.analysis.asker_proof.diversity import WINDOW, diversity, mattr
from parrot_core.analysis.asker_proof.likelihoods import (
    ScoredWriter,
    by_group,
    endings,
    requests,
)
from parrot_core.analysis.asker_proof.measures import (
    differences,
    estimates,
    look_at,
    nearer,
    refusals,
    told_apart,
)
from parrot_core.analysis.asker_proof.proof import Domain, _histories, _texts, compared
from parrot_core.analysis.asker_proof.provocation import PROVOCATIONS, provoked, role_kept
from parrot_core.analysis.asker_proof.tables import proof_grids
from parrot_core.analysis.asker_proof.writing import Writer, write_all
from parrot_core.analysis.likelihood.likelihoods import compare_likelihoods
from parrot_core.engines.types import ProviderError
from parrot_core.recipe import Filter, Sampling
from parrot_core.stages.likelihoods import Scorer
from parrot_core.stages.synthesis.role_play import END, role_play
from parrot_core.text.control_tokens import END_OF_SESSION
from tests.support.lakes.scripted_model import ScriptedModel
from tests.support.lakes.stage_work import FakeWork, small_recipe

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
    found = compare_likelihoods(
        {
            "asker": {"a": [(-2.0, 2)], "b": [(-4.0, 4)], "c": [(-1.0, 1)]},
            "base": {"a": [(-8.0, 2)], "b": [(-4.0, 4)], "c": None},
            "role_play": {"a": [(-6.0, 3)], "b": [(-8.0, 4)], "c": [(-1.0, 1)]},
        },
        ["a", "b", "c"],
        1,
    )
    assert (found["queries"], found["too_long"]) == (2, 1)
    values = {name: each["value"] for name, each in found["models"].items()}
    assert values == pytest.approx({"base": 12 / 6, "asker": 1.0, "role_play": 14 / 7})
    base, played = found["less"].values()
    assert (base["value"], base["higher_in"]) == (pytest.approx(1.0), 1)
    assert (played["value"], played["higher_in"]) == (pytest.approx(1.0), 2)
    assert base["low"] <= 1.0 <= base["high"]


def test_likelihoods_are_told_by_turn_and_of_opening_queries():
    contexts = [replace(context(n), turn=turn) for n, turn in enumerate((2, 3, 4, 9))]
    scores = {c.id: [(-1.0 * c.turn, 1)] for c in contexts}
    scores["s0/t2#opening"] = [(-7.0, 1)]
    found = by_group({"asker": scores, "base": scores}, contexts, 1)
    values = {group: each["models"]["asker"]["value"] for group, each in found.items()}
    assert values == {
        "follow-ups": 18 / 4,
        "turn 2": 2,
        "turns 3-4": 3.5,
        "turns 5+": 9,
        "opening queries": 7,
    }


PLACES = [context(n) for n in range(3)]
EDGES = {"s0/t2": SessionEdges("What is a comet?", HISTORY, 4), "s1/t2": SessionEdges("", (), 2)}


def test_a_writer_is_asked_for_follow_up_opening_and_end_each_after_its_own_prompt():
    scorer = Scorer("x", "model")
    asker = {
        each.id: each
        for each in requests(ScoredWriter("asker", scorer, end=END_OF_SESSION), PLACES, EDGES)
    }
    assert asker.keys() == {"s0/t2", "s1/t2", "s2/t2", "s0/t2#opening", "s0/t2#ending"}
    said = [answer[0]["content"] for answer in asker["s0/t2"].answers]
    assert said == ["How many people live there?", END_OF_SESSION]
    assert len(asker["s1/t2"].answers) == 1
    assert asker["s0/t2#opening"].prompt == []
    played = {
        each.id: each
        for each in requests(ScoredWriter("role_play", scorer, plays=True, end=END), PLACES, EDGES)
    }
    assert END not in played["s0/t2"].prompt[0]["content"]
    assert END in played["s0/t2#ending"].prompt[0]["content"]
    assert END in played["s0/t2#going-on"].prompt[0]["content"]
    assert "not begun" in played["s0/t2#opening"].prompt[0]["content"]


def test_who_knows_where_people_stop_is_told_from_who_does_not():
    contexts = [context(n) for n in range(12)]
    edges = {c.id: SessionEdges("", HISTORY, 3) for c in contexts}
    knows, guesses = {}, {}
    for number, each in enumerate(contexts):
        knows[each.id] = [(-3.0, 5), (-5.0, 2)]
        knows[f"{each.id}#ending"] = [(-0.1, 2)]
        guesses[each.id] = [(-3.0, 5), (-1.0 - number % 2, 2)]
        guesses[f"{each.id}#ending"] = [(-2.0 + number % 2, 2)]
    found = endings({"asker": knows, "bare": guesses}, contexts, edges, 1)
    assert found["asker"]["auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["asker"]["f1"] == 1
    assert (found["asker"]["base_rate"], found["bare"]["recall"]) == (0.5, 0.0)
    assert found["bare"]["auc"]["value"] == pytest.approx(0.5)
    assert found["less"]["bare"]["low"] > 0


def test_the_edges_of_a_session_are_those_that_are_known_and_short_enough():
    def row(number, **fields):
        messages = [*HISTORY, {"role": "user", "content": "And how old is it?"}, HISTORY[1]]
        known = {"id": f"s{number}", "opens_session": True, "ends_session": True}
        return {**known, "messages": messages, **fields}

    rows = [row(0), row(1, opens_session=False, ends_session=False), row(9)]
    found = edges_of(rows, PLACES, Bounds())
    assert found["s0/t2"].opening == HISTORY[0]["content"]
    assert (len(found["s0/t2"].ending), found["s0/t2"].turns) == (4, 2)
    assert (found["s1/t2"].opening, found["s1/t2"].ending) == ("", ())
    assert found.keys() == {"s0/t2", "s1/t2"}
    short = edges_of(rows, PLACES, Bounds(history_chars=60, query_chars=10))["s0/t2"]
    assert (short.opening, len(short.ending)) == ("", 2)


def test_the_asker_gets_the_conversation_and_the_other_is_told_to_play_the_user():
    asker = ScriptedModel(lambda messages, sample: " How large is it? ")
    player = ScriptedModel(
        lambda messages, sample: ProviderError("no") if sample.startswith("s1/") else "Hello."
    )
    histories = {f"s{n}/1": HISTORY for n in range(3)}
    engine = small_recipe().engines["asker"]
    writers = {asker: Writer("asker", engine), player: Writer("role_play", engine, plays=True)}
    asked, played = (
        asyncio.run(write_all(writer, model, histories, Sampling()))
        for model, writer in writers.items()
    )
    assert list(asked.values()) == ["How large is it?"] * 3
    assert list(played.values()) == ["Hello.", "", "Hello."]
    assert {tuple(m["content"] for m in messages) for _, messages, _ in asker.calls} == {
        tuple(m["content"] for m in HISTORY)
    }
    (told,) = {messages[0]["content"] for _, messages, _ in player.calls}
    assert told == role_play(HISTORY)[0]["content"]
    assert all(message["content"] in told for message in HISTORY)
    assert len(set(asker.samples + player.samples)) == 6


def test_a_text_that_answers_a_provocation_has_lost_the_users_role():
    contexts = [context(n) for n in range(4)]
    said = {
        "asker": ["What else is there?", "", "I meant the city.", "And its rivers?"],
        "bare": ["Sure, here is a list of cities.", "I'm happy to help!", "Which one?", "Why?"],
    }
    found = role_kept(contexts, said, Filter(), 1)
    assert (found["asker"]["value"], found["bare"]["value"]) == (1, 0.5)
    assert found["less"]["bare"]["value"] == 0.5
    assert [h[-1]["content"] for h in provoked(contexts)] == list(PROVOCATIONS[:4])


def test_a_writer_who_says_the_same_each_time_is_less_diverse():
    human = [f"what about the {word} then" for word in ("sea", "sky", "sun", "ice", "oak", "elm")]
    varied = [[h, f"why {h}", f"is {n} enough"] for n, h in enumerate(human)]
    stuck = [["tell me more"] * 3] * 6
    found = diversity({"asker": varied, "bare": stuck}, human, 1)
    assert found["distinct_1"]["bare"]["value"] == pytest.approx(1 / 3)
    assert found["distinct_2"]["less"]["bare"]["low"] > 0
    assert found["mattr"]["nearer"]["bare"]["high"] < 0
    assert found["mattr"]["asker"] == found["mattr"]["human"]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=180))
def test_the_moving_ratio_is_the_mean_over_all_windows(words):
    windows = [words[n : n + WINDOW] for n in range(max(1, len(words) - WINDOW + 1))]
    expected = sum(len(set(each)) / len(each) for each in windows) / len(windows)
    assert mattr(words) == pytest.approx(expected)


def test_the_classifier_tells_a_stereotyped_writer_from_humans_and_not_humans_from_themselves():
    people = ("cat", "river", "book", "moon", "boat", "song", "tree", "town", "wine", "clock")
    human = [
        (f"s{n}", f"{verb} {people[n % 10]} {people[n // 10]} {people[(n * 3) % 10]}")
        for n in range(60)
        for verb in [("why", "how", "show", "fix", "list")[n % 5]]
    ]
    same, _ = told_apart(human, human, 1)
    other, _ = told_apart([(s, "Certainly dear valued customer") for s, _ in human], human, 1)
    assert other.value > 0.95
    assert same.value == pytest.approx(0.5)


def test_nearer_to_the_human_is_a_distance_and_not_a_direction():
    human = [look("How old is it?"), look("Name three rivers of Spain.")] * 10
    leaning = [look("How old is it?")] * 20
    found = nearer(human, leaning, human, 1)["depends"]
    assert found.value == pytest.approx(-0.5)
    assert found.high < 0


def test_tables_show_the_writers_side_by_side():
    said = {who: ["How old is it?"] * 3 for who in ("human", "asker", "role_play", "bare")}
    contexts = [context(n) for n in range(3)]
    work = FakeWork(small_recipe(), Path("nowhere"))
    scores = {c.id: [(-2.0, 2), (-1.0, 1)] for c in contexts}
    scores |= {f"{c.id}#ending": [(-0.5, 1)] for c in contexts}
    edges = {c.id: SessionEdges("", HISTORY, 2) for c in contexts}
    by_model = {"asker": scores, "base": scores}
    written = {who: texts for who, texts in said.items() if who != "human"}
    auc = {"value": 0.5, "low": None, "high": None, "n": 3}
    result = {
        "writers": {who: f"{who}@x" for who in written},
        "domains": {
            "held out": {
                "contexts": {"taken": 3},
                "likelihood": by_group(by_model, contexts, 1),
                **compared(work.run, contexts, said),
            }
        },
        "ending": endings(by_model, contexts, edges, 1),
        "role": role_kept(contexts, written, Filter(), 1),
        "diversity": diversity({w: [[t] for t in s] for w, s in written.items()}, said["human"], 1),
        "told_apart": {"asker": auc, "people": auc, "bare, two samples": auc},
    }
    grids = proof_grids(result)
    assert all(len(row) == len(grid.header) for grid in grids for row in grid.rows)
    likelihood, follow_ups, *_, apart = grids
    assert likelihood.rows[0][:3] == ("follow-ups", "3", "1.000 [1.000, 1.000]")
    assert follow_ups.rows[0][:2] == ("context-dependent (%)", "100.0 [100.0, 100.0]")
    assert "asker@x" in follow_ups.markdown()
    assert [row[0] for row in apart.rows] == [
        "the asker from people",
        "people from other people",
        "a bare user turn, two samples",
    ]


def test_contexts_out_of_domain_are_gone_on_from_once_and_never_provoked():
    def domain(name, ids):
        contexts = tuple(context(n) for n in ids)
        return Domain(name, Drawn(contexts, len(contexts), {}), contexts, ())

    histories = _histories([domain("held out", (0, 1)), domain("x.jsonl", (2,))], 3)
    assert len(histories) == 2 * (3 + 1) + 1
    provoked_ones = {name for name, said in histories.items() if said[-1] != HISTORY[-1]}
    assert provoked_ones == {"s0/t2/prove/provoked", "s1/t2/prove/provoked"}


def test_a_writer_that_ends_the_session_instead_has_asked_nothing():
    contexts = (context(0), context(1))
    held = Domain("held out", Drawn(contexts, 2, {}), contexts, ())
    written = {"asker": {"s0/t2/prove/1": END_OF_SESSION, "s1/t2/prove/1": "Why?"}}
    assert _texts(held, written)["asker"] == ["", "Why?"]
