"""Command-line options with odd values."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer

from .attack import Attack
from .scenarios import TRAIN, small_study, without

#: For each command, arguments with which it does little or fails early.
BASE = {
    "train": TRAIN,
    "resume": ["none"],
    "view": ["none"],
    "eval": ["tiny-mnist", "--samples", "2", "--data", "embedded"],
    "compare": ["--board", "golden", "--samples", "4", "--batch", "4"],
    "bench": ["--board", "golden", "--preset", "tiny", "--batch", "0"],
    "repro": ["count", "--out", "results"],
    "sweep": ["none"],
    "build": ["icebreaker", "--tools", "native"],
    "flash": ["icebreaker", "--tools", "native"],
    "report": ["icebreaker", "--preset", "tiny"],
    "verilog": ["none", "--out", "x.v"],
    "estimate": ["none"],
    "doctor": [],
    "presets": [],
    "boards": [],
    "data get": ["none"],
    "data list": [],
    "network show": ["tiny", "--samples", "1"],
    "board info": ["--board", "/none"],
    "board status": ["--board", "/none"],
    "board check": ["--board", "/none"],
    "board serve": ["--port", "-1"],
    "board throughput": ["--samples", "0"],
}

INTEGERS = [
    "-1",
    "0",
    "1.5",
    "x",
    "",
    " 1",
    "0x10",
    "1_0",
    "nan",
    str(1 << 31),
    str(1 << 63),
    "9" * 40,
    "-" + "9" * 5000,
    "\u0663",
]
FLOATS = ["nan", "inf", "-inf", "1e308", "-1", "0", "-0.0", "1e-320", "1e999", "x", "", "\u0663"]
PATHS = [
    *[
        "",
        ".",
        "/",
        "..",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/proc/self/mem",
        "/proc/self/fd/0",
        "/proc/nowhere/x",
    ],
    *["a" * 300, "\udcff", "x\x1b[31m", "a\nb", "pipe", "loop", "folder", "text"],
]
TEXTS = [
    "",
    "x" * 10_000,
    "\x1b[2J",
    "\udcff",
    "../..",
    "-",
    "--",
    "; echo",
    "%s%n",
    "\u20ac",
    "a\nb",
    "none",
    "0:0:0",
    "own",
    "./x#0123456789ab",
    "\u202e",
]
PORTS = [
    "spy:///x?file=y",
    "hwgrep://(",
    "loop://?foo",
    "alt://x",
    "socket://",
    "socket://x:99999",
    "rfc2217://",
    "/dev/null",
    "/",
    ".",
]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its name, such as `network show`."""
    from nudge.host.cli.main import app

    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", of) for inner, of in command.commands.items())
        else:
            yield name, command


def values(parameter: Any) -> list[str]:
    """Return odd values for an option, by its type and name."""
    kind = str(parameter.type_descriptor.annotation)
    if "int" in kind:
        return INTEGERS
    if "float" in kind:
        return FLOATS
    if "path" in kind or parameter.name in ("network", "weights", "out"):
        return PATHS
    return TEXTS + PORTS * (parameter.name == "board")


def options() -> Iterator[Attack]:
    """Yield attacks: each option of each command with each odd value of its type."""
    for name, command in commands():
        for parameter in command.params:
            flag = next((word for word in getattr(parameter, "opts", []) if word.startswith("--")), None)
            if flag is None or getattr(parameter, "is_flag", False) or flag == "--help":
                continue
            for value in values(parameter):
                words = [*name.split(), *without(BASE[name], flag), flag, value]
                yield Attack("options", f"{name} {flag} {value[:20]!r}", words, odd_files,
                    before=small_study, environment={"PATH": "/proc/nowhere"})  # fmt: skip


def odd_files(folder: Path) -> None:
    """Make a pipe, a loop, a folder and a text, which PATHS name."""
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "folder").mkdir()
    (folder / "text").write_text("text\x1b[2J\n")
