"""Damaged files: networks, weights, tables, data sets and reports that a command reads."""

import functools
import hashlib
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nudge.golden.contract.presets import preset
from nudge.golden.training import checkpoint
from nudge.golden.training.sets import idx
from nudge.plumbing.errors import ExitCode
from tests.sets import noise, write_set

from .attack import Attack, anything, same_output
from .cell import Ended, cell
from .scenarios import RESUME, TRAIN, half_done, same_bits, small_study


def damages(random_: random.Random) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield ways to damage a file: a name, and a function of its path."""

    def content(name: str, change: Callable[[bytes], bytes]) -> tuple[str, Callable[[Path], None]]:
        def damage(path: Path) -> None:
            path.write_bytes(change(path.read_bytes()))

        return name, damage

    def flip(at: float, bit: int) -> Callable[[bytes], bytes]:
        def change(data: bytes) -> bytes:
            out = bytearray(data or b"\0")
            out[int(at * len(out))] ^= 1 << bit
            return bytes(out)

        return change

    def instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
        def damage(path: Path) -> None:
            path.unlink()
            make(path)

        return damage

    for _ in range(24):
        at, bit = random_.random(), random_.randrange(8)
        yield content(f"bit {bit} at {at:.4f} flipped", flip(at, bit))
    for _ in range(8):
        share = random_.random()
        yield content(f"cut at {share:.4f}", functools.partial(_cut, share))
    for _ in range(4):
        at = random_.random()
        noise = random_.randbytes(40)
        yield content(f"noise at {at:.4f}", functools.partial(_overwritten, at, noise))
    yield content("empty", lambda data: b"")
    yield content("zeros", lambda data: bytes(len(data)))
    yield content("ones", lambda data: b"\xff" * len(data))
    yield content("twice", lambda data: data * 2)
    yield content("a byte more", lambda data: data + b"\0")
    yield content("a line more", lambda data: data + b"\n")
    yield content("noise", lambda data: random_.randbytes(len(data)))
    yield content("escape sequences", lambda data: b"\x1b]0;x\x07\x1b[2J" + data)
    yield content("nan", lambda data: data.replace(b"0.", b"nan"))
    yield content("minus", lambda data: data.replace(b" ", b" -"))
    yield "a pipe", instead(os.mkfifo)
    yield "a folder", instead(lambda path: path.mkdir())
    yield "a loop", instead(lambda path: path.symlink_to(path.name))
    yield "zeros without end", instead(lambda path: path.symlink_to("/dev/zero"))
    yield "nothing", instead(lambda path: path.symlink_to("/dev/null"))
    yield "a sparse terabyte", lambda path: os.truncate(path, 1 << 40)
    yield "gone", lambda path: path.unlink()


def _cut(share: float, data: bytes) -> bytes:
    return data[: int(share * len(data))]


def _overwritten(share: float, noise: bytes, data: bytes) -> bytes:
    at = int(share * len(data))
    return data[:at] + noise + data[at + len(noise) :]


NETWORK = (
    'name = "mine"\nstage = [{conv = 4, kernel = 3}, {dense = 10}]\n[schedule]\nfree = 8\nnudged = '
    "4\nwindow = 4\n"
)
BOARD = """from dataclasses import replace
from nudge.boards.icebreaker import ICEBREAKER
MINE = replace(ICEBREAKER, name='mine')
"""
EVAL = ["eval", "run", "--samples", "4", "--json"]
EVALUATE = ["eval", "tiny-mnist", "--json"]
SHOW = ["network", "show", "mine.toml", "--samples", "1", "--json"]
REPORTED = ["report", "icebreaker", "--preset", "tiny", "--json"]


def own_archive(folder: Path) -> None:
    """Write images of noise as an archive."""
    np.savez(folder / "mine.npz", **noise(preset("tiny").input, 20, 10))


def own_pictures(folder: Path) -> None:
    """Write images of noise as PNG files, five of each class."""
    images = noise(preset("tiny").input, 20, 10)["train_images"][:, 0]
    for number in range(50):
        file = folder / "mine" / str(number % 10) / f"{number // 10}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number % 20] ^ number).save(file)


def small_mnist(folder: Path) -> None:
    """Write images of noise as MNIST's files."""
    write_set(folder / "MNIST" / "raw", np.random.default_rng(1))


