"""Files of a training between two nodes: two processes over gloo, each in a folder of its own."""

import os
import subprocess
import sys

import pytest

from tests.support.servers.ports import free_port

pytestmark = pytest.mark.engine

PROGRAM = """
import os, sys
from pathlib import Path
import torch.distributed as dist
from parrot_core.stages.training import between_nodes
between_nodes.CHUNK = 7
dist.init_process_group("gloo")
nodes = between_nodes.other_nodes()
nodes.copied(Path("model"), Path("base"))
nodes.copied(Path("rows.jsonl"), Path("rows.jsonl"))
shared = Path(sys.argv[1])
assert nodes.copied(shared, Path("not needed")) == shared
assert nodes.told(os.environ["RANK"]) == "0"
nodes.collect(Path("checkpoint"))
dist.destroy_process_group()  # whose threads else abort the process at its end
"""


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_a_node_gets_the_first_ones_files_and_gives_it_what_it_wrote(tmp_path):
    first, second, shared = (tmp_path / name for name in ("first", "second", "shared"))
    for folder in (first / "model" / "sub", second / "model", shared):
        folder.mkdir(parents=True)
    (first / "model" / "weights.bin").write_bytes(bytes(range(50)))
    (first / "model" / "sub" / "empty.txt").touch()
    (first / "rows.jsonl").write_text("{}")
    (second / "model" / "weights.bin").write_bytes(b"of an older training" * 2)
    (second / "rows.jsonl").write_text("of an older training")
    (shared / "weights.bin").write_bytes(b"on a volume that both see")
    for rank, folder in enumerate((first, second)):
        (folder / "checkpoint").mkdir()
        (folder / "checkpoint" / f"rng_state_{rank}.pth").write_text(f"random state {rank}")
    port, processes = str(free_port()), []
    for rank, folder in enumerate((first, second)):
        told = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}
        told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        command = [sys.executable, "-c", PROGRAM, str(shared)]
        processes.append(subprocess.Popen(command, env={**os.environ, **told}, cwd=folder))
    assert [process.wait(120) for process in processes] == [0, 0]
    assert contents(second / "base") == contents(first / "model")
    assert (second / "rows.jsonl").read_text() == "{}"
    assert not (second / "not needed").exists()
    states = {f"rng_state_{rank}.pth": f"random state {rank}".encode() for rank in range(2)}
    assert contents(first / "checkpoint") == states
