"""Chat templates that mark the turns a model shall learn, and that travel with the checkpoint.

``{% generation %}`` blocks surround the content and the end of the learned role's turns, so that
TRL puts the loss there and nowhere else (Sun et al. 2024, §3.1 for the user's turns, §3.2 for the
assistant's). Under ``add_generation_prompt`` the template opens a turn of that role: Parrot-Ask,
served with it, writes the next user query.

A template renders the messages it is given and no system prompt of its own, in training and
serving alike: one that training has and serving lacks (or the reverse) shifts every position.
SmolLM2's own template would add one. Qwen is the exception, since all of its models were trained
with theirs; ours then writes it in training and serving alike.
"""

from parrot_core.stages.training.markup import LearnedRole, Markup


def chat_template(markup: Markup, learned: LearnedRole, learn_first_query: bool = True) -> str:
    """Write the Jinja template that marks and generates the turns of one role.

    Args:
        markup: how the model's family spells a turn.
        learned: the role whose content and end carry the loss.
        learn_first_query: whether the opening query counts (only where ``learned`` is ``user``).
    """
    condition = f"message['role'] == {_quote(learned)}"
    if learned == "user" and not learn_first_query:
        condition += " and seen.queries > 1"
    written = "{{- lead + message['content'] | trim + turn.end -}}"
    return "\n".join(
        (
            "{%- set turns = {" + _turns(markup) + "} -%}",
            "{%- set seen = namespace(queries=0, system=false) -%}",
            "{{- " + _quote(markup.prefix) + " -}}",
            *_default_system(markup),
            "{%- for message in messages -%}",
            "{%- set turn = turns[message['role']] -%}",
            "{%- if message['role'] == 'user' -%}",
            "{%- set seen.queries = seen.queries + 1 -%}",
            "{%- endif -%}",
            "{%- set joined = seen.system and message['role'] == 'user' -%}",
            "{%- set lead = '' if joined else turn.lead -%}",
            "{{- '' if joined else turn.opening -}}",
            "{%- if " + condition + " -%}",
            "{%- generation -%}" + written + "{%- endgeneration -%}",
            "{%- else -%}",
            written,
            "{%- endif -%}",
            "{{- turn.closing -}}",
            f"{{%- set seen.system = {_after_system(markup)} -%}}",
            "{%- endfor -%}",
            "{%- if add_generation_prompt and not seen.system -%}",
            "{{- turns[" + _quote(learned) + "].opening -}}",
            "{%- endif -%}",
        )
    )


def _turns(markup: Markup) -> str:
    fields = ("opening", "lead", "end", "closing")
    return ", ".join(
        f"{_quote(role)}: {{"
        + ", ".join(f"{_quote(name)}: {_quote(getattr(turn, name))}" for name in fields)
        + "}"
        for role, turn in markup.turns.items()
    )


def _default_system(markup: Markup) -> tuple[str, ...]:
    if markup.default_system is None:
        return ()
    turn = markup.turns["system"]
    text = turn.opening + turn.lead + markup.default_system + turn.end + turn.closing
    return ("{%- if messages[0]['role'] != 'system' -%}{{- " + _quote(text) + " -}}{%- endif -%}",)


def _after_system(markup: Markup) -> str:
    """Whether the next query continues what was just written."""
    return "message['role'] == 'system'" if markup.system_opens_query else "false"


def _quote(text: str) -> str:
    """Write a Jinja string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