@functools.cache
def small_checksums() -> dict[str, str]:
    """Return the SHA-256 digests of the files of `small_mnist`."""
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        small_mnist(Path(place))
        found = Path(place, "MNIST", "raw")
        return {name: hashlib.sha256((found / name).read_bytes()).hexdigest() for name in idx.FILES}


def known_mnist() -> None:
    """Make these digests the published ones of MNIST."""
    idx.CHECKSUMS["mnist"] = small_checksums()


def whole_run(folder: Path) -> None:
    """Copy a finished run, and add a `board.json`."""
    shutil.copytree(Path(os.environ["NUDGE_BUILD"]) / "whole", folder / "run")
    (folder / "run" / "board.json").write_text(
        '{"board": "x", "registers": {"a": 1}, "link": {"b": 2}, "samples": 24}'
    )


def committed(folder: Path) -> None:
    """Copy the committed report of `tiny` on the iCEBreaker."""
    from nudge.boards.toolchain import report

    (folder / "baselines").mkdir()
    shutil.copy(report.baseline_file("icebreaker", "tiny", "yowasp"), folder / "baselines")


def baselines_here() -> None:
    """Make commands read committed reports from the folder."""
    from nudge.boards.toolchain import report

    report.BASELINES = Path("baselines")


def measured(folder: Path) -> None:
    """Write a study's table, by running the study."""
    cell(["repro", "count", "--out", "results"], folder, None, {}, small_study)


def network(folder: Path) -> None:
    """Write a network file."""
    (folder / "mine.toml").write_text(NETWORK)


def text_of(
    arguments: list[str],
    prepare: Callable[[Path], Any],
    before: Callable[[], None],
    environment: Mapping[str, str | None] = {},
) -> str:
    """Return the output of a command that must succeed undisturbed."""
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        folder = Path(place, "cell")
        folder.mkdir()
        prepare(folder)
        ended = cell(arguments, folder, None, environment, before)
        assert ended.code == ExitCode.OK, ended.err
        return ended.out


def damaged_files(seed: int) -> Iterator[Attack]:
    """Yield attacks: each file that a command reads, damaged in each way."""
    weights = f"run/{checkpoint.WEIGHTS}"
    repro, quiet = ["repro", "count", "--out", "results"], lambda: None
    again, view = [*TRAIN, "--force"], ["view", "run", "--save", "page.html"]
    kinds: list[tuple[str, list[str], Callable[[Path], None], Callable[..., Any], bool]] = [
        (weights, EVAL, whole_run, quiet, True),
        (weights, RESUME, half_done, quiet, False),
        ("run/metrics.csv", RESUME, half_done, quiet, False),
        ("run/epochs.csv", RESUME, half_done, quiet, False),
        *(
            (f"run/{name}", again, whole_run, quiet, False)
            for name in ("weights.safetensors", "metrics.csv", "epochs.csv")
        ),
        *(
            (f"run/{name}", view, whole_run, quiet, False)
            for name in ("metrics.csv", "epochs.csv", "board.json")
        ),
        ("mine.npz", [*EVALUATE, "--data", "mine.npz"], own_archive, quiet, True),
        ("mine/3/1.png", [*EVALUATE, "--data", "./mine"], own_pictures, quiet, True),
        *(
            (
                f"MNIST/raw/{name}",
                [*EVALUATE, "--data", "mnist", "--data-dir", "."],
                small_mnist,
                known_mnist,
                True,
            )
            for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
        ),
        ("run/epoch-2.safetensors", RESUME, whole_run, quiet, False),
        ("mine.toml", SHOW, network, quiet, False),
        ("baselines/icebreaker-tiny-yowasp.json", REPORTED, committed, baselines_here, False),
        # no digest covers this table's figures, which may be edited; labels and fingerprints may not
        ("results/count-quick.csv", repro, measured, small_study, False),
    ]
    for name, arguments, prepare, before, output in kinds:
        check: Callable[[Path, Ended], list[str]] = anything
        if output:
            check = functools.partial(same_output, text_of(arguments, prepare, before))
        elif arguments in (RESUME, again):
            check = same_bits
        for what, damage in damages(random.Random(f"{seed} {name}")):

            def make(folder: Path, name: str = name, prepare: Any = prepare, damage: Any = damage) -> None:
                prepare(folder)
                damage(folder / name)

            yield Attack(
                "files", f"{' '.join(arguments[:2])}: {name}: {what}", arguments, make, check, before=before
            )
