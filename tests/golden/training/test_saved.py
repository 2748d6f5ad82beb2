"""The files that a run writes, and when; weight files that are refused as damaged."""

import errno
import json
import os
import re
from dataclasses import asdict, replace

import pytest
from safetensors.torch import save as to_bytes

from nudge.golden.contract.config import configuration
from nudge.golden.model.settings import Settings
from nudge.golden.training import checkpoint, curve, metrics
from nudge.golden.training.checkpoint import FORMAT, OLD_FORMAT
from nudge.golden.training.options import ResumeOptions, TrainingOptions
from nudge.golden.training.run import Run
from nudge.host.devices.golden import GoldenBoard
from nudge.plumbing import files
from nudge.plumbing.errors import PlanError, WeightsError

from .small_run import DATA, PLAN, SPEC, carried_out

HEADER = "epoch,position,samples,errors,error_percent,seconds\n"
ROWS = "0,4,4,3,75.0000,0.500\n", "0,8,4,1,50.0000,1.250\n"


@pytest.fixture(autouse=True)
def _owner(tmp_path):
    """Own the folder: only its owner may write a run's files there."""
    with files.owned(tmp_path / files.LOCK, PlanError):
        yield


def saved(out):
    """Begin and save a run; return it with its board and settings."""
    run, board = Run.begin(PLAN, SPEC, out), GoldenBoard(configuration(SPEC))
    run.picture = False
    settings = PLAN.settings(SPEC)[0]
    board.load(run.parameters)
    board.write_settings(settings)
    run.save(board, settings)
    return run, board, settings


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))


def test_rows_are_added_while_others_watch(tmp_path, monkeypatch):
    run, board, settings = saved(tmp_path)
    file = tmp_path / "metrics.csv"
    assert file.read_text() == HEADER
    assert not run.fresh
    monkeypatch.setattr(metrics.files, "write", full)  # rows are appended, without this function
    run.count(4, 3, 0.5)
    run.show()
    assert file.read_text() == HEADER + ROWS[0]
    run.count(4, 1, 1.25)
    run.show()
    run.show()
    assert file.read_text() == HEADER + ROWS[0] + ROWS[1]
    monkeypatch.undo()
    # going back to a checkpoint leaves the file alone until the next checkpoint
    run.reload()
    assert (run.rows, run.position, run.epoch_errors) == ([], 0, 0)
    run.count(8, 5, 2.0)
    run.show()
    assert file.read_text() == HEADER + ROWS[0] + ROWS[1]
    run.save(board, settings)
    assert file.read_text() == HEADER + "0,8,8,5,62.5000,2.000\n"
    assert not (tmp_path / "learning-curve.png").exists()


def test_a_disk_that_is_full_for_watchers_waits_for_the_checkpoint(tmp_path, monkeypatch):
    run, board, settings = saved(tmp_path)
    file = tmp_path / "metrics.csv"
    with monkeypatch.context() as changed:
        changed.setattr(metrics, "append_metrics", full)
        run.count(4, 3, 0.5)
        run.show()
    run.show()
    assert file.read_text() == HEADER
    run.save(board, settings)
    assert file.read_text() == HEADER + ROWS[0]


def test_a_process_that_does_not_write_leaves_nothing(tmp_path):
    run = Run.begin(PLAN, SPEC, tmp_path)
    run.writes = False
    carried_out(run)
    run.show()
    assert run.finished
    assert [path.name for path in tmp_path.iterdir()] == [files.LOCK]


