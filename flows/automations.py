"""The automations that ship with the factory: who is told when, and what is retried."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState, DoNothing, RunDeployment
from prefect.events.schemas.automations import EventTrigger, Posture
from pydantic import SecretStr

from flows.announce import BUDGET, PARTIAL, PAUSED, STUCK
from flows.server_outage import SILENT_S

BLOCK = "parrot-webhook"
ONCE_WITHIN = timedelta(seconds=10)
"""One event acts once. Prefect may evaluate an event twice that overtook the one it follows, and
with no time at all both would act."""

LOST = "Lost"
"""Name of the state, of the type CRASHED, of a flow run whose process went without a word."""
_ENDS = ("Completed", "Failed", "Cancelled", "Crashed", LOST)

WHOLE_RUNS: dict[str, str | list[str]] = {
    "prefect.resource.role": "tag",
    "prefect.resource.id": "prefect.tag.whole-run",
}
"""Flow runs of the deployment ``regenerate``."""


PARTS_OF_RUNS: dict[str, str | list[str]] = {
    "prefect.resource.role": "tag",
    "prefect.resource.id": ["prefect.tag.stage", "prefect.tag.retry", "prefect.tag.ablation"],
}


def automations(
    webhook: UUID | None, regenerate: UUID | None, silent_s: int = SILENT_S
) -> list[Automation]:
    """All automations.

    Args:
        webhook: the block that is called; without it they are there to look at and notify nobody.
        regenerate: the deployment that runs a crashed run again; without it nothing is retried.
        silent_s: how long a flow run's heartbeat may be silent before its process counts as gone.
    """
    of_runs = {"prefect.resource.id": "prefect.flow-run.*"}
    of_ours = {"prefect.resource.id": "parrot.run.*"}
    told = [
        _told(
            "run failed or crashed",
            {f"prefect.flow-run.{name}" for name in ("Failed", "Crashed", LOST)},
            of_runs,
            webhook,
            related=WHOLE_RUNS,
        ),
        _told("shards failed", {PARTIAL}, of_ours, webhook),
        _told("budget reached", {BUDGET}, of_ours, webhook),
        _told("provider refuses, or run paused", {PAUSED}, of_ours, webhook),
        _told("no progress", {STUCK}, of_ours, webhook),
    ]
    parts = _silent("stage", PARTS_OF_RUNS, silent_s)
    found = [_silent_run(regenerate, silent_s), parts]
    return [*told, *found, *([_again(regenerate)] if regenerate else [])]


def install(url: str | None, regenerate: UUID | None, silent_s: int = SILENT_S) -> list[str]:
    """Create the automations on the server, replacing earlier ones of ours; returns their names.

    The webhook's address may hold a token: it is kept in a block, which the server encrypts.
    """
    block: UUID | None = None
    if url is not None:
        block = Webhook(url=SecretStr(url)).save(BLOCK, overwrite=True)  # type: ignore[assignment]
    made = automations(block, regenerate, silent_s)
    for automation in made:
        _remove(automation.name)
        automation.create()
    return [automation.name for automation in made]


def _remove(name: str) -> None:
    try:
        cast(Automation, Automation.read(name=name)).delete()
    except ValueError:  # there is none
        return


def _told(
    what: str,
    events: set[str],
    match: dict[str, str],
    webhook: UUID | None,
    related: dict[str, str | list[str]] | None = None,
) -> Automation:
    trigger = EventTrigger(
        expect=events,
        match=match,
        match_related=related or {},
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=ONCE_WITHIN,
    )
    actions: Sequence[CallWebhook | DoNothing] = [DoNothing()]
    if webhook is not None:
        actions = [CallWebhook(block_document_id=webhook, payload=_payload(what))]
    return Automation(name=f"parrot: {what}", trigger=trigger, actions=list(actions))


def _payload(what: str) -> str:
    """A jinja template of JSON: ``text`` is what Slack, Teams and Mattermost show, ``content``
    what Discord does.
    """
    return (
        "{% set text %}Parrot Factory: " + what + ": {{ event.resource.name }} "
        "{{ event.resource.get('parrot.stage', '') }} "
        "{{ event.resource.get('parrot.detail', '') }}{% endset %}"
        '{"text": {{ text | trim | tojson }}, "content": {{ text | trim | tojson }}, '
        '"event": {{ event.event | tojson }}, "run": {{ event.resource.name | tojson }}}'
    )


def _silent(what: str, match: dict[str, str | list[str]], silent_s: int) -> Automation:
    """Worker and flow killed together: nothing but the missing heartbeat tells."""
    ended = {f"prefect.flow-run.{name}" for name in _ENDS}
    trigger = EventTrigger(
        after={"prefect.flow-run.heartbeat"},
        expect={"prefect.flow-run.heartbeat", *ended},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related=match,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=silent_s),
    )
    action = ChangeFlowRunState(
        state=StateType.CRASHED,
        name=LOST,
        message=f"no heartbeat for {silent_s} s: its process is gone",
    )
    return Automation(name=f"parrot: {what} without a process", trigger=trigger, actions=[action])


def _silent_run(regenerate: UUID | None, silent_s: int) -> Automation:
    """A whole run without a process is gone on with by the same automation that finds it.

    Not by one that reacts to the new state: such an event waits for the one before it, and a
    server that was restarted in between and keeps their order in memory lets it wait 15 minutes.
    """
    found = _silent("run", WHOLE_RUNS, silent_s)
    again = [_go_on(regenerate)] if regenerate else []
    return found.model_copy(update={"actions": [*found.actions, *again]})


def _again(regenerate: UUID) -> Automation:
    """A crashed run is gone on with. One that failed isn't: it would fail again."""
    trigger = EventTrigger(
        expect={"prefect.flow-run.Crashed"},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related=WHOLE_RUNS,
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=ONCE_WITHIN,
    )
    return Automation(
        name="parrot: go on with a crashed run", trigger=trigger, actions=[_go_on(regenerate)]
    )


def _go_on(regenerate: UUID) -> RunDeployment:
    """The run again, under its name and with what it was asked for."""
    asked = {name: _as_asked(name) for name in ("recipe", "until", "only", "on_pools")}
    run = {"__prefect_kind": "jinja", "template": "{{ flow_run.name }}"}
    return RunDeployment(
        source="selected", deployment_id=regenerate, parameters={**asked, "run": run}
    )


def _as_asked(parameter: str) -> dict[str, Any]:
    """The value that the crashed flow run had for a parameter, which may be no text."""
    value = f"{{{{ flow_run.parameters.get('{parameter}') | tojson }}}}"
    return {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": value}}
