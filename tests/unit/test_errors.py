"""Errors go from a worker's process to the one that shows them."""

import ast
import copy
import importlib
import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("parrot_core", "parrot_cli", "flows", "tasks", "dashboard")
OUTSIDE = {"Exception", "BaseException"}


def classes() -> dict[str, list[tuple[str, set[str]]]]:
    """All classes of the product: by name, the modules they are in with their bases' names."""
    found: dict[str, list[tuple[str, set[str]]]] = {}
    for room in PRODUCT:
        for path in (ROOT / room).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                    found.setdefault(node.name, []).append((module, bases))
    return found


def errors() -> Iterator[type[Exception]]:
    known, names = classes(), set(OUTSIDE)
    while True:
        more = {n for n, where in known.items() if any(bases & names for _, bases in where)} - names
        if not more:
            break
        names |= more
    for name in sorted(names - OUTSIDE):
        for module, _ in known[name]:
            yield getattr(importlib.import_module(module), name)


ERRORS = list(errors())


def example(of: Any) -> Any:
    """A value of a constructor's argument, by its annotation."""
    choices = [each for each in get_args(of) if each is not type(None)]
    origin = get_origin(of)
    if origin is dict:
        return {example(choices[0]): example(choices[1])}
    if origin is not None and isinstance(origin, type) and issubclass(origin, tuple):
        return tuple(example(each) for each in choices if each is not Ellipsis)
    if origin is not None and "Collection" in {c.__name__ for c in getattr(origin, "__mro__", ())}:
        return (example(choices[0]),)
    if choices:  # a union, or the values of a Literal
        return example(choices[0]) if isinstance(choices[0], type) else choices[0]
    return of("3") if issubclass(of, str | int | float) else of("a row")


def made(kind: type[Exception]) -> Exception:
    if "__init__" not in {name for each in kind.__mro__[:-3] for name in vars(each)}:
        return kind("what went wrong")
    parameters = inspect.signature(kind, eval_str=True).parameters.values()
    given = {each.name: example(each.annotation) for each in parameters}
    return kind(**given)


def facts(error: BaseException) -> Any:
    return {
        name: facts(value) if isinstance(value, BaseException) else value
        for name, value in {**vars(error), "kind": type(error), "words": str(error)}.items()
    }


def test_there_are_errors_to_look_at() -> None:
    assert {"RunStopped", "BudgetReached", "PartiallyFailed"} <= {each.__name__ for each in ERRORS}
    assert len(ERRORS) > 30


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_after_a_journey_between_processes(kind: type[Exception]) -> None:
    before = made(kind)
    there = pickle.loads(pickle.dumps(before))
    assert facts(pickle.loads(pickle.dumps(there))) == facts(there) == facts(before)
    assert there.args == before.args
    assert facts(copy.copy(before)) == facts(before)
