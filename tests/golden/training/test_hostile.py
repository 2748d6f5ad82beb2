"""Weights, metrics and data sets written by others are refused or valid, in bounded time and memory."""

import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from nudge.golden.training import checkpoint, data
from nudge.golden.training import metrics as report
from nudge.golden.training.run import Run
from nudge.host.cli import main as cli
from nudge.plumbing.errors import DataError, ExitCode, MetricsError, PlanError, WeightsError
from tests.fuzz import ends, examples


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A valid checkpoint."""
    out = tmp_path_factory.mktemp("run")
    arguments = [
        "--board",
        "golden",
        "--samples",
        "16",
        "--batch",
        "8",
        "--free-steps",
        "8",
        "--nudged-steps",
        "8",
    ]
    assert cli.main(["train", *arguments, "--out", str(out)]) == ExitCode.OK
    return out / "weights.safetensors"


def opened(path) -> None:
    """Open a weight file as `eval` and `resume` do."""
    checkpoint.load(path)[2].typed_settings()
    Run.resume(path.parent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bad")


def parts(path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    return checkpoint.content(path, checkpoint.MAX_BYTES)


def forge(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a weight file with a valid digest."""
    save_file(tensors, path, metadata | {"digest": checkpoint.digest(tensors, metadata)})


@examples(300)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6), st.floats(0.02, 1.3)
)
def test_a_damaged_weight_file_is_an_error_or_as_good(good, folder, changes, kept):
    """Bytes are changed anywhere, half of them in the header, and the file is cut or lengthened."""
    content = bytearray(good.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for n, (at, value) in enumerate(changes):
        size = (header, len(content))[n % 2]
        content[min(int(at * size), size - 1)] = value
    if kept < 1:
        del content[int(kept * len(content)) :]
    elif kept > 1.2:
        content += bytes(100)
    path = folder / "weights.safetensors"
    path.write_bytes(content)
    ends(lambda: opened(path), WeightsError, PlanError, MetricsError)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@examples(300)
@given(st.data())
def test_metadata_of_any_type_is_an_error_or_as_good(good, folder, draw):
    tensors, metadata = parts(good)
    name = draw.draw(st.sampled_from(sorted(checkpoint.Checkpoint.__dataclass_fields__)))
    value = json.loads(metadata[name])
    if isinstance(value, dict) and draw.draw(st.booleans()):
        value[draw.draw(st.sampled_from(sorted(value)) | st.text(max_size=6))] = draw.draw(values)
    else:
        value = draw.draw(values)
    text = draw.draw(st.just(json.dumps(value)) | st.text(max_size=30))
    path = folder / "weights.safetensors"
    forge(tensors, path, metadata | {name: text})
    ends(lambda: opened(path), WeightsError, PlanError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plan", []),
        ("plan", {"epochs": 1}),
        ("epoch", -1),
        ("epoch", "x"),
        ("position", 17),
        ("position", 10**30),
        ("settings", {"free_steps": 8}),
        ("preset", ["tiny"]),
        ("seconds", None),
    ],
)
def test_impossible_metadata_is_named(good, tmp_path, name, value):
    tensors, metadata = parts(good)
    forge(tensors, tmp_path / "weights.safetensors", metadata | {name: json.dumps(value)})
    with pytest.raises(WeightsError, match=r"damaged metadata|this version has"):
        opened(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 10**9},
        {"samples": 0},
        {"batch": "8"},
        {"batch": 65},
        {"beta": 1e400},
        {"seed": -1},
        {"data": []},
    ],
)
def test_an_impossible_plan_is_refused_before_it_costs_memory(good, tmp_path, change):
    tensors, metadata = parts(good)
    plan = json.dumps(json.loads(metadata["plan"]) | change)
    forge(tensors, tmp_path / "weights.safetensors", metadata | {"plan": plan})
    with pytest.raises(WeightsError, match="damaged metadata"):
        Run.resume(tmp_path)


def test_a_nest_of_brackets_is_no_metadata(good, tmp_path):
    tensors, metadata = parts(good)
    forge(tensors, tmp_path / "w", metadata | {"plan": "[" * 100_000})
    with pytest.raises(WeightsError, match="damaged metadata"):
        checkpoint.load(tmp_path / "w")


def test_files_that_are_too_long_are_not_read(good, tmp_path):
    """The files are sparse, so that they take no space on the disk."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(good.read_bytes())
    os.truncate(path, 1 << 40)
    with pytest.raises(WeightsError, match="has 1099511627776 bytes; at most 67108864 are read"):
        checkpoint.load(path)
    path.rename(tmp_path / "metrics.csv")
    with pytest.raises(MetricsError, match="at most 67108864 are read: move it away"):
        report.read_metrics(tmp_path / "metrics.csv", 0, 0)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    file = raw / "train-images-idx3-ubyte"
    (tmp_path / "metrics.csv").rename(file)
    with pytest.raises(DataError, match="at most 67108864 are read"):
        data.load("mnist", tmp_path)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is no file"):
        data.load("mnist", tmp_path)


@examples(100)
@given(
    st.binary(max_size=400)
    | st.lists(st.lists(st.text(max_size=8), max_size=8), max_size=5).map(repr).map(str.encode)
)
def test_metrics_are_read_or_refused(folder, content):
    path = folder / "metrics.csv"
    path.write_bytes(b"epoch,position,samples,errors,error_percent,seconds\n" + content)
    ends(lambda: report.read_metrics(path, 1, 1), MetricsError, says=str(path))


@pytest.mark.parametrize(
    "line", ["0,8,8,4,50", "0,8,8,4,50,1,1", "0,x,8,4,50,1", "0,8,8,4,50,1\0", '"' + "9" * 200_000 + '"']
)
def test_metrics_of_another_form_are_damaged(tmp_path, line):
    path = tmp_path / "metrics.csv"
    path.write_text(f"header\n{line}\n")
    with pytest.raises(MetricsError, match="is damaged"):
        report.read_metrics(path, 0, 8)


def test_metrics_written_are_metrics_read(tmp_path):
    rows = [report.Row(0, 8, 8, 4, 50.0, 1.0)]
    report.write_metrics(tmp_path / "m.csv", rows)
    assert report.read_metrics(tmp_path / "m.csv", 0, 8) == rows
