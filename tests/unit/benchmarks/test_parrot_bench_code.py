"""The coding references of Parrot-Bench-8 are run, and do what the user of the session asked."""

import itertools
import json
import random
import re
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from parrot_core.benchmarks.benchmark import load_benchmark
from parrot_core.recipe import Evaluate

Namespace = dict[str, Any]
QUESTIONS = {
    question.question_id: question
    for question in load_benchmark(Evaluate(subjects={"x": "x"}).questions).questions
}


def code(question: int, turn: int, language: str = "python") -> str:
    reference = QUESTIONS[str(question)].reference_of(turn)
    assert reference is not None
    found = re.findall(rf"```{language}\n(.*?)```", reference, re.DOTALL)
    assert len(found) == 1, f"{question}, turn {turn}: expected one block of {language}"
    return str(found[0])


def python(question: int, *turns: int) -> Namespace:
    """What the references' code defines, the later turn's over the earlier one's."""
    defined: Namespace = {}
    for turn in turns:
        exec(code(question, turn), defined)
    return defined


def shell(command: str, folder: Path) -> str:
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_all_python_of_the_references_compiles() -> None:
    blocks = [
        block
        for question in QUESTIONS.values()
        if question.category == "coding"
        for turn in range(1, 9)
        for block in re.findall(r"```python\n(.*?)```", question.reference_of(turn) or "", re.S)
    ]
    assert len(blocks) > 40
    for block in blocks:
        compile(block, "reference", "exec")


def test_1041_durations_are_read_and_written() -> None:
    seconds = python(1041, 1)["seconds"]
    assert [seconds(text) for text in ("1h30m", "45s", "2h", "90m")] == [5400, 45, 7200, 5400]
    assert python(1041, 3)["seconds"]("1d1h") == 90000
    for text in ("", "5", "1h1h", "30m1h", "1.5h"):
        with pytest.raises(ValueError, match="not a duration"):
            seconds(text)
    tests = code(1041, 8)
    cases = python(1041, 4, 6)
    exec(tests, cases)
    cases["test_zero_and_the_shortest_form"]()
    for name in ("test_a_duration_is_read", "test_anything_else_is_none"):
        run_parametrized(cases[name])
    run_parametrized(cases["test_a_number_survives_the_round_trip"])


def run_parametrized(test: Any) -> None:
    names, values = test.pytestmark[0].args
    for value in values:
        test(*value) if isinstance(names, tuple) else test(value)


def shop() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        """
        CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT, city TEXT);
        CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER, day TEXT, cents INTEGER);
        INSERT INTO customers VALUES (1,'Ann','Rome'),(2,'Bob','Rome'),(3,'Cy','Oslo'),
          (4,'Dee','Bern'),(5,'Eve','Oslo');
        INSERT INTO orders(customer_id, day, cents) VALUES (1,'2023-01-01',100),
          (1,'2023-12-31',50),(2,'2022-12-31',999),(3,'2023-06-01',700),(1,'2024-02-01',30000),
          (2,'2024-03-01',40000),(3,'2024-01-01',50000),(4,'2024-12-31',50001);
        """
    )
    return connection


