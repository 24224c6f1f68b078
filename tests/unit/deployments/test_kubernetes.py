"""deployments/kubernetes: pods that a restricted namespace admits, and GPUs that are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.deploy import POOLS
from flows.logs import JSON_ENVIRONMENT, RUN_LOGS_ENVIRONMENT

FOLDER = Path(__file__).resolve().parents[3] / "deployments" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))


def resources() -> Iterator[dict[str, Any]]:
    for file in KUSTOMIZATION["resources"]:
        yield from yaml.safe_load_all((FOLDER / file).read_text("utf-8"))


RESOURCES = list(resources())
PODS = {
    each["metadata"]["name"]: each["spec"]["template"]
    for each in RESOURCES
    if each["kind"] in ("Deployment", "Job")
}
WORKERS = {name: pod for name, pod in PODS.items() if name.startswith("worker-")}
every_pod = pytest.mark.parametrize("name", sorted(PODS))


def container(name: str) -> dict[str, Any]:
    (only,) = PODS[name]["spec"]["containers"]
    return dict(only)


def test_every_file_is_applied() -> None:
    files = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


def test_every_pool_has_a_worker() -> None:
    pools = {"parrot-" + name.removeprefix("worker-") for name in WORKERS}
    assert pools == POOLS.keys()
    for name in WORKERS:
        command = container(name)["command"]
        assert command[:3] == ["prefect", "worker", "start"]
        assert command[command.index("--pool") + 1] == "parrot-" + name.removeprefix("worker-")


def test_workers_log_as_parrot_does_where_machines_read() -> None:
    (config,) = (each["data"] for each in RESOURCES if each["kind"] == "ConfigMap")
    assert config.items() >= (JSON_ENVIRONMENT | RUN_LOGS_ENVIRONMENT).items()


@every_pod
def test_a_pod_is_admitted_where_root_is_refused(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    security = container(name)["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}


@every_pod
def test_a_pod_has_limits_and_an_image_whose_version_is_set(name: str) -> None:
    only = container(name)
    assert only["resources"]["requests"].keys() >= {"cpu", "memory"}
    assert only["resources"]["limits"].keys() >= {"cpu", "memory"}
    repository, _, tag = only["image"].partition(":")
    pinned = {image["name"]: image["newTag"] for image in KUSTOMIZATION["images"]}
    assert pinned[repository] == tag != "latest"


def test_only_the_gpu_worker_asks_for_gpus_and_says_the_same_number_twice() -> None:
    for name in PODS:
        wanted = container(name)["resources"]
        number = wanted["limits"].get("nvidia.com/gpu", 0)
        assert (number > 0) == (name == "worker-gpu")
        assert wanted["requests"].get("nvidia.com/gpu", 0) == number
    gpu = next(each for each in RESOURCES if each["metadata"]["name"] == "worker-gpu")
    assert gpu["spec"]["strategy"] == {"type": "Recreate"}
    tolerated = [each["key"] for each in PODS["worker-gpu"]["spec"]["tolerations"]]
    assert tolerated == ["nvidia.com/gpu"]


@every_pod
def test_what_goes_on_is_probed(name: str) -> None:
    if name == "deploy":
        assert PODS[name]["spec"]["restartPolicy"] == "OnFailure"
    else:
        assert "livenessProbe" in container(name)
        ports = {port["name"] for port in container(name)["ports"]}
        probe = container(name)["livenessProbe"]
        (kind,) = probe.keys() & {"httpGet", "tcpSocket"}
        assert probe[kind]["port"] in ports


@every_pod
def test_mounts_have_volumes_and_selectors_have_pods(name: str) -> None:
    volumes = {volume["name"] for volume in PODS[name]["spec"]["volumes"]}
    assert {mount["name"] for mount in container(name)["volumeMounts"]} == volumes


def test_services_and_policies_select_pods_that_there_are() -> None:
    labels = {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in PODS.values()}
    for each in RESOURCES:
        if each["kind"] == "Service":
            assert each["spec"]["selector"]["app.kubernetes.io/name"] in labels
        if each["kind"] == "Deployment":
            wanted = each["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= each["spec"]["template"]["metadata"]["labels"].items()
        if each["kind"] == "NetworkPolicy" and each["spec"]["podSelector"]:
            chosen = each["spec"]["podSelector"]["matchLabels"]
            assert chosen["app.kubernetes.io/name"] in labels


def test_workers_do_not_know_the_dashboards_password() -> None:
    shared = {
        source["secretRef"]["name"]
        for name in WORKERS
        for source in container(name)["envFrom"]
        if "secretRef" in source
    }
    (password,) = [
        variable["valueFrom"]["secretKeyRef"]
        for variable in container("dashboard")["env"]
        if variable["name"] == "PARROT_DASHBOARD_PASSWORD"
    ]
    assert password["name"] not in shared


def test_no_secret_is_in_a_file() -> None:
    assert not any(each["kind"] == "Secret" for each in RESOURCES)
    for each in RESOURCES:
        if each["kind"] == "ConfigMap":
            assert not any("KEY" in key or "PASSWORD" in key for key in each["data"])
    for name in PODS:
        assert all("value" not in variable for variable in container(name).get("env", []))
