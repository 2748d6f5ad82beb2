"""Networks unlike any preset, from TOML files: they learn in the model, and the virtual board equals it.

The data are synthetic. Each network needs a compilation of its virtual board. NUDGE_SAMPLES is the number of
samples that are compared (default 2).
"""

import json
import os

import numpy as np
import pytest

from nudge.boards.virtual import program
from nudge.golden.contract import network_file
from nudge.golden.contract.shapes import Input
from nudge.host.cli import main as cli
from nudge.plumbing.errors import ExitCode
from tests.networks import NETWORKS

SAMPLES = os.environ.get("NUDGE_SAMPLES", "2")


def made(shown: Input, train: int = 40, test: int = 4) -> dict[str, np.ndarray]:
    """Make data with a coarse pattern per class plus noise: `train` and `test` images of each class."""
    random = np.random.default_rng(5)
    coarse = random.choice((0, 160), (shown.classes, shown.channels, 4, 4), p=(0.7, 0.3))
    rows, columns = (np.arange(size) * 4 // size for size in (shown.height, shown.width))
    patterns = coarse[:, :, rows][:, :, :, columns]

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.tile(np.arange(shown.classes), count)
        return (patterns[labels] + random.integers(0, 64, (len(labels), *shown.shape))).astype(
            np.uint8
        ), labels

    (images, labels), (test_images, test_labels) = part(train), part(test)
    return {
        "train_images": images,
        "train_labels": labels,
        "test_images": test_images,
        "test_labels": test_labels,
    }


def run_json(capsys, *arguments) -> tuple[int, dict]:
    """Run a `nudge` command with --json; return its exit code, and the JSON object on standard output."""
    capsys.readouterr()
    code = cli.main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture(params=NETWORKS)
def files(request, tmp_path):
    """Return the file of a network, and an archive of data for it."""
    file, archive = tmp_path / "mine.toml", tmp_path / "mine.npz"
    file.write_text(NETWORKS[request.param])
    np.savez(archive, **made(network_file.read(file).input))
    return file, archive


def test_it_learns_in_the_model(files, capsys, tmp_path, monkeypatch):
    file, archive = files
    spec, out = network_file.read(file), tmp_path / "run"
    training = ("train", "--board", "golden", "--network", file, "--data", archive, "--seed", 1, "--out", out)
    code, result = run_json(capsys, *training, "--epochs", 6)
    assert code == ExitCode.OK
    chance = 100 - 100 / spec.classes
    assert result["error_percent"] < 0.75 * chance
    # the run's folder suffices, in any working directory, without the network's file
    file.unlink()
    monkeypatch.chdir("/")
    code, again = run_json(capsys, "eval", out)
    assert (code, again["error_percent"]) == (ExitCode.OK, result["error_percent"])
    assert np.array(again["confusion"]).shape == (spec.classes, spec.classes)


def test_the_simulated_board_equals_the_model(files, capsys, monkeypatch):
    file, archive = files
    if SAMPLES == "2":
        monkeypatch.setattr(program, "MAKE_FLAGS", program.BRIEF_FLAGS)
    spec = network_file.read(file)
    code, result = run_json(
        capsys,
        "compare",
        "--board",
        "sim",
        "--network",
        file,
        "--data",
        archive,
        "--samples",
        SAMPLES,
        "--batch",
        2,
    )
    assert code == ExitCode.OK
    assert (result["equal"], result["compared"]) == (True, spec.parameters + int(SAMPLES) + len(spec.bundles))