def test_1042_queries_answer_what_was_asked() -> None:
    def rows(turn: int) -> list[Any]:
        return shop().execute(code(1042, turn, "sql")).fetchall()

    assert rows(1) == [("Cy", 700), ("Ann", 150), ("Bob", 0), ("Dee", 0), ("Eve", 0)]
    assert rows(3) == [("Oslo", 700), ("Rome", 150), ("Bern", 0)]
    assert rows(4) == [("Rome", 70000), ("Bern", 50001)]
    assert rows(5) == [("Rome", 70000, "Bob"), ("Bern", 50001, "Dee")]
    assert rows(7) == [("Bob",), ("Dee",), ("Eve",)]
    connection = shop()
    connection.executescript(code(1042, 8, "sql"))
    left = [name for (name,) in connection.execute("SELECT name FROM customers ORDER BY id")]
    assert left == ["Ann", "Bob", "Cy", "Dee"]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_1043_votes_are_tallied() -> None:
    jose, decomposed = "Jos\u00e9", "Jose\u0301"
    plain = ["Ann ", "bob", "ANN", "", " ", "Cy"]
    objects = [{"name": "Ann"}, {"name": "bob", "weight": 3}, {"name": "ann ", "weight": 2}]
    cases: list[tuple[int, Any, Any]] = [
        (1, plain, [["ann", 2], ["bob", 1], ["cy", 1]]),
        (2, [jose, decomposed, "Jose"], [["jos\u00e9", 2], ["jose", 1]]),
        (3, [jose, decomposed, "Jose"], [["jose", 3]]),
        (4, [jose, decomposed, "Jose"], [["jos\u00e9", 2], ["jose", 1]]),
        (5, objects, [["ann", 3], ["bob", 3]]),
        (6, [*objects, "Bob", ""], [["bob", 4], ["ann", 3]]),
        (8, [*objects, "Cy"], [["ann", 3, 42.9], ["bob", 3, 42.9], ["cy", 1, 14.3]]),
        (8, [], []),
    ]
    scripts = [
        f"(() => {{ {code(1043, turn, 'js')} return tally({json.dumps(votes)}); }})()"
        for turn, votes, _ in cases
    ]
    script = f"console.log(JSON.stringify([{','.join(scripts)}]))"
    told = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == [expected for *_, expected in cases]