def test_ends_of_epochs_are_written_with_their_rows(tmp_path):
    run = carried_out(Run.begin(PLAN, SPEC, tmp_path))
    lines = (tmp_path / "epochs.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["1", "8"], ["2", "16"]]
    assert run.folder._epochs == 2


def test_a_run_goes_back_though_it_has_more_epochs_now(tmp_path):
    carried_out(Run.begin(PLAN, SPEC, tmp_path))
    more = Run.resume(tmp_path, 3)
    more.position = 5
    more.reload()
    assert (more.plan.epochs, more.epoch, more.position) == (3, 2, 0)
    more.plan = replace(more.plan, seed=6)
    with pytest.raises(
        WeightsError, match=r"is of another run now: it has another plan than the one to go back to$"
    ):
        more.reload()


def test_what_the_board_counts_is_written_with_the_samples(tmp_path):
    run = Run.begin(PLAN, SPEC, tmp_path)
    run.counters = lambda: {"board": "x", "frames": 3}
    carried_out(run)
    assert json.loads((tmp_path / "board.json").read_text()) == {"board": "x", "frames": 3, "samples": 16}


def test_a_first_checkpoint_that_can_not_be_written_promises_none(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.files, "write", full)
    with pytest.raises(PlanError, match=r"No space left on device: '[^;]*'$"):
        saved(tmp_path)


def test_a_run_does_not_overwrite_another(tmp_path):
    saved(tmp_path)
    ways = "`nudge resume` continues it, --force overwrites it, or choose another --out"
    said = f"{tmp_path / 'weights.safetensors'} exists: {ways}"
    with pytest.raises(PlanError, match=f"^{re.escape(said)}$"):
        Run.begin(PLAN, SPEC, tmp_path)
    assert Run.begin(PLAN, SPEC, tmp_path, force=True).fresh


def test_a_resumed_run_has_its_data(tmp_path):
    carried_out(Run.begin(PLAN, SPEC, tmp_path / "run"))
    run, images = Run.again(tmp_path / "run", ResumeOptions())
    assert (run.done, len(images.train_images)) == (16, len(DATA.train_images))


def test_a_new_run_is_of_the_network_that_is_named(tmp_path):
    file = tmp_path / "five.toml"
    file.write_text('name = "five"\n[[stage]]\nconv = 5\n[[stage]]\ndense = 10\n')
    run, _ = Run.prepare(tmp_path, TrainingOptions(network=file))
    assert (run.spec.name, run.plan.preset, run.spec.layers[1].channels) == ("five", "five", 5)


def test_the_mean_takes_no_epochs_place(tmp_path):
    run = carried_out(Run.begin(replace(PLAN, average=2), SPEC, tmp_path))
    last = checkpoint.load(tmp_path / "epoch-2.safetensors")[1]
    assert [weight.tolist() for weight in last.weights] == [weight.tolist() for weight in run.kept[2].weights]
    assert [weight.tolist() for weight in last.weights] != [
        weight.tolist() for weight in run.parameters.weights
    ]


def test_the_curve_is_of_the_run(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(curve, "plot_curve", lambda *arguments: drawn.append(arguments))
    run, *_ = saved(tmp_path)
    run.plot(2.5)
    assert drawn == []
    run.picture = True
    run.plot(2.5)
    assert drawn == [(tmp_path / "learning-curve.png", run.rows, run.epochs, "tiny, embedded, seed 5", 2.5)]


def rewritten(out, change, sealed=True):
    """Write a run's weight file with tensors or metadata changed by `change`; sealed: with a valid digest."""
    carried_out(Run.begin(PLAN, SPEC, out))
    file = out / "weights.safetensors"
    tensors, metadata = checkpoint.content(file, checkpoint.MAX_BYTES)
    change(tensors, metadata)
    if sealed:
        metadata["digest"] = checkpoint.digest(tensors, metadata)
    file.write_bytes(to_bytes(tensors, metadata))
    return file


def old(tensors, metadata):
    metadata["format"] = OLD_FORMAT
    for name in ("network", "metrics"):
        metadata.pop(name)


def test_a_position_that_no_run_stands_at(tmp_path):
    for name, value in (("position", 8), ("epoch_errors", 1)):
        file = rewritten(
            tmp_path / name,
            lambda tensors, metadata, name=name, value=value: metadata.update({name: str(value)}),
        )
        with pytest.raises(
            WeightsError, match=rf"^{file}: damaged metadata \(sample \d of 8, preset 'tiny'\)$"
        ):
            Run.resume(file.parent)


def test_a_file_from_before_there_was_a_digest_is_read(tmp_path):
    def without(tensors, metadata):
        old(tensors, metadata)
        metadata.pop("digest")

    file = rewritten(tmp_path / "a", without, sealed=False)
    assert checkpoint.load(file)[0] == SPEC
    # an old file with a wrong digest, or a new one without a digest, is damaged
    damaged = rewritten(tmp_path / "b", old, sealed=False)
    for path in (
        damaged,
        rewritten(tmp_path / "c", lambda tensors, metadata: metadata.pop("digest"), sealed=False),
    ):
        said = f"{path} is damaged: its content isn't that of its digest; take an earlier copy"
        with pytest.raises(WeightsError, match=f"^{re.escape(said)}$"):
            checkpoint.load(path)


def test_a_preset_that_is_not_there(tmp_path):
    def unknown(tensors, metadata):
        old(tensors, metadata)
        metadata["preset"] = '"huge"'

    with pytest.raises(WeightsError, match=r"is of preset 'huge': this version has tiny, small, "):
        checkpoint.load(rewritten(tmp_path, unknown))


def test_another_format(tmp_path):
    file = rewritten(tmp_path, lambda tensors, metadata: metadata.update(format="nudge-weights-3"))
    said = f"{file} is of format 'nudge-weights-3', not '{FORMAT}': not written by `nudge train`"
    with pytest.raises(WeightsError, match=f"^{re.escape(said)}$"):
        checkpoint.load(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t.update({"bundle9.bias": t["bundle1.bias"].clone()}),
            "bundle9.bias is (4,), tiny needs no such tensor",
        ),
        (lambda t: t.pop("bundle2.bias"), "bundle2.bias is missing, tiny needs (10,)"),
        (
            lambda t: t.update({"bundle1.bias": t["bundle1.bias"].int()}),
            "bundle1.bias is torch.int32, not int16 masters",
        ),
    ],
)
def test_other_tensors(tmp_path, change, said):
    file = rewritten(tmp_path, lambda tensors, metadata: change(tensors))
    with pytest.raises(WeightsError, match=f"^{re.escape(f'{file}: {said}')}$"):
        checkpoint.load(file)


def test_a_network_that_is_none(tmp_path):
    file = rewritten(tmp_path, lambda tensors, metadata: metadata.update(network='{"name": "tiny"}'))
    with pytest.raises(WeightsError, match=rf"^{file}: damaged metadata \(network\)"):
        checkpoint.load(file)


def test_values_of_metadata_have_types():
    settings = PLAN.settings(SPEC)[0]
    assert checkpoint.typed(Settings, asdict(settings)) == settings
    for value in (1 << 63, -1, True, 1.0, "1", None):
        with pytest.raises(TypeError, match=rf"^beta (can't|must) be .*{value!r}$"):
            checkpoint.typed(Settings, asdict(settings) | {"beta": value})
    # an optional field is checked if it is there, and so are those after it
    fields = {
        "preset": "tiny",
        "spec": 1,
        "plan": {},
        "settings": {},
        "epoch": 0,
        "position": 0,
        "epoch_errors": 0,
    }
    for name in ("metrics", "packages"):
        with pytest.raises(TypeError, match=rf"^{name} (can't|must) be .*5$"):
            checkpoint.typed(checkpoint.Checkpoint, fields | {"seconds": 0.0, name: 5})
