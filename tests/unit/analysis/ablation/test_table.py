"""The table: the paper's scores, ours with intervals, and what failed."""

from parrot_core.analysis.ablation.matrix import Matrix
from parrot_core.analysis.ablation.plan import plan_ablation
from parrot_core.analysis.ablation.table import ablation_grid, ablation_markdown, ablation_result
from parrot_core.lake.lake import Lake
from tests.support.lakes.finished_run import publish
from tests.support.lakes.recipes import minimal_recipe


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