def test_1044_logs_are_counted(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(
        "2024-05-03T10:15:00 GET /index.html 200 120ms\n"
        "2024-05-03T10:15:01 GET /a b c.html 200 180ms\n"
        "2024-05-03T10:16:00 GET /x 404 30ms\n"
        "2024-05-04T10:16:00 GET /x 500 30ms\n"
        "2024-05-03T10:1"
    )

    def lines(turn: int) -> list[list[str]]:
        told = shell(code(1044, turn, "bash"), tmp_path)
        return [line.split() for line in told.splitlines()]

    assert ["1", "404"] in lines(1)
    assert ["1"] in lines(2), "the line that was cut off counts as an empty code"
    assert sorted(lines(3)) == [["1", "200"], ["1", "404"]]
    assert lines(4) == [["2", "200"], ["1", "404"]]
    assert lines(5) == [["2", "200", "150.0ms"], ["1", "404", "30.0ms"]]
    (tmp_path / "count.sh").write_text(code(1044, 8, "bash"))
    counted = shell("sh count.sh access.log", tmp_path).split()
    assert counted == ["2", "200", "1", "404", "1", "500"]
    usage = subprocess.run(["sh", "count.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert (usage.returncode, usage.stdout) == (2, "")
    whole = (tmp_path / "access.log").read_text().rpartition("\n")[0]
    (tmp_path / "access.log").write_text(whole + "\n")
    assert [line[-1] for line in lines(7)] == ["200", "404", "500"]


def test_1045_the_last_items_are_remembered() -> None:
    def after(turn: int, count: int) -> Any:
        recent = python(1045, turn)["Recent"](3)
        for item in range(count):
            recent.add(item)
        return recent

    oldest_first = {0: [], 2: [0, 1], 3: [0, 1, 2], 8: [5, 6, 7]}
    for count, items in oldest_first.items():
        for turn in (1, 2, 3):
            assert after(turn, count).items() == items
        for turn in (4, 6, 7, 8):
            assert after(turn, count).items() == items[::-1]
        assert list(after(6, count)) == items[::-1]
        for turn in (7, 8):
            assert list(after(turn, count)) == items
            assert len(after(turn, count)) == len(items)
    for turn in (2, 3, 4, 6, 7, 8):
        with pytest.raises(ValueError, match="at least 1"):
            python(1045, turn)["Recent"](0)
    shared = after(8, 0)
    threads = [threading.Thread(target=shared.add, args=(item,)) for item in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shared) == 3


def test_1046_spans_are_merged() -> None:
    merge = {turn: python(1046, turn)["merge"] for turn in (1, 3, 4, 5)}
    inside, touching = [(1, 10), (2, 3)], [(2, 3), (1, 2)]
    assert merge[1](list(inside)) == merge[3](inside) == merge[4](inside) == [(1, 10)]
    assert (merge[3](touching), merge[4](touching)) == ([(1, 3)], [(1, 2), (2, 3)])
    assert touching == [(2, 3), (1, 2)], "the caller's list stays as it is"
    assert merge[5]([]) == ([], 0)
    both = python(1046, 5, 6, 8)
    both["test_the_total_is_that_of_a_brute_force_count"]()
    rng = random.Random(3)
    for _ in range(200):
        starts = sorted(rng.randrange(15) for _ in range(rng.randrange(6)))
        spans = sorted((start, start + rng.randrange(1, 6)) for start in starts)
        assert list(both["merge_sorted"](iter(spans))) == both["merge"](spans)[0]
    with pytest.raises(AssertionError):
        broken(code(1046, 6))


def broken(test: str) -> None:
    def merge(spans: Iterable[tuple[int, int]]) -> tuple[list[tuple[int, int]], int]:
        out: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if out and start < out[-1][1]:
                out[-1] = (out[-1][0], end)
            else:
                out.append((start, end))
        return out, sum(end - start for start, end in out)

    defined: Namespace = {"merge": merge}
    exec(test, defined)
    defined["test_the_total_is_that_of_a_brute_force_count"]()


@pytest.mark.parametrize(
    ("turn", "text", "found"),
    [
        (1, "9:30, 09:30, 23:59, 25:00, 9:75, 00:00", ["9:30", "09:30", "23:59", "00:00"]),
        (2, "At 9:30: breakfast; 12:30:45; 8:05.", ["9:30", "8:05"]),
        (3, "9.30 and 9:30, but 12.30.45 and 12:30:45 not", ["9.30", "9:30"]),
        (4, "9h30, 9.30, 12:15, 1h20h30", ["9h30", "12:15"]),
        (7, "at 9.30, for 9.30 euros, 9h30, 12:15", ["9.30", "9h30", "12:15"]),
        (8, "24:00, 24:01, 24h00, at 24.00, 23:59", ["24:00", "24h00", "24.00", "23:59"]),
    ],
)
def test_1047_times_are_found(turn: int, text: str, found: list[str]) -> None:
    assert [match.group() for match in python(1047, turn)["TIME"].finditer(text)] == found


def test_1047_times_become_minutes() -> None:
    assert python(1047, 5)["minutes"]("from 0:00 to 9h30, 23:59") == [0, 570, 1439]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_1048_spaces_are_squeezed(tmp_path: Path) -> None:
    def result(turn: int, text: str) -> str:
        main = f'int main(void){{char s[]="{text}";squeeze(s);fputs(s,stdout);return 0;}}'
        return compiled(f"#include <stdio.h>\n{code(1048, turn, 'c')}\n{main}", tmp_path)

    assert result(1, "  a   b c  ") == " a b c "
    assert result(3, " a \\t b\\t") == " a b "
    assert result(4, "  a   b\\t c  ") == "a b\t c"
    compiled(code(1048, 5, "c") + code(1048, 6, "c"), tmp_path)


def compiled(source: str, folder: Path) -> str:
    (folder / "main.c").write_text(source)
    return shell("cc -Wall -Werror -o main main.c && ./main", folder)


def test_1049_folders_are_measured() -> None:
    tree = {"a.txt": 3, "docs": {"b.txt": 5, "old": {"c.txt": 7}}}
    assert python(1049, 1)["size"](tree) == 15
    expected = [("docs/old/c.txt", 7), ("docs/b.txt", 5), ("a.txt", 3)]
    assert python(1049, 2)["files"](tree) == python(1049, 3)["files"](tree) == expected
    assert python(1049, 6)["folders"](tree) == [(".", 15), ("docs", 12), ("docs/old", 7)]
    deep: dict[str, Any] = {"x": 1}
    for _ in range(5000):
        deep = {"d": deep}
    with pytest.raises(RecursionError):
        python(1049, 6)["folders"](deep)
    assert python(1049, 3)["files"](deep)[0][1] == 1
    for bare, count in (({}, 1), ({"a": {}, "b": {"c": {}, "d": 1}}, 2), (tree, 0)):
        assert python(1049, 4)["empty"](bare) == count
        assert python(1049, 5)["size_and_empty"](bare)[1] == count
    assert python(1049, 5)["size_and_empty"](tree) == (15, 0)


def test_1050_coins_are_as_few_as_a_search_finds() -> None:
    freely, which = python(1050, 1)["fewest"], python(1050, 3)["fewest"]
    once, ways = python(1050, 4)["fewest"], python(1050, 5)["ways"]
    assert freely([1, 4, 5], 8) == 2
    assert [freely([4, 6], amount) for amount in (0, 2, 7, 14)] == [0, None, None, 3]
    rng = random.Random(5)
    for _ in range(60):
        coins = [rng.randrange(1, 9) for _ in range(rng.randrange(1, 6))]
        amount = rng.randrange(20)
        paid = which(coins, amount)
        count = freely(coins, amount)
        assert (paid is None) == (count is None)
        assert paid is None or (len(paid), sum(paid)) == (count, amount)
        subsets = [
            chosen
            for size in range(len(coins) + 1)
            for chosen in itertools.combinations(range(len(coins)), size)
            if sum(coins[place] for place in chosen) == amount
        ]
        assert ways(coins, amount) == len(subsets)
        best = once(coins, amount)
        assert (best is None) == (not subsets)
        assert best is None or len(best) == min(map(len, subsets))


def test_2009_characters_and_pairs_are_counted() -> None:
    assert python(2009, 1)["top"]("好好学习,day day up", 2) == [("好", 2), ("学", 1)]
    assert python(2009, 2)["top"]("我的你的他", 3, "的") == [("我", 1), ("你", 1), ("他", 1)]
    assert python(2009, 3)["top"]("你好,你好好", 2) == [("你好", 2), ("好好", 1)]
    assert python(2009, 4)["top"]("我的书,我的书", 5, "的") == []
    exec(code(2009, 8), python(2009, 7))


def test_2010_places_are_given(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "甲", "score": 80},
        {"name": "乙", "score": None},
        {"name": "丙", "score": 90},
        {"name": "丁", "score": 90},
    ]
    jumping: list[tuple[Any, ...]] = [(1, "丙", 90), (1, "丁", 90), (3, "甲", 80)]
    present = [row for row in rows if row["score"] is not None]
    assert python(2010, 1)["rank"](present) == jumping
    assert python(2010, 2)["rank"](rows) == [*jumping, (None, "乙", None)]
    assert [place for place, *_ in python(2010, 3)["rank"](rows)] == [1, 1, 2, None]
    assert python(2010, 4)["rank"](rows) == jumping
    flagged = [(*entry, entry[2] > 260 / 3) for entry in jumping]
    assert python(2010, 5)["rank"](rows) == flagged
    assert python(2010, 7)["rank"](rows) == (flagged, 1)
    assert python(2010, 7)["rank"]([]) == ([], 0)
    (tmp_path / "scores.csv").write_text("name,score\n甲,80\n乙,\n", encoding="utf-8-sig")
    read = python(2010, 8)["read"](tmp_path / "scores.csv")
    assert read == [{"name": "甲", "score": 80.0}, {"name": "乙", "score": None}]
