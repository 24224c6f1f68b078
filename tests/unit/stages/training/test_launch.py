import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parrot_core.errors import MissingPackage, RunStopped, TrainingFailed
from parrot_core.recipe import Devices, TrainSft
from parrot_core.stages.training import launch as launching
from parrot_core.stages.training.job import TrainingJob, load_job
from parrot_core.stages.training.launch import command_of, explain, prepare, run_training

START = """
import json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1]).parent
(folder / 'pid').write_text(str(os.getpid()))
def say(**line):
    with open(folder / 'progress.jsonl', 'a') as f: f.write(json.dumps(line) + '\\n')
def finish(**figures):
    (folder / 'metrics.json').write_text(json.dumps(figures))
"""


@pytest.fixture
def job(tmp_path):
    settings = TrainSft(base="x", per_device_batch_size=8, max_length=512)
    return TrainingJob(
        kind="sft", model="x", folder=tmp_path, settings=settings, seed=1, data_sha256="a"
    )


def launch(job, script, on_progress=lambda line: None):
    return run_training(job, on_progress, worker=("-c", START + script), sleep=lambda _: None)


def gone(job: TrainingJob) -> bool:
    try:
        os.kill(int((job.folder / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_progress_arrives_line_by_line_and_the_final_figures_come_back(job):
    lines = []
    figures = launch(job, "say(step=1); say(step=2); finish(loss=1.5)", lines.append)
    assert lines == [{"step": 1}, {"step": 2}]
    assert figures == {"loss": 1.5}
    assert load_job(job.file) == job


def test_a_finished_job_is_not_done_again(job):
    launch(job, "finish(loss=1.5)")
    assert launch(job, "sys.exit(1)") == {"loss": 1.5}


@pytest.mark.parametrize("nodes", [1, 2])
def test_only_over_nodes_a_training_whose_model_is_there_is_not_waited_for(job, monkeypatch, nodes):
    monkeypatch.setattr(launching, "END_WITHIN_S", 0.1)
    over = with_settings(job, devices=Devices(nodes=nodes))
    over.metrics_file.write_text("{}")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(2); exit(3)"])
    status = launching._follow(over, process, lambda line: None, lambda _: time.sleep(0.05))
    assert status == (3 if nodes == 1 else 0)
    process.kill()
    process.wait()


def test_another_job_in_the_same_folder_starts_afresh(job):
    launch(job, "finish(loss=1.5)")
    other = job.model_copy(update={"seed": 2})
    assert launch(other, "finish(loss=2.5)") == {"loss": 2.5}


def test_an_operational_setting_does_not_make_another_job(job):
    settings = job.settings.model_copy(update={"per_device_batch_size": 1})
    assert job.model_copy(update={"settings": settings}).identity() == job.identity()


def test_checkpoints_are_for_any_number_of_processes_but_not_for_another_strategy(job):
    checkpoint = job.checkpoints / "checkpoint-7"
    prepare(job)
    checkpoint.mkdir(parents=True)
    prepare(with_settings(job, devices=Devices(processes=4)))
    assert checkpoint.exists()
    prepare(with_settings(job, devices=Devices(processes=4, strategy="fsdp")))
    assert not checkpoint.exists()


def test_a_kill_by_the_kernel_says_what_to_change(job):
    with pytest.raises(TrainingFailed) as caught:
        launch(job, "os.kill(os.getpid(), signal.SIGKILL)")
    text = str(caught.value)
    assert "memory: lower per_device_batch_size (8), or lower max_length (512), or set" in text
    assert str(job.log_file) in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("memory", "ran out of memory: lower"), ("disk", "no space left"), ("known", "no example")],
)
def test_a_failure_that_the_process_could_name_is_passed_on(job, kind, expected):
    failure = json.dumps({"kind": kind, "message": "no example is left"})
    with pytest.raises(TrainingFailed, match=expected):
        launch(job, f"(folder / 'failure-0.json').write_text({failure!r}); sys.exit(1)")


def test_any_other_end_shows_the_last_line_that_was_printed(job):
    with pytest.raises(TrainingFailed, match="status 3: the flux is gone"):
        launch(job, "print('the flux is gone\\n\\n'); sys.exit(3)")


def test_the_launchers_rulers_are_not_taken_for_what_was_said(job):
    with pytest.raises(TrainingFailed, match=r"status 1: exitcode : -9 \(log"):
        launch(job, "print('exitcode : -9\\n' + '=' * 60); sys.exit(1)")


def test_leaving_by_an_exception_ends_the_process(job):
    def cancel(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(job, "say(step=1); time.sleep(60)", cancel)
    assert gone(job)


WAITS_FOR_THE_STOP = """
say(phase='loading'); say(phase='training'); say(step=1)
while not (folder / 'stop').exists(): time.sleep(0.02)
(folder / 'saved').touch()
"""


def stop(line):
    if "step" in line:
        raise RunStopped("stopped by SIGTERM")


def test_a_training_that_takes_steps_is_asked_for_a_checkpoint_before_it_is_ended(job):
    with pytest.raises(RunStopped):
        launch(job, WAITS_FOR_THE_STOP, stop)
    assert (job.folder / "saved").exists()
    assert gone(job)
    launch(job, "assert not (folder / 'stop').exists(); finish(loss=1.5)")


def test_a_training_that_takes_no_steps_yet_is_ended_at_once(job):
    with pytest.raises(RunStopped):
        launch(job, "say(phase='loading'); say(step=0); time.sleep(60)", stop)
    assert gone(job)
    assert not job.stop_file.exists()


def test_the_launcher_is_used_when_the_recipe_gives_it_arguments(job):
    assert "accelerate.commands.launch" not in command_of(job)
    settings = job.settings.model_copy(update={"accelerate_args": ("--num_processes=8",)})
    command = command_of(job.model_copy(update={"settings": settings}))
    assert command[1:4] == ["-m", "accelerate.commands.launch", "--num_processes=8"]
    assert Path(command[-1]) == job.file


def with_settings(job, **settings):
    return job.model_copy(update={"settings": job.settings.model_copy(update=settings)})


def test_the_devices_of_the_recipe_are_started_by_a_launcher_of_their_own(job):
    command = command_of(with_settings(job, devices=Devices(processes=2)))
    assert command[1:4] == ["-m", "parrot_core.stages.training.devices", str(job.file)]


def test_a_process_that_vanished_among_several_is_taken_for_what_the_kernel_killed(job):
    """Its peers fail too, and the launcher itself ends with an ordinary status."""
    other = json.dumps({"kind": "other", "message": "RuntimeError: Connection closed by peer"})
    (job.folder / "alive-1").touch()
    (job.folder / "failure-0.json").write_text(other)
    text = explain(with_settings(job, devices=Devices(processes=2)), 1)
    assert "was killed (process 1), most likely for want of memory: lower" in text
    assert "or set devices.strategy: fsdp" in text
    assert "another process said: RuntimeError: Connection closed" in text
    assert "\n" not in text


def test_the_process_that_knew_the_cause_is_believed_before_those_that_missed_it(job):
    for rank, kind in enumerate(("other", "memory")):
        failure = json.dumps({"kind": kind, "message": "x"})
        (job.folder / f"failure-{rank}.json").write_text(failure)
    assert "ran out of memory" in explain(with_settings(job, devices=Devices(processes=2)), 1)


def test_what_an_earlier_attempt_said_is_not_taken_for_this_ones(job):
    (job.folder / "failure-0.json").write_text(json.dumps({"kind": "memory", "message": ""}))
    (job.folder / "alive-0").touch()
    with pytest.raises(TrainingFailed, match="ended with status 3"):
        launch(job, "sys.exit(3)")


@pytest.mark.parametrize(
    ("settings", "package"),
    [
        ({"devices": Devices(processes=8, strategy="deepspeed-zero3")}, "deepspeed"),
        ({"report_to": ("wandb",)}, "wandb"),
    ],
)
def test_a_package_that_is_missing_is_named_before_anything_starts(
    job, monkeypatch, settings, package
):
    monkeypatch.setattr("parrot_core.stages.training.launch.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=f"pip install {package}") as caught:
        launch(with_settings(job, **settings), "finish()")
    assert caught.value.exit_code == 2
