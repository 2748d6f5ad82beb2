"""A run's folder belongs to one run at a time; files of the user stay, and aren't taken for the run's."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from nudge.golden.contract.config import configuration
from nudge.golden.training import checkpoint, curve
from nudge.golden.training.loop import train
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard
from nudge.plumbing import files
from nudge.plumbing.errors import MetricsError, PlanError, WeightsError

from .small_run import DATA, PLAN, SPEC, carried_out


class During(GoldenBoard):
    """A board that calls `work` at its first commit."""

    def __init__(self, work):
        super().__init__(configuration(SPEC))
        self.work = work

    def commit(self):
        count = super().commit()
        if self.work is not None:
            work, self.work = self.work, None
            work()
        return count


OTHER = """
import sys; from pathlib import Path
from tests.golden.training.small_run import PLAN, SPEC, carried_out
from nudge.golden.training.run import Run
from nudge.plumbing.errors import PlanError
try:
    carried_out(Run.begin(PLAN, SPEC, Path(sys.argv[1]), force=True))
except PlanError as error:
    print(error)
"""


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    said = []

    def meanwhile():
        command = [sys.executable, "-c", OTHER, tmp_path]
        said.append(subprocess.run(command, capture_output=True, text=True, timeout=120).stdout)

    run = Run.begin(replace(PLAN, seed=1), SPEC, tmp_path)
    run.picture = False
    train(run, During(meanwhile), DATA, Stop())
    assert said[0].startswith(f"{tmp_path} is in use by process {os.getpid()} (")
    assert checkpoint.load(run.weights)[2].plan["seed"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epochs.csv",
        "metrics.csv",
        "weights.safetensors",
    ]


@pytest.mark.parametrize("force", [False, True])
def test_a_run_does_not_go_on_in_what_another_has_written(tmp_path, force):
    if force:
        carried_out(Run.begin(PLAN, SPEC, tmp_path))
    waiting = Run.begin(PLAN, SPEC, tmp_path, force=force)
    carried_out(Run.begin(replace(PLAN, seed=1), SPEC, tmp_path, force=force))
    with pytest.raises(
        PlanError, match=r"weights.safetensors was written by another run since this one began"
    ):
        carried_out(waiting)
    assert Run.resume(tmp_path).plan.seed == 1


def test_going_back_to_another_runs_checkpoint_is_refused(tmp_path):
    run = carried_out(Run.begin(PLAN, SPEC, tmp_path / "a"))
    other = carried_out(Run.begin(replace(PLAN, beta=0.25), SPEC, tmp_path / "b"))
    run.reload()
    other.weights.replace(run.weights)
    (tmp_path / "b" / "metrics.csv").replace(tmp_path / "a" / "metrics.csv")
    with pytest.raises(WeightsError, match="is of another run now"):
        run.reload()


def test_hidden_files_of_the_user_stay(tmp_path):
    names = [".notes.csv.1234", ".weights.safetensors.99999", ".picture.png.1", ".metrics.csv.old"]
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".metrics.csv.01234567.unfinished").write_text("half")
    carried_out(Run.begin(PLAN, SPEC, tmp_path))
    written = ["epochs.csv", "metrics.csv", "weights.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, *written])


@pytest.mark.parametrize("name", ["metrics.csv", "epochs.csv", "board.json", "learning-curve.png"])
def test_files_of_others_under_a_runs_names_stay(tmp_path, name):
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(
        PlanError, match=rf"^--out .*{name}: begins with b'mine\\n', not with .*: it isn't replaced$"
    ):
        carried_out(Run.begin(PLAN, SPEC, tmp_path))
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(PlanError, match=rf"^--out .*{name}: is no ordinary file, and isn't replaced$"):
        carried_out(Run.begin(PLAN, SPEC, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_weights_of_an_epoch_are_not_overwritten(tmp_path):
    (tmp_path / "epoch-2.safetensors").write_text("mine")
    with pytest.raises(
        PlanError, match=r"epoch-2.safetensors exists: `nudge resume` continues it, --force overwrites it"
    ):
        Run.begin(PLAN, SPEC, tmp_path)


def test_a_folder_without_a_run_is_not_left_behind(tmp_path):
    run = Run.begin(PLAN, SPEC, tmp_path / "a" / "b")
    with run.owned():
        assert run.out.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_can_not_be_drawn_ends_nothing(tmp_path, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(curve, "plot_curve", full)
    run = Run.begin(PLAN, SPEC, tmp_path)
    train(run, GoldenBoard(configuration(SPEC)), DATA, Stop())
    assert run.finished
    assert (
        "learning-curve.png isn't drawn: OSError: [Errno 28] No space left on device"
        in capsys.readouterr().err
    )


def test_a_full_disk_says_what_is_saved(tmp_path, monkeypatch):
    def full(path, *rest, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def fill():
        monkeypatch.setattr(files, "write", full)

    run = Run.begin(PLAN, SPEC, tmp_path)
    run.picture = False
    with pytest.raises(
        PlanError, match=r"No space left on device: '.*'; .*weights.safetensors holds the state after 0 s"
    ):
        train(run, During(fill), DATA, Stop())
    monkeypatch.undo()
    assert carried_out(Run.resume(tmp_path)).finished


def test_metrics_that_are_not_the_checkpoints_are_refused(tmp_path):
    run = carried_out(Run.begin(PLAN, SPEC, tmp_path))
    text = (tmp_path / "metrics.csv").read_text()
    doubled = text + text.splitlines()[-1] + "\n"
    for damaged in (text.replace("\n1,8,8,", "\n1,8,8,1"), text.replace("\n0,", "\n1,", 1), doubled):
        assert damaged != text
        (tmp_path / "metrics.csv").write_text(damaged)
        with pytest.raises(
            MetricsError, match=r"its rows aren't those of the checkpoint.: move it away to resume without it"
        ):
            Run.resume(tmp_path)
    (tmp_path / "metrics.csv").unlink()
    again = carried_out(Run.resume(tmp_path, 3))
    assert len(again.rows) == 1
    assert Run.resume(tmp_path).rows[0].epoch == 2
    assert run.done < again.done


def test_a_flipped_bit_in_the_weights_of_an_epoch_is_noticed(tmp_path):
    carried_out(Run.begin(replace(PLAN, average=2), SPEC, tmp_path))
    file = tmp_path / "epoch-1.safetensors"
    content = bytearray(file.read_bytes())
    content[-9] ^= 4
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"epoch-1.safetensors is damaged"):
        Run.resume(tmp_path)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_way_to_end_a_run_saves_it(tmp_path, number):
    run = Run.begin(PLAN, SPEC, tmp_path)
    run.picture = False
    with Stop() as stop:
        train(run, During(lambda: os.kill(os.getpid(), number)), DATA, stop)
    assert run.done == PLAN.batch
    again = carried_out(Run.resume(tmp_path))
    whole = carried_out(Run.begin(PLAN, SPEC, tmp_path / "whole"))
    pairs = zip(
        [*again.parameters.weights, *again.parameters.biases],
        [*whole.parameters.weights, *whole.parameters.biases],
        strict=True,
    )
    assert all(torch.equal(a, b) for a, b in pairs)


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)
