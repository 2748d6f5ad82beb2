"""`load`, `eval` and `resume` read back all values that `fit` accepts; it refuses others before training."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import nudge
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.golden.training.run import Run
from nudge.host.cli import main as cli
from nudge.plumbing.errors import DataError, ExitCode, ModelError, NudgeError, UsageError
from tests.fuzz import ends, examples

DATA = nudge.data("embedded")
SMALL = nudge.Data(*(part[:8] for part in DATA))
FEW: dict[str, Any] = {"samples": 4, "batch": 4, "free_steps": 4, "nudged_steps": 4}


def network():
    return nudge.Network([nudge.Dense(10)], schedule={"free": 4, "nudged": 4}, name="flat")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with data sets in subfolders whose names look like records of other data."""
    path = tmp_path_factory.mktemp("values")
    for place in ("C#", "x#0123456789ab", "own"):
        (path / place).mkdir()
        np.savez(path / place / "d.npz", **{name: part.numpy() for name, part in SMALL._asdict().items()})
    return path


whole = st.integers(-1, 5)
values = st.one_of(
    whole,
    whole.map(np.int64),
    st.integers(0, 5).map(np.uint8),
    st.sampled_from(
        [0.5, 1.0, 0, 1, 2.0, -1.0, float("nan"), float("inf"), 1e-320, 10**30, 1 << 63, (1 << 63) - 1]
    ),
    st.sampled_from([np.float32(0.5), np.float64(1), np.float16(0.3), np.bool_(True), True, False, None]),
    st.sampled_from(
        ["1", "", b"1", 1j, [1], np.array(1), np.array([1, 2]), torch.tensor(1), torch.tensor(0.5)]
    ),
)
names = st.sampled_from(
    [
        "epochs",
        "seed",
        "samples",
        "batch",
        "lr_scale",
        "beta",
        "free_steps",
        "nudged_steps",
        "decay",
        "shift",
        "flip",
    ]
    + ["average", "held_out", "twin", "recover", "stream", "force"]
)
sources = st.sampled_from(["embedded", "C#/d.npz", "x#0123456789ab/d.npz", "own/d.npz"])


@examples(60)
@given(st.dictionaries(names, values, max_size=3), sources, st.sampled_from([str, Path]))
def test_what_fit_takes_is_taken_back(folder, options, source, kind):
    out = folder / "out"
    data = source if source == "embedded" else kind(folder / source)
    net, results = network(), []
    ends(lambda: results.append(net.fit(data, out=kind(out), **FEW | options)), NudgeError)
    assert bool(results) == (out / checkpoint.WEIGHTS).exists(), "it was trained for nothing"
    if not results:
        return
    try:
        assert results[0].finished
        again = nudge.Network.load(out)
        assert again.settings == net.settings
        assert all(np.array_equal(again.weights[name], net.weights[name]) for name in net.weights)
        assert cli.main(["eval", str(out)]) == ExitCode.OK
        assert cli.main(["resume", str(out)]) == ExitCode.OK
        assert Run.resume(out).plan == results[0]._run.plan
    finally:
        shutil.rmtree(out)


