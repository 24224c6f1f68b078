"""Links and commands in README and docs lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.cli import get_docs_for_click
from typer.core import MARKUP_MODE_KEY

from parrot_cli.main import app

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "parrot_core/**/*.md")
    for path in ROOT.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
NOT_WORDS = re.compile(r"[^\w\- ]")
PATH = re.compile(r"\bdocs/[\w./-]+\.(?:md|png)")
CODE = ("parrot_core", "parrot_cli", "flows", "tasks", "dashboard", "deployments", "docker")
TOPS = (*CODE, "tests", "bench")
COMMAND = typer.main.get_command(app)
CONTEXT = typer.Context(COMMAND, obj={MARKUP_MODE_KEY: app.rich_markup_mode})


@cache
def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+)$", prose(page), flags=re.MULTILINE):
        text = LINK.sub("]", heading).replace("`", "").lower().strip()
        slug = NOT_WORDS.sub("", text).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    dead = []
    for link in LINK.findall(re.sub(r"`[^`]*`(?!\])", "", prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


def test_paths_of_docs_that_code_and_files_name_exist() -> None:
    dead = []
    for top in (*CODE, "docs"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix not in {".py", ".md", ".yaml", ".yml"}:
                continue
            text = path.read_text(encoding="utf-8")
            dead += [f"{path}: {name}" for name in PATH.findall(text) if not (ROOT / name).exists()]
    assert not dead


@cache
def sources() -> list[str]:
    """All files of the project's folders."""
    return [str(path) for top in TOPS for path in (ROOT / top).rglob("*.*")]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_source_files_that_pages_name_exist(page: Path) -> None:
    named = re.findall(
        r"`([\w-]+/[\w./-]+\.(?:py|yaml|yml|sh|j2))`", page.read_text(encoding="utf-8")
    )
    assert [
        name for name in named if not any(path.endswith(f"/{name}") for path in sources())
    ] == []


def shown_commands(page: Path) -> Iterator[str]:
    """Each `parrot …` that a page shows: on a line of a shell block, or in backticks."""
    text = page.read_text(encoding="utf-8")
    for _, language, code in FENCE.findall(text):
        if language in {"console", "sh", "bash"}:
            for line in code.replace("\\\n", " ").splitlines():
                bare = line.strip().removeprefix("$").strip()
                if re.match(r"(\w+=\S* )*parrot\b", bare):
                    yield re.sub(r"^(\w+=\S* )*", "", bare)
    yield from re.findall(r"`(parrot [^`]*)`", FENCE.sub("", text).replace("\n", " "))


def unknown_in(line: str) -> str | None:
    """What of a command line the `parrot` command doesn't know."""
    try:
        first = re.sub(r"--log-format \w+ ", "", line)  # the only option before a command
        words = shlex.split(re.split(r"\s[|>]\s|\s&&\s|;\s", first)[0], comments=True)
    except ValueError:
        return f"{line}: can't be read by a shell"
    command: Any = COMMAND
    known = {option for each in command.params for option in each.opts}
    for word in words[1:]:
        if hasattr(command, "commands") and not word.startswith("-"):
            if word.isupper() or "…" in word or "|" in word:
                return None
            if word not in command.commands:
                return f"{line}: no command {word}"
            command = command.commands[word]
            known |= {o for each in command.params for o in (*each.opts, *each.secondary_opts)}
        elif re.match(r"--?[a-z]", word) and word.split("=")[0] not in known | {"--help"}:
            return f"{line}: no option {word}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_that_pages_show_exist(page: Path) -> None:
    assert not [found for found in map(unknown_in, shown_commands(page)) if found]


def test_a_command_or_option_that_does_not_exist_is_noticed() -> None:
    assert unknown_in("parrot run mine.yaml --set a=b") is None
    assert unknown_in("parrot server start") is None
    assert unknown_in("parrot rum mine.yaml") == "parrot rum mine.yaml: no command rum"
    assert unknown_in("parrot run x --sett a=b") == "parrot run x --sett a=b: no option --sett"


def test_the_command_reference_is_up_to_date() -> None:
    made = get_docs_for_click(obj=COMMAND, ctx=CONTEXT, name="parrot").strip() + "\n"
    written = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert written == made, "run: make docs"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        links = (link.split("#")[0] for link in LINK.findall(prose(page)) if ":" not in link)
        targets = {(page.parent / link).resolve() for link in links if link.endswith(".md")}
        todo += [target for target in targets if target not in reached]
    pages = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
    assert [page for page in pages if page not in reached] == []


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "parrot_core").glob("*/__init__.py")]
    assert len(rooms) > 10
    assert [room for room in rooms if f"`{room}/`" not in text] == []
