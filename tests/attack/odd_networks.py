"""Network files with an odd value for one key at a time."""

import functools
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .attack import Attack
from .damaged_files import SHOW

#: A network with every key that a file may have.
FULL = """
name = "mine"
[[stage]]
conv = 4
kernel = 3
[[stage]]
dense = 10
[schedule]
order = "odd-even"
free = 8
nudged = 4
window = 4
decay_shift = 1
[learning]
rates = [0.3, 0.2]
bias_rates = [0.3, 0.2]
gain = 0.7
beta = 0.5
batch = 8
[formats]
weight_bits = 8
[input]
channels = 1
height = 28
width = 28
classes = 10
[lanes.ulx3s]
lanes = [1, 2, 1]
arrays = [1, 1, 1]
image_taps = 1
"""


#: The odd values, in TOML.
VALUES = [
    *[
        "-1",
        "0",
        "1",
        "7",
        "64",
        "16384",
        "1.5",
        "-0.0",
        "nan",
        "inf",
        "-inf",
        "1e308",
        "1e-320",
        str(1 << 31),
        str((1 << 63) - 1),
    ],
    *[
        "1" + "0" * 40,
        "9" * 5000,
        "true",
        '""',
        '"x"',
        '"\\u001b[2J"',
        '"' + "x" * 10_000 + '"',
        "[]",
        "[[]]",
        "{}",
    ],
    *[
        "[" * 2000 + "]" * 2000,
        "1979-05-27",
        "[0.3]",
        "[nan, nan]",
        "[1e308, 1e308]",
        "[" + "0.1, " * 3000 + "]",
    ],
]


def keys(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every entry."""
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from keys(inner, (*path, key))


def text(value: Any, at: tuple[Any, ...], instead: str) -> str:
    """Return a value's TOML, with the text `instead` for the entry at the path `at`."""
    if at == ():
        return instead
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{key} = {text(x, _below(at, key), instead)}" for key, x in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(text(x, _below(at, n), instead) for n, x in enumerate(value)) + "]"
    return json.dumps(value)


def _below(at: tuple[Any, ...], key: Any) -> tuple[Any, ...]:
    """Return the rest of a path below an entry, or a path that matches nothing if it leads elsewhere."""
    return at[1:] if at and at[0] == key else (None,)


def odd_networks() -> Iterator[Attack]:
    """Yield attacks: each entry of a network file with each odd value."""
    document = tomllib.loads(FULL)
    for path in keys(document):
        for value in VALUES:
            lines = [f"{key} = {text(entry, _below(path, key), value)}\n" for key, entry in document.items()]
            name = ".".join(map(str, path))
            spoil = functools.partial(_written, "".join(lines))
            yield Attack("networks", f"network show: {name} = {value[:20]}", SHOW, spoil)


def _written(content: str, folder: Path) -> None:
    (folder / "mine.toml").write_text(content)
