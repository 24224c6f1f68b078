"""Chat templates that mark the turns a model shall learn, and that travel with the checkpoint.

``{% generation %}`` blocks surround the content and the end of the learned role's turns, so that
TRL puts the loss there and nowhere else (Sun et al. 2024, §3.1 for the user's turns, §3.2 for the
assistant's). Under ``add_generation_prompt`` the template opens a turn of that role: Parrot-Ask,
served with it, writes the next user query. Whatever it renders is the beginning of what it renders
when a message more has come.

Two fields of a message are the trainer's: ``learn: false`` takes its loss away, ``cut: true`` says
that its writer was stopped by a limit, so that its end is no end: it is not learned, and not even
written where nothing follows.
"""

import json
import re
from dataclasses import asdict
from typing import Any

from parrot_core.stages.training.markup import LearnedRole, Markup, TurnMarkup

_PUBLISHED = re.compile(r"\{#- parrot (\{.*\}) -#\}")


def chat_template(markup: Markup, learned: LearnedRole) -> str:
    """Write the Jinja template that marks and generates the turns of one role."""
    text = "{{- lead + message['content'] | trim -}}"
    end = "{{- turn.end -}}"
    return "\n".join(
        (
            "{#- parrot " + _header(markup, learned) + " -#}",
            "{%- set turns = {" + _turns(markup) + "} -%}",
            "{%- set seen = namespace(system=false, closing='') -%}",
            "{{- " + _quote(markup.prefix) + " -}}",
            *_without_system(markup),
            "{%- for message in messages -%}",
            "{%- set turn = turns[message['role']] -%}",
            "{%- set joined = seen.system and message['role'] == 'user' -%}",
            "{%- set lead = '' if joined else turn.lead -%}",
            "{{- seen.closing + ('' if joined else turn.opening) -}}",
            "{%- set cut = message['cut'] is defined and message['cut'] == true -%}",
            "{%- set skipped = message['learn'] is defined and message['learn'] == false -%}",
            "{%- if message['role'] != " + _quote(learned) + " or skipped -%}",
            text + "{%- if not (cut and loop.last) -%}" + end + "{%- endif -%}",
            "{%- elif cut -%}",
            "{%- generation -%}" + text + "{%- endgeneration -%}",
            "{%- if not loop.last -%}" + end + "{%- endif -%}",
            "{%- else -%}",
            "{%- generation -%}" + text + end + "{%- endgeneration -%}",
            "{%- endif -%}",
            "{%- set seen.closing = turn.closing -%}",
            f"{{%- set seen.system = {_after_system(markup)} -%}}",
            "{%- endfor -%}",
            "{%- if add_generation_prompt and not seen.system -%}",
            "{{- seen.closing + turns[" + _quote(learned) + "].opening -}}",
            "{%- endif -%}",
        )
    )


def published_markup(template: str, learned: LearnedRole) -> Markup | None:
    """The markup of a template that this module wrote for that role; None for any other."""
    found = _PUBLISHED.match(template)
    if found is None:
        return None
    try:
        header: dict[str, Any] = json.loads(found[1])
        turns = {role: TurnMarkup(**turn) for role, turn in header["turns"].items()}
        header |= {"turns": turns} | {name: tuple(header[name]) for name in ("control", "notes")}
        learned_then = header.pop("learned")
        markup = Markup(**header)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    whole = learned_then == learned and chat_template(markup, learned) == template
    return markup if whole else None


def _header(markup: Markup, learned: LearnedRole) -> str:
    fields = json.dumps({"learned": learned, **asdict(markup)})
    return fields.replace("#}", "\\u0023}")


def _turns(markup: Markup) -> str:
    fields = ("opening", "lead", "end", "closing")
    return ", ".join(
        f"{_quote(role)}: {{"
        + ", ".join(f"{_quote(name)}: {_quote(getattr(turn, name))}" for name in fields)
        + "}"
        for role, turn in markup.turns.items()
    )


def _without_system(markup: Markup) -> tuple[str, ...]:
    if not markup.without_system:
        return ()
    text = _quote(markup.without_system)
    return ("{%- if messages[0]['role'] != 'system' -%}{{- " + text + " -}}{%- endif -%}",)


def _after_system(markup: Markup) -> str:
    """Whether the next query continues what was just written."""
    return "message['role'] == 'system'" if markup.system_opens_query else "false"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
