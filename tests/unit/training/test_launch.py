import json
import os
import signal
from pathlib import Path

import pytest

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import TrainSft
from parrot_core.training.job import TrainingJob, load_job
from parrot_core.training.launch import command_of, run_training

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


def test_another_job_in_the_same_folder_starts_afresh(job):
    launch(job, "finish(loss=1.5)")
    other = job.model_copy(update={"seed": 2})
    assert launch(other, "finish(loss=2.5)") == {"loss": 2.5}


def test_an_operational_setting_does_not_make_another_job(job):
    settings = job.settings.model_copy(update={"per_device_batch_size": 1})
    assert job.model_copy(update={"settings": settings}).identity() == job.identity()


def test_a_kill_by_the_kernel_says_what_to_change(job):
    with pytest.raises(TrainingFailed) as caught:
        launch(job, "os.kill(os.getpid(), signal.SIGKILL)")
    text = str(caught.value)
    assert "memory: lower per_device_batch_size (8), or max_length (512)" in text
    assert str(job.log_file) in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("memory", "ran out of memory: lower"), ("disk", "no space left"), ("known", "no example")],
)
def test_a_failure_that_the_process_could_name_is_passed_on(job, kind, expected):
    failure = json.dumps({"kind": kind, "message": "no example is left"})
    with pytest.raises(TrainingFailed, match=expected):
        launch(job, f"(folder / 'failure.json').write_text({failure!r}); sys.exit(1)")


def test_any_other_end_shows_the_last_line_that_was_printed(job):
    with pytest.raises(TrainingFailed, match="status 3: the flux is gone"):
        launch(job, "print('the flux is gone\\n\\n'); sys.exit(3)")


def test_leaving_by_an_exception_ends_the_process(job):
    def cancel(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(job, "say(step=1); time.sleep(60)", cancel)
    assert gone(job)


def test_the_launcher_is_used_when_the_recipe_gives_it_arguments(job):
    assert "accelerate.commands.launch" not in command_of(job)
    settings = job.settings.model_copy(update={"accelerate_args": ("--num_processes=8",)})
    command = command_of(job.model_copy(update={"settings": settings}))
    assert command[1:4] == ["-m", "accelerate.commands.launch", "--num_processes=8"]
    assert Path(command[-1]) == job.file
    assert signal.SIGKILL  # the launcher itself is started in a session of its own
