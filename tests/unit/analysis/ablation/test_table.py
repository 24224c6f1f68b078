"""The table: the paper's scores, ours with intervals, and what failed."""

from parrot_core.analysis.ablation.matrix import Matrix
from parrot_core.analysis.ablation.plan import plan_ablation
from parrot_core.analysis.ablation.replicates import accuracy_replicates
from parrot_core.analysis.ablation.table import ablation_grid, ablation_markdown, ablation_result
from parrot_core.lake.lake import Lake
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import publish


def judgment(question, turn, score):
    return {
        "id": f"{question}/t{turn}",
        "source_ids": [question],
        "language": "en",
        "subject": "all turns",
        "category": "writing",
        "turn": turn,
        "query": "q",
        "answer": "a",
        "score": score,
        "judge_text": "[[7]]",
        "judge_model": "tiny-135M",
    }


def test_our_scores_stand_beside_the_papers_and_a_failed_cell_says_why(tmp_path):
    recipe = minimal_recipe(str(tmp_path / "lake"))
    lake = Lake(recipe.lake)
    matrix = Matrix(
        name="m",
        base="x",
        table="table5",
        cells={
            "all": {"paper": "all", "subject": "answerer"},
            "one": {"paper": "1", "subject": "answerer"},
            "own": {"subject": "answerer"},
        },
    )
    plans = plan_ablation(matrix, recipe, lake)
    scores = {1: 8, 2: 6, 3: 1}
    rows = [judgment(f"q{n}", turn, score) for n in range(4) for turn, score in scores.items()]
    publish(lake, "evaluate", rows, run="m-all")
    failures = {"one": "no memory", "own": "no disk"}
    result = ablation_result(matrix, plans, failures, lake)
    grid = ablation_grid(result)
    assert grid.header[1:4] == ("paper: MT-Bench", "paper: MT-Bench++", "ours: turns 1–2")
    assert grid.rows == (
        ("all turns", "6.81", "6.56", "7.00 [7.00, 7.00]", "5.00 [5.00, 5.00]", "12"),
        ("1 turn", "6.59", "5.90", "failed: no memory", "", ""),
        ("own", "–", "–", "failed: no disk", "", ""),
    )
    text = ablation_markdown(result)
    assert "Sun et al. 2024" in text
    assert "135 million parameters" in text


def test_replicates_show_how_far_seeds_lie_apart_and_mark_what_is_no_more_than_that(tmp_path):
    recipe = minimal_recipe(str(tmp_path / "lake"))
    lake = Lake(recipe.lake)
    same = {"subject": "answerer", "label": "all turns"}
    cells = {name: {**same, "set": {"evaluate.limit": n}} for n, name in enumerate("abcd", 1)}
    matrix = Matrix(name="m", base="x", seeds=(1, 2), cells=cells)
    plans = plan_ablation(matrix, recipe, lake)
    means = {"a": (5, 6), "b": (5.2, 6), "c": (8, 8.1)}
    for cell, each in means.items():
        for seed, mean in zip((1, 2), each, strict=True):
            rows = [judgment(f"q{n}", 1, mean) for n in range(3)]
            publish(lake, "evaluate", rows, run=f"m-{cell}-seed{seed}")
    result = ablation_result(matrix, plans, {"d-seed1": "no disk", "d-seed2": "no luck"}, lake)
    shown = [row[1:] for row in ablation_grid(result).rows]
    assert shown == [
        ("5.50 [5.50, 5.50] ± 0.71",) * 2 + ("6",),
        ("5.60 [5.60, 5.60] ± 0.57 (+0.10 ≈)",) * 2 + ("6",),
        ("8.05 [8.05, 8.05] ± 0.07 (+2.55)",) * 2 + ("6",),
        ("failed: seed 1: no disk; seed 2: no luck", "", ""),
    ]
    assert "standard deviation between seeds" in ablation_markdown(result)


def test_preference_accuracy_of_replicates_is_measured_a_seed_at_a_time(tmp_path):
    recipe = minimal_recipe(
        str(tmp_path / "lake"),
        engines={
            **{n: {"kind": "vllm", "model": f"lake:{n}"} for n in ("parrot-sft", "parrot-chat")},
            "asker": {"kind": "vllm", "model": "lake:parrot-ask"},
            "answerer": {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"},
            "judge": {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"},
        },
    )
    cells = {name: {"subject": name} for name in ("parrot-sft", "parrot-chat")}
    matrix = Matrix(name="m", base="x", judged=False, accuracy=True, seeds=(1, 2), cells=cells)
    plans = plan_ablation(matrix, recipe, Lake(recipe.lake))
    found = {"parrot-sft": (0.5, 0.6), "parrot-chat": (0.7, 0.9)}

    def measured(seed):
        figures = {
            str(plan.model): {
                m: {"overall": {"mean": found[plan.cell][seed - 1]}} for m in ("mean", "margin")
            }
            for plan in plans
            if plan.seed == seed
        }
        return {"parts": {"nothing": {"by_model": figures}}}

    (grid,) = accuracy_replicates({seed: measured(seed) for seed in (1, 2)}, plans)
    assert grid.rows == (
        ("parrot-sft", "55.0 ± 7.1", "0.550 ± 0.071", "2"),
        ("parrot-chat", "80.0 ± 14.1 (+25.0)", "0.800 ± 0.141 (+0.250)", "2"),
    )
