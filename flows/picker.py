"""The run picker of ``retry-failed``: Prefect's form offers the runs that aren't done."""

from collections.abc import Sequence
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.exceptions import ObjectNotFound

from parrot_core.execution.runs import is_published, open_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.run_records import newest_runs
from parrot_core.stages.registry import STAGES

RETRY = "retry-failed/retry-failed"
MOST = 50
"""Runs offered, the newest: a form is no archive; the command line knows all of them."""


def open_runs(lake: Lake) -> list[str]:
    """Runs that lack a version, the newest first."""
    found = [open_run(lake, name) for name in newest_runs(lake.storage)[:MOST]]
    last_first = STAGES[::-1]  # what an open run lacks is found at once
    return [run.name for run in found if not all(is_published(run, each) for each in last_first)]


def offering(schema: dict[str, Any], runs: Sequence[str]) -> dict[str, Any]:
    """A deployment's parameter schema whose ``run`` is one of these; any text without any."""
    properties = dict(schema.get("properties") or {})
    field = {key: value for key, value in (properties.get("run") or {}).items() if key != "enum"}
    properties["run"] = {**field, **({"enum": list(runs)} if runs else {})}
    return {**schema, "properties": properties}


def refresh(lake: Lake) -> bool:
    """Offer the lake's open runs in the form; False where nothing is deployed.

    The server checks what is started from the form, or by API, against the same list. Hence it
    is written when a run begins, too: one whose process is killed is in it.
    """
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(RETRY)
        except ObjectNotFound:
            return False
        schema = offering(deployment.parameter_openapi_schema or {}, open_runs(lake))
        update = DeploymentUpdate(parameter_openapi_schema=schema)
        client.update_deployment(deployment.id, update)
    return True