def test_arrays_of_any_order_are_the_same_images(tmp_path):
    """Negative strides, big-endian bytes, Fortran's order, lists, read-only arrays, an axis of channels."""
    images, labels, test_images, test_labels = (part.numpy() for part in SMALL)
    still = images.copy()
    still.setflags(write=False)
    others: list[tuple[Any, Any]] = [
        (images[::-1].copy()[::-1], labels[::-1].astype(">i8")[::-1]),
        (np.asfortranarray(images), labels.astype(np.uint8)),
        (images[..., ::-1].copy()[..., ::-1], labels.tolist()),
        (still, labels.astype(">u2")),
        (images[:, None], torch.from_numpy(labels).int()),
    ]
    first = network()
    first.fit(SMALL, out=tmp_path / "first", **FEW)
    known = checkpoint.load(tmp_path / "first" / checkpoint.WEIGHTS)[2].plan["data"]
    for n, (pixels, classes) in enumerate(others):
        net, out = network(), tmp_path / str(n)
        given: Any = (pixels, classes, test_images, test_labels)
        net.fit(nudge.Data(*given), out=out, **FEW)
        assert all(np.array_equal(first.weights[name], net.weights[name]) for name in net.weights), n
        assert checkpoint.load(out / checkpoint.WEIGHTS)[2].plan["data"] == known
        assert np.array_equal(net.predict(pixels), net.predict(images))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"train_labels": np.zeros(8, complex)}, ModelError, "labels must be integers, not torch.complex128"),
        ({"train_labels": np.zeros(8, bool)}, ModelError, "labels must be integers, not torch.bool"),
        ({"train_labels": np.array([None] * 8)}, ModelError, "labels must be an array of numbers: "),
        ({"train_images": [[1], [1, 2]]}, ModelError, "images must be an array of numbers: "),
        (
            {"train_images": np.uint8(3)},
            ModelError,
            r"images must be uint8 \(n, 28, 28\), not torch.uint8 \(\)",
        ),
        (
            {"train_images": np.zeros((0, 28, 28), np.uint8), "train_labels": np.zeros(0, int)},
            ModelError,
            "there must be images to train",
        ),
    ],
)
def test_arrays_that_are_none_are_named(change, error, says):
    with pytest.raises(error, match=says):
        network().fit(SMALL._replace(**change), **FEW)


def test_without_test_images_nothing_is_tested():
    untested = SMALL._replace(test_images=SMALL.test_images[:0], test_labels=SMALL.test_labels[:0])
    assert network().fit(untested, **FEW).evaluation is None
    with pytest.raises(ModelError, match="there must be images to test"):
        network().evaluate(untested)


@pytest.mark.parametrize("data", [5, None, (1, 2), {"train_images": 1}])
def test_data_of_another_kind_are_named(data):
    with pytest.raises(
        UsageError, match=r"^data must be a name, a path or nudge.Data of train_images, .*, not \w+$"
    ):
        network().fit(data)


def test_given_images_are_not_taken_for_a_folder(folder, tmp_path, monkeypatch, capsys):
    """Neither a folder called `own` nor other data is taken for given images; equal images in a file are."""
    network().fit(SMALL, out=tmp_path, callbacks=[lambda run: True], epochs=2, **FEW)
    monkeypatch.chdir(folder)
    before = (tmp_path / checkpoint.WEIGHTS).read_bytes()
    resume = ["resume", str(tmp_path)]
    for arguments, says in (
        ([], "these weights learnt images that were given to fit, which aren't kept: give them with --data"),
        (["--data", "embedded"], "--data embedded: the run learnt images that were given to fit"),
    ):
        assert cli.main([*resume, *arguments]) in (ExitCode.DATA, ExitCode.USAGE)
        assert says in capsys.readouterr().err
    other = SMALL._replace(test_labels=(SMALL.test_labels + 1) % 10)
    np.savez(tmp_path / "other.npz", **{name: part.numpy() for name, part in other._asdict().items()})
    assert cli.main([*resume, "--data", str(tmp_path / "other.npz")]) == ExitCode.DATA
    assert "its images and labels aren't those that were learnt" in capsys.readouterr().err
    assert (tmp_path / checkpoint.WEIGHTS).read_bytes() == before
    assert cli.main([*resume, "--data", "own/d.npz"]) == ExitCode.OK
    through = network()
    through.fit(SMALL, epochs=2, **FEW)
    resumed = nudge.Network.load(tmp_path)
    assert all(np.array_equal(through.weights[name], resumed.weights[name]) for name in through.weights)
    with pytest.raises(DataError, match="which aren't kept"):
        datasets.load(datasets.Source.recorded("own"))
