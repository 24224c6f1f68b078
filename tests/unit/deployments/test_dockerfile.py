"""docker/Dockerfile: images that run as nobody in particular, of known versions, and say so."""

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
IMAGES = ("core", "dashboard", "s3", "gpu")
LABELS = ("title", "description", "version", "revision", "source", "licenses")


@dataclass
class Stage:
    """What one FROM begins."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str | None:
        given = [argument for name, argument in self.instructions if name == instruction]
        return given[-1] if given else None


def stages() -> dict[str, Stage]:
    text = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, Stage] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, argument = line.strip().partition(" ")
        if name == "FROM":
            base, _, stage = argument.partition(" AS ")
            found[stage] = Stage(base)
        elif name and found:
            found[next(reversed(found))].instructions.append((name, argument))
    return found


STAGES = stages()


def resolved(image: str, instruction: str) -> str | None:
    """The last ``instruction`` that holds for an image, its bases' included."""
    stage: Stage | None = STAGES[image]
    while stage is not None:
        given = stage.last(instruction)
        if given is not None:
            return given
        stage = STAGES.get(stage.base)
    return None


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_user_of_its_own_and_is_health_checked(image: str) -> None:
    user = STAGES[image].last("USER")  # each image says it itself
    assert user == "10001:10001"
    assert "healthy" in (resolved(image, "HEALTHCHECK") or "")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_what_it_is(image: str) -> None:
    told = []
    stage: Stage | None = STAGES[image]
    while stage is not None:
        told += [argument for name, argument in stage.instructions if name == "LABEL"]
        stage = STAGES.get(stage.base)
    for label in LABELS:
        assert f"org.opencontainers.image.{label}=" in " ".join(told)
    assert STAGES[image].last("LABEL") is not None


def test_the_base_image_is_a_build_argument_of_a_named_version() -> None:
    text = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert "ARG BASE=docker.io/library/python:3.11-slim\n" in text
    assert {stage.base for stage in STAGES.values()} <= {"${BASE}", *STAGES}


def test_every_installation_is_pinned() -> None:
    installs = [
        argument
        for stage in STAGES.values()
        for name, argument in stage.instructions
        if name == "RUN" and re.search(r"\bpip\b.* install ", argument)
    ]
    assert len(installs) == 4
    for command in installs:
        constraint = re.search(r"--constraint (\S+)", command)
        if constraint is None:
            assert re.search(r"\w==\d", command), command
        else:
            assert (PROJECT / constraint[1]).is_file()


def test_what_is_shipped_holds_no_compiler_but_for_the_gpu_which_needs_one() -> None:
    with_gcc = {
        name
        for name, stage in STAGES.items()
        if any("gcc" in argument for which, argument in stage.instructions if which == "RUN")
    }
    assert with_gcc == {"gpu"}


def test_constraints_name_one_exact_version_each_and_no_host() -> None:
    for name in ("constraints-cpu.txt", "constraints-gpu.txt"):
        lines = (PROJECT / "deployments" / "setup" / name).read_text("utf-8").splitlines()
        packages = [line for line in lines if line and not line.startswith("#")]
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in packages)
        keys = [re.split("==", line)[0].lower().replace("_", "-") for line in packages]
        assert len(keys) == len(set(keys))


def test_images_have_the_same_prefect_as_the_tests() -> None:
    files = [
        (PROJECT / "deployments" / "setup" / f"constraints-{kind}.txt").read_text("utf-8")
        for kind in ("cpu", "gpu")
    ]
    for package in ("prefect", "prefect-redis", "sqlalchemy", "fastapi", "torch", "trl"):
        found = [re.findall(rf"(?im)^{package}==(\S+)$", file) for file in files]
        assert found[0] == found[1] != [], package
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "prefect-redis==0.3.0" in extras["optional-dependencies"]["server"]


def test_images_manifests_and_package_have_one_version() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    dockerfile = (PROJECT / "docker" / "Dockerfile").read_text("utf-8")
    assert re.findall(r"(?m)^ARG VERSION=(\S+)$", dockerfile) == [version]
    compose = (PROJECT / "docker" / "compose.yaml").read_text("utf-8")
    assert set(re.findall(r"\$\{PARROT_VERSION:-([^}]+)\}", compose)) == {version}
    kustomization = PROJECT / "deployments" / "kubernetes" / "kustomization.yaml"
    assert set(re.findall(r"newTag: (\S+?)\}", kustomization.read_text("utf-8"))) == {version}
    on_ray = PROJECT / "deployments" / "kubernetes" / "ray" / "kustomization.yaml"
    assert set(re.findall(r"newTag: (\S+?)\}", on_ray.read_text("utf-8"))) == {f"{version}-ray"}


def test_an_image_for_ray_has_one_more_extra_and_the_cluster_names_its_version() -> None:
    text = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    declared = re.findall(r"(?m)^ARG EXTRAS=(\S+)$", text)
    assert len(declared) == 1
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*declared[0].split(","), "ray"} <= extras["optional-dependencies"].keys()
    for kind in ("core", "gpu"):  # an argument counts in the stages that declare it
        assert ("ARG", "EXTRAS") in STAGES[f"build-{kind}"].instructions
        installs = [told for name, told in STAGES[f"build-{kind}"].instructions if name == "RUN"]
        assert "${EXTRAS}]" in installs[-1]
    cluster = PROJECT / "deployments" / "kubernetes" / "ray" / "ray-cluster.yaml"
    (version,) = re.findall(r"(?m)^  rayVersion: (\S+)$", cluster.read_text("utf-8"))
    for kind in ("cpu", "gpu"):
        file = PROJECT / "deployments" / "setup" / f"constraints-{kind}.txt"
        assert f"\nray=={version}\n" in file.read_text("utf-8")
    assert f"ray[default]=={version}" in extras["optional-dependencies"]["ray"]


def test_no_environment_file_gets_into_an_image() -> None:
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"  # only what is named gets in
    assert not any(rule in ("!docker", "!.env", "!.git", "!tests") for rule in rules)
    assert rules.index("**/.env") > max(i for i, rule in enumerate(rules) if rule[0] == "!")


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", folder / "make-env.sh"], capture_output=True, text=True, check=False
    )


def test_made_passwords_are_new_long_safe_in_an_url_and_kept(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("make-env.sh", ".env.example"):
            shutil.copy(PROJECT / "docker" / file, folder / file)
        assert make_env(folder).returncode == 0
        assert os.stat(folder / ".env").st_mode & 0o077 == 0
        text = (folder / ".env").read_text("utf-8")
        made.append(dict(re.findall(r"^([A-Z_]+)=(.+)$", text, re.MULTILINE)))
        again = make_env(folder)
        assert again.returncode == 2
        assert (folder / ".env").read_text("utf-8") == text
    assert len(made[0]) == 7
    for key, value in made[0].items():
        assert re.fullmatch(r"(parrot:)?[0-9a-f]{20,}", value), key
        assert made[1][key] != value
