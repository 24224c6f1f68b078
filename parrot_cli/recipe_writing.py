"""Writes a shipped recipe with some values changed; comments and the rest of its text stay."""

from collections.abc import Mapping

import yaml

from parrot_core.errors import UserError


def filled(text: str, values: Mapping[str, str]) -> str:
    """A recipe's text with values replaced in place, or added where there are none.

    Args:
        values: YAML values by ``key.path``.

    Raises:
        UserError: a path leads through a value that holds no settings, or no YAML.
    """
    for path, value in values.items():
        text = _with(text, path.split("."), value, path)
    return text


def as_yaml(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=100_000)
    return str(text).removesuffix("...\n").strip()


def _with(text: str, keys: list[str], value: str, path: str) -> str:
    node = yaml.compose(text, yaml.SafeLoader)
    try:
        yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"--set {path}: {value!r} is not a YAML value") from None
    for place, key in enumerate(keys):
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"--set {path}: '{keys[place - 1]}' holds a value, not settings")
        found = next((below for name, below in node.value if name.value == key), None)
        if found is None:
            return _added(text, node, keys[place:], value)
        node = found
    assert node is not None
    start, end = node.start_mark.index, node.end_mark.index
    kept = text[start:end].rstrip()
    # A value of several lines keeps what follows it on a line of its own.
    return text[:start] + value + text[start + len(kept) :]


def _added(text: str, into: yaml.MappingNode, keys: list[str], value: str) -> str:
    """The text with a new setting at the end of a mapping."""
    for key in reversed(keys[1:]):
        value = f"{{{key}: {value}}}"
    entry = f"{keys[0]}: {value}"
    end = into.end_mark.index
    if into.flow_style:
        comma = ", " if into.value else ""
        return f"{text[: end - 1]}{comma}{entry}{text[end - 1 :]}"
    last = into.value[-1][1].end_mark.index if into.value else end
    line_end = text.find("\n", len(text[:last].rstrip()))
    at = len(text) if line_end < 0 else line_end + 1
    column = into.value[0][0].start_mark.column if into.value else 0
    lead = "" if text[:at].endswith("\n") or not at else "\n"
    return f"{text[:at]}{lead}{' ' * column}{entry}\n{text[at:]}"
