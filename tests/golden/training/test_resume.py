"""A resumed run accepts more epochs, refuses other runs' weights, and finds the weight file that is meant."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nudge import golden
from nudge.golden.contract.config import configuration
from nudge.golden.training import checkpoint, metrics
from nudge.golden.training.checkpoint import WEIGHTS
from nudge.golden.training.data import Source
from nudge.golden.training.run import Run
from nudge.host.devices.golden import GoldenBoard
from nudge.plumbing.errors import PlanError, WeightsError

from .small_run import DATA, PLAN, SPEC, carried_out


def equal(one, other):
    pairs = zip([*one.weights, *one.biases], [*other.weights, *other.biases], strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_weight_file_is_found_by_path_folder_or_name(tmp_path):
    packaged = Path(golden.__file__).parent / "weights" / "tiny-mnist.safetensors"
    assert checkpoint.find(Path("tiny-mnist")) == packaged
    assert checkpoint.find(packaged) == packaged
    assert checkpoint.find(tmp_path) == tmp_path / "weights.safetensors"
    said = r"^no weights at nothing: give a file, a run's folder, or one of .*, tiny-mnist, "
    with pytest.raises(WeightsError, match=said):
        checkpoint.find(Path("nothing"))


def test_epochs_may_be_more_but_not_fewer_than_were_trained(tmp_path):
    run = carried_out(Run.begin(PLAN, SPEC, tmp_path))
    assert Run.resume(tmp_path, 2).finished
    more = Run.resume(tmp_path, 3)
    assert (more.plan, more.epoch, more.position, more.finished) == (replace(PLAN, epochs=3), 2, 0, False)
    assert equal(more.parameters, run.parameters)
    # rows and ends of epochs are those that were written
    assert metrics.digest(more.rows) == metrics.digest(run.rows)
    assert [end.samples for end in more.epochs] == [end.samples for end in run.epochs] == [8, 16]
    assert more.seconds == pytest.approx(run.seconds)
    assert more.checkpointed
    said = f"--epochs 1: the run in {tmp_path} has already trained 2 epochs"
    with pytest.raises(PlanError, match=f"^{re.escape(said)}$"):
        Run.resume(tmp_path, 1)


def test_a_run_that_averages_keeps_its_epochs(tmp_path):
    carried_out(Run.begin(replace(PLAN, average=2), SPEC, tmp_path))
    assert Run.resume(tmp_path, 2).finished
    said = f"--epochs 3: the run in {tmp_path} averages the last of 2; leave it out to resume"
    with pytest.raises(PlanError, match=f"^{re.escape(said)}$"):
        Run.resume(tmp_path, 3)


def test_weights_of_another_epoch_or_run_are_not_taken_into_the_mean(tmp_path):
    carried_out(Run.begin(replace(PLAN, average=2), SPEC, tmp_path / "a"))
    carried_out(Run.begin(replace(PLAN, average=2, seed=6), SPEC, tmp_path / "b"))
    first, second = (tmp_path / "a" / f"epoch-{n}.safetensors" for n in (1, 2))
    kept = Run.resume(tmp_path / "a").kept
    assert set(kept) == {1, 2}
    assert equal(kept[1], checkpoint.load(first)[1])
    assert equal(kept[2], checkpoint.load(second)[1])
    assert not equal(kept[1], kept[2])
    good = first.read_bytes()
    for other in (second, tmp_path / "b" / "epoch-1.safetensors"):
        shutil.copyfile(other, first)
        with pytest.raises(WeightsError, match=f"^{re.escape(str(first))}: not of this run after 1 epochs$"):
            Run.resume(tmp_path / "a")
    first.write_bytes(good)
    assert set(Run.resume(tmp_path / "a").kept) == {1, 2}


def test_held_out_images_are_tried_after_each_epoch(tmp_path):
    run = carried_out(Run.begin(replace(PLAN, held_out=20), SPEC, tmp_path))
    board = GoldenBoard(configuration(SPEC))
    board.load(run.parameters)
    board.write_settings(run.plan.settings(SPEC)[-1])
    images, labels = (part[-20:] for part in (DATA.train_images, DATA.train_labels))
    wrong = (board.infer(images, labels) != labels.numpy()).mean()
    assert run.epochs[-1].held_out_error_percent == pytest.approx(100 * wrong)
    assert len(run.epochs) == 2


@pytest.mark.parametrize("old", ["embedded", "/C#/d.npz#0123456789ab", "own"])
def test_a_run_of_before_data_had_kinds_is_resumed(tmp_path, old):
    """Some of its files name the data set in the old form, others in today's."""
    source = Source.recorded(old)
    carried_out(Run.begin(replace(PLAN, average=2, data=source), SPEC, tmp_path))
    for name in (WEIGHTS, "epoch-1.safetensors"):
        tensors, metadata = checkpoint.content(tmp_path / name, checkpoint.MAX_BYTES)
        metadata["plan"] = json.dumps(json.loads(metadata["plan"]) | {"data": old})
        save_file(tensors, tmp_path / name, metadata | {"digest": checkpoint.digest(tensors, metadata)})
    run = Run.resume(tmp_path)
    assert (run.plan.data, set(run.kept), run.finished) == (source, {1, 2}, True)
