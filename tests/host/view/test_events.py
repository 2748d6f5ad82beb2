"""`--tensorboard` writes the values of the run, read back here with TensorBoard's own reader."""

import sys

import numpy as np
import pytest

import nudge
from nudge.golden.training.metrics import read_epochs, read_metrics
from nudge.host.cli import main as cli
from nudge.host.view import events
from nudge.plumbing.errors import ExitCode

from .conftest import FEW

COMMAND = ["train", "--preset", "tiny", "--board", "golden", "--seed", "1", "--held-out", "40"]
COMMAND += [word for name, value in FEW.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture
def accumulator(tmp_path):
    """A function that reads all event files of the directory."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def read():
        everything = {module.SCALARS: 0, module.HISTOGRAMS: 0}
        return module.EventAccumulator(str(tmp_path / "events"), size_guidance=everything).Reload()

    return read


def scalars(found, tag):
    return {event.step: event.value for event in found.Scalars(tag)}


def train(tmp_path, *more):
    return cli.main(
        [*COMMAND, "--out", str(tmp_path / "run"), "--tensorboard", str(tmp_path / "events"), *more]
    )


def test_event_files_have_what_the_run_has(tmp_path, accumulator, capsys):
    assert train(tmp_path, "--epochs", "2") == ExitCode.OK
    found = accumulator()
    rows, ends = read_metrics(tmp_path / "run/metrics.csv", 9, 0), read_epochs(tmp_path / "run/epochs.csv", 9)
    assert len(rows) == 6
    steps = [60 * row.epoch + row.position for row in rows]
    by_step = dict(zip(steps, rows, strict=True))
    assert scalars(found, events.BATCH) == pytest.approx(
        {s: 100 * row.errors / row.samples for s, row in by_step.items()}
    )
    assert scalars(found, events.SO_FAR) == pytest.approx(
        {s: row.error_percent for s, row in by_step.items()}
    )
    assert scalars(found, events.TRAINING) == pytest.approx(
        {end.samples: end.training_error_percent for end in ends}
    )
    assert scalars(found, events.HELD_OUT) == pytest.approx(
        {end.samples: end.held_out_error_percent for end in ends}
    )
    (percent,) = scalars(found, events.TEST).values()
    assert f"test error {percent:.2f} %" in capsys.readouterr().out
    weights = nudge.Network.load(tmp_path / "run").weights
    for name, values in weights.items():
        histograms = {event.step: event.histogram_value for event in found.Histograms(f"weights/{name}")}
        assert set(histograms) >= {0, 120}
        last = histograms[120]
        assert (last.num, last.min, last.max) == (values.size, values.min() / 2**15, values.max() / 2**15)
        assert last.sum == pytest.approx(np.sum(values / 2**15))


def test_a_resumed_run_goes_on_in_the_same_directory(tmp_path, accumulator):
    assert train(tmp_path, "--epochs", "1") == ExitCode.OK
    resumed = ["resume", "--epochs", "2", str(tmp_path / "run")]
    assert cli.main([*resumed, "--tensorboard", str(tmp_path / "events")]) == ExitCode.OK
    found = accumulator()
    assert list(scalars(found, events.BATCH)) == [20, 40, 60, 80, 100, 120]
    assert len(found.Scalars(events.BATCH)) == 6, "nothing twice"


def test_weights_are_the_same_with_and_without(tmp_path):
    assert train(tmp_path) == ExitCode.OK
    assert cli.main([*COMMAND, "--out", str(tmp_path / "plain")]) == ExitCode.OK
    with_, without = (nudge.Network.load(tmp_path / name).weights for name in ("run", "plain"))
    assert all((with_[name] == values).all() for name, values in without.items())


def test_without_the_package_it_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert train(tmp_path) == ExitCode.TOOLS
    expected = "nudge: --tensorboard needs the package tensorboard: pip install 'nudge-fpga[tensorboard]'"
    assert capsys.readouterr().err.strip() == expected
    assert not (tmp_path / "run").exists(), "told before anything is trained"


def test_a_directory_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "events").write_text("")
    assert train(tmp_path) == ExitCode.USAGE
    assert capsys.readouterr().err.strip() == f"nudge: --tensorboard {tmp_path / 'events'}: File exists"


def test_a_directory_that_is_no_unicode_is_one_line(tmp_path, capsys):
    command = [*COMMAND, "--out", str(tmp_path / "run"), "--tensorboard", str(tmp_path / "r\udcff")]
    assert cli.main(command) == ExitCode.USAGE
    assert "its name isn't UTF-8, as that of event files must be" in capsys.readouterr().err


def test_a_full_disk_does_not_end_a_training(tmp_path, monkeypatch, capsys):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    monkeypatch.setattr(tensorboard.SummaryWriter, "add_scalar", full)
    assert train(tmp_path) == ExitCode.OK
    said = f"--tensorboard {tmp_path / 'events'}: No space left on device; the training goes on without"
    assert capsys.readouterr().err.count(said) == 1
