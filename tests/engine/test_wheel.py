"""The wheel runs without a checkout: recipes and deployment files are inside."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.split(b"\0")
    for name in filter(None, map(bytes.decode, files)):
        if name.startswith(("docs/", "tests/", "bench/")) or not (ROOT / name).is_file():
            continue
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir"]
    subprocess.run([*command, str(folder), str(source)], check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_recipes_deployments_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.name.startswith("parrot_factory-0.2.0-")
    for name in (
        "deployments/recipes/demo.yaml",
        "deployments/recipes/data-only.yaml",
        "deployments/prefect.yaml",
        "deployments/ablations/table3.yaml",
        "deployments/prometheus/alerts.yml",
        "parrot_core/benchmarks/parrot_bench_8/question.jsonl",
        "parrot_core/engines/limits/prices.yaml",
        "dashboard/style.css",
    ):
        assert name in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "bench/")) for name in names)


def test_it_validates_and_plans_without_a_checkout(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = venv / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([str(python), *install], check=True)
    # What it depends on is taken from this environment, but no editable install of ours is.
    ours = sysconfig.get_path("purelib")
    theirs = next((venv / "lib").glob("python*/site-packages"))
    (theirs / "zz-dependencies.pth").write_text(f"import sys; sys.path.append({ours!r})\n")
    environment = {"PATH": str(venv / "bin"), "HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path)}

    def parrot(*arguments: str) -> str:
        done = subprocess.run(
            [str(venv / "bin" / "parrot"), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [str(python), "-c", "import parrot_core, flows.deploy as d; print(d.PREFECT_YAML)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert Path(where).is_relative_to(venv)
    assert Path(where).is_file()
    assert parrot("--version") == "parrot 0.2.0\n"
    assert "It makes: ingest, assemble, seeds" in parrot("validate", "data-only")
    parrot("init", "mine.yaml", "--from", "data-only", "--set", "stages=[seeds, synthesize]")
    assert (tmp_path / "mine.yaml").is_file()
    assert "run 'paper'" not in parrot("plan", "paper")
