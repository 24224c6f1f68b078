"""docker/compose.yaml: what an operator can rely on before anything is started."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.logs import JSON_ENVIRONMENT, RUN_LOGS_ENVIRONMENT

PROJECT = Path(__file__).resolve().parents[3]
FOLDER = PROJECT / "docker"
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"bucket", "deploy"}
OURS = {name for name, each in SERVICES.items() if each["image"].startswith("parrot-factory/")}
SECRETS = (
    "PREFECT_AUTH",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "PARROT_DASHBOARD_PASSWORD",
    "GRAFANA_PASSWORD",
)
every_service = pytest.mark.parametrize("name", sorted(SERVICES))


def test_the_whole_system_is_there() -> None:
    assert set(SERVICES) == {
        *("postgres", "redis", "s3", "bucket", "server", "services", "deploy"),
        *("worker-cpu", "worker-api", "worker-gpu", "vllm"),
        *("metrics", "dashboard", "prometheus", "grafana"),
    }


@every_service
def test_what_goes_on_is_health_checked_and_what_ends_is_not(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if name in ONCE:
        assert check == {"disable": True}
        assert SERVICES[name]["restart"] == "no"
    else:
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= check.keys()
        assert SERVICES[name]["restart"] == "unless-stopped"


@every_service
def test_no_service_runs_as_root_or_may_become_it(name: str) -> None:
    service = SERVICES[name]
    if name not in OURS:  # our images say so themselves: test_dockerfile
        assert str(service["user"]) not in ("root", "0", "0:0")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@every_service
def test_no_image_is_whatever_is_newest(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.search(r"\d+\.\d+", tag), SERVICES[name]["image"]


@every_service
def test_every_service_has_limits(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert limits.keys() == {"cpus", "memory"}


@every_service
def test_a_service_waits_for_services_that_there_are(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert other in SERVICES
        assert how == {"condition": expected}


@pytest.mark.parametrize("variable", SECRETS)
def test_nothing_starts_without_a_secret_and_none_is_in_the_file(variable: str) -> None:
    uses = re.findall(r"\$\{" + variable + r"([^}]*)\}", TEXT)
    assert uses
    assert all(use.startswith(":?") for use in uses), uses


def test_a_secret_is_only_ever_a_variable() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN|AUTH_STRING", key) and value is not None:
                assert value.startswith("${"), f"{name}: {key}"


def test_the_example_of_the_environment_names_every_secret_and_gives_none() -> None:
    example = (FOLDER / ".env.example").read_text(encoding="utf-8").splitlines()
    for variable in SECRETS:
        assert f"#{variable}=" in example


def test_every_variable_of_the_file_is_in_the_example() -> None:
    example = (FOLDER / ".env.example").read_text(encoding="utf-8")
    known = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT))
    for service in SERVICES.values():
        given = service.get("environment", {})
        used |= {key for key, value in given.items() if value is None}
    assert used - known <= {"PARROT_VERSION", "PARROT_REVISION"}


@every_service
def test_ports_are_open_to_this_machine_only_unless_asked_otherwise(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("${PARROT_BIND:-127.0.0.1}:")


def test_server_and_dashboards_want_a_password_and_nothing_else_is_reachable() -> None:
    reachable = {name for name, service in SERVICES.items() if service.get("ports")}
    assert reachable == {"server", "dashboard", "grafana"}
    assert "PREFECT_SERVER_API_AUTH_STRING" in SERVICES["server"]["environment"]
    assert "PARROT_DASHBOARD_PASSWORD" in SERVICES["dashboard"]["environment"]
    grafana = SERVICES["grafana"]["environment"]
    assert "GF_SECURITY_ADMIN_PASSWORD" in grafana
    assert grafana["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def test_providers_keys_are_given_to_workers_only() -> None:
    holders = {
        name for name, each in SERVICES.items() if "OPENAI_API_KEY" in each.get("environment", {})
    }
    assert holders == {"worker-cpu", "worker-api", "worker-gpu"}


def test_workers_log_as_parrot_does_where_machines_read() -> None:
    for name in ("worker-cpu", "worker-api", "worker-gpu"):
        told = SERVICES[name]["environment"]
        for variable, value in (JSON_ENVIRONMENT | RUN_LOGS_ENVIRONMENT).items():
            assert told[variable] in (value, f"${{PARROT_LOG_FORMATTER:-{value}}}")


def test_gpus_are_asked_for_by_the_gpu_profile_alone() -> None:
    asking = {
        name
        for name, service in SERVICES.items()
        if "reservations" in service["deploy"]["resources"]
    }
    assert asking == {"worker-gpu", "vllm"}
    assert {name for name, each in SERVICES.items() if each.get("profiles") == ["gpu"]} == asking


def test_mounted_files_and_named_volumes_are_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", volume).split(":")[0]
            if source == "/var/lib/parrot":  # nameless, gone with its container
                continue
            if not source.startswith("."):
                assert source in COMPOSE["volumes"], name
            elif source != "./sources":  # made by the operator
                assert (FOLDER / source).exists(), f"{name}: {source}"
