"""deployments/kubernetes: pods that a restricted namespace admits, and GPUs that are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.deploy import POOLS
from flows.logs import JSON_ENVIRONMENT, RUN_LOGS_ENVIRONMENT

FOLDER = Path(__file__).resolve().parents[3] / "deployments" / "kubernetes"
RUN_ON_RAY = "ray/run.yaml"  # created for each run, not applied


def kustomization(folder: str = "") -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text("utf-8")))


KUSTOMIZATION, ON_RAY = kustomization(), kustomization("ray")


def resources() -> Iterator[dict[str, Any]]:
    files = [*KUSTOMIZATION["resources"], *(f"ray/{file}" for file in ON_RAY["resources"])]
    for file in (*files, RUN_ON_RAY):
        yield from yaml.safe_load_all((FOLDER / file).read_text("utf-8"))


def pods_of(resource: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    spec = resource.get("spec", {})
    if resource["kind"] in ("Deployment", "Job"):
        yield resource["metadata"]["name"], spec["template"]
    if resource["kind"] == "RayCluster":
        yield "ray-head", spec["headGroupSpec"]["template"]
        for group in spec["workerGroupSpecs"]:
            yield f"ray-{group['groupName']}", group["template"]
    if resource["kind"] == "RayJob":
        yield "ray-submit", spec["submitterPodTemplate"]


RESOURCES = list(resources())
PODS = {name: pod for each in RESOURCES for name, pod in pods_of(each)}
WORKERS = {name: pod for name, pod in PODS.items() if name.startswith("worker-")}
every_pod = pytest.mark.parametrize("name", sorted(PODS))


def container(name: str) -> dict[str, Any]:
    (only,) = PODS[name]["spec"]["containers"]
    return dict(only)


def test_every_file_is_applied() -> None:
    files = {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.yaml")}
    known = {*KUSTOMIZATION["resources"], *(f"ray/{file}" for file in ON_RAY["resources"])}
    assert files == known | {"kustomization.yaml", "ray/kustomization.yaml", RUN_ON_RAY}


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
    applied = ON_RAY if name.startswith("ray-") else KUSTOMIZATION
    pinned = {image["name"]: image["newTag"] for image in applied["images"]}
    assert pinned[repository] == tag != "latest"


def test_only_gpu_workers_ask_for_gpus_and_say_the_same_number_twice() -> None:
    for name in PODS:
        wanted = container(name)["resources"]
        number = wanted["limits"].get("nvidia.com/gpu", 0)
        assert (number > 0) == name.endswith("-gpu")
        assert wanted["requests"].get("nvidia.com/gpu", 0) == number
    gpu = next(each for each in RESOURCES if each["metadata"]["name"] == "worker-gpu")
    assert gpu["spec"]["strategy"] == {"type": "Recreate"}
    for name in ("worker-gpu", "ray-gpu"):
        tolerated = [each["key"] for each in PODS[name]["spec"]["tolerations"]]
        assert tolerated == ["nvidia.com/gpu"]


@every_pod
def test_what_goes_on_is_probed(name: str) -> None:
    if name == "ray-submit":
        assert PODS[name]["spec"]["restartPolicy"] == "Never"  # it only waits for its job
    elif name == "deploy":
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
            cluster = {"ray.io/cluster": "parrot"}  # KubeRay's own label
            assert chosen == cluster or chosen["app.kubernetes.io/name"] in labels


def test_the_nodes_of_ray_are_one_cluster_that_only_its_own_and_drivers_reach() -> None:
    (cluster,) = (each for each in RESOURCES if each["kind"] == "RayCluster")
    (run,) = (each for each in RESOURCES if each["kind"] == "RayJob")
    assert run["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    assert run["spec"]["entrypoint"].split()[:2] == ["parrot", "run"]
    recipe, place = run["spec"]["entrypoint"].split()[2], {"name": "recipe", "mountPath": "/recipe"}
    assert place | {"readOnly": True} in container("ray-head")["volumeMounts"]
    assert recipe.startswith("/recipe/")
    assert cluster["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    (policy,) = (each for each in RESOURCES if each["metadata"].get("name") == "ray")
    (allowed,) = policy["spec"]["ingress"]
    assert allowed["from"], "an empty list would be everybody"
    assert all(each["podSelector"] for each in allowed["from"])


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
