"""Sources become files with short names: stable, and unique where rows need it."""

from pathlib import Path
from typing import Any

import pytest

from parrot_core.errors import RecipeError, SourceError
from parrot_core.recipe import Ingest, Source, overridden
from parrot_core.stages.ingest.locating import source_files
from tests.support.lakes.stage_work import small_recipe


def _named(*sources: str | Source, **settings: Any) -> list[tuple[str, str, str]]:
    files = source_files(Ingest(sources=sources, **settings))
    return [(Path(file.url).name, file.source, file.prefix) for file in files]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("chats/a.jsonl", "chats/b.json.gz", "chats/sub/a.parquet", "other/a.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("[]")
    return tmp_path


def test_a_file_is_named_by_its_stem_and_a_folder_by_its_own_name(folder: Path) -> None:
    assert _named(f"{folder}/other/a.jsonl") == [("a.jsonl", "a", "")]
    assert _named(f"{folder}/chats") == [
        ("a.jsonl", "chats", "chats/a"),
        ("b.json.gz", "chats", "chats/b"),
        ("a.parquet", "chats", "chats/a~2"),
    ]


def test_a_pattern_is_named_by_what_stands_before_the_wildcard(folder: Path) -> None:
    assert _named(f"{folder}/other/a*.jsonl") == [("a.jsonl", "a", "")]
    assert _named(f"{folder}/other/*.jsonl") == [("a.jsonl", "other", "")]


def test_two_sources_without_a_name_are_numbered_and_two_of_one_name_are_one(folder: Path) -> None:
    first, second = f"{folder}/chats/a.jsonl", f"{folder}/other/a.jsonl"
    assert [name for _, name, _ in _named(first, second)] == ["a", "a~2"]
    both = [Source(url=url, name="mine") for url in (first, second)]
    assert [row[1:] for row in _named(*both)] == [("mine", "mine/a"), ("mine", "mine/a~2")]


def test_a_source_may_say_how_it_is_read(folder: Path) -> None:
    url = f"{folder}/other/a.jsonl"
    sources = (Source(url=url, layout="baize", limit=3), f"{folder}/chats/a.jsonl")
    files = source_files(Ingest(sources=sources, limit=9))
    assert [(file.layout, file.limit) for file in files] == [("baize", 3), (None, 9)]


def test_a_file_in_two_sources_is_read_once_unless_they_disagree(folder: Path) -> None:
    url = f"{folder}/other/a.jsonl"
    assert len(_named(url, f"{folder}/other/*.jsonl")) == 1
    with pytest.raises(SourceError, match="two of the recipe's sources"):
        _named(url, Source(url=url, layout="baize"))


def test_datasets_and_hub_files_are_named_without_being_looked_at() -> None:
    assert _named("datasets://HuggingFaceH4/ultrachat_200k?split=train_sft") == [
        ("ultrachat_200k?split=train_sft", "ultrachat_200k", "")
    ]


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ({"url": "a", "layout": "a b"}, "ingest.sources.0.layout: String should match"),
        ({"url": "a", "layuot": "baize"}, "ingest.sources.0.layuot: no such setting"),
        ({"name": "a"}, "ingest.sources.0.url: Field required"),
        ({"url": "a", "name": "a/b"}, "ingest.sources.0.name: String should match"),
        (3, "ingest.sources.0: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_source_gets_one_clear_line(source: object, where: str) -> None:
    with pytest.raises(RecipeError) as caught:
        small_recipe(ingest={"sources": [source, "fine.json"]})
    assert where in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_plain_address_stays_as_it_was_written() -> None:
    recipe = small_recipe(ingest={"sources": ["a.json", {"url": "b.json"}]})
    assert recipe.canonical()["ingest"]["sources"][0] == "a.json"
    again = overridden(recipe, ("ingest.sources=[c.json]",))
    assert again.ingest.sources == ("c.json",)
