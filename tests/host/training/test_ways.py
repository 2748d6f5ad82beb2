"""docs/layout.md lists the files that a pixel passes on its way to the wire, and a weight on its way back."""

import functools
import re
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Command
from nudge.golden.training import checkpoint
from nudge.host.cli import start
from nudge.host.cli.work import session
from nudge.host.link.link import Link
from sim.rigs.modelled.modelled import Modelled
from tests.sets import noise

ROOT = Path(__file__).parents[3]

#: Most files that a pixel may pass, or a weight.
MOST = 25


def listed(title: str) -> list[str]:
    """The files of a list in docs/layout.md, from the first on."""
    text = (ROOT / "docs/layout.md").read_text()
    (block,) = re.findall(rf"^{title}\n\n```\n(.*?)^```$", text, re.M | re.S)
    return re.findall(r"^(\S+\.py) ", block, re.M)


@functools.cache
def ours(path: str) -> str | None:
    """Path of a product file below the checkout's root: `host/...`, also if imported as `nudge/host/...`."""
    below, package = Path(path), ROOT / "nudge"
    name = below.relative_to(package).as_posix() if below.is_relative_to(package) else ""
    return name if name.startswith(("host/", "golden/", "plumbing/")) else None


@pytest.fixture
def passed(tmp_path, monkeypatch, heard):
    """All files that run in a training on a board; those on the stack when samples are sent, weights kept."""
    board, ran = Modelled(configuration(preset("tiny"))), set()
    stacks: dict[str, set[str]] = {}

    def stack() -> set[str]:
        return {name for frame in traceback.extract_stack() if (name := ours(frame.filename))}

    def written(*arguments, _write=board.port.write):
        if any(command is Command.COMMIT for command in board.executed):
            stacks.setdefault("pixel", stack())
        return _write(*arguments)

    def saved(*arguments, _save=checkpoint.save, **options):
        stacks.setdefault("weight", stack())
        return _save(*arguments, **options)

    def called(frame, event, argument):
        if event == "call" and (name := ours(frame.f_code.co_filename)):
            ran.add(name)

    data = tmp_path / "noise.npz"
    np.savez(data, **noise(board.config.spec.input))
    monkeypatch.setattr(board.port, "write", written)
    monkeypatch.setattr(checkpoint, "save", saved)
    monkeypatch.setattr(Link, "open", lambda *arguments, **options: board.connect())
    assert session  # imported: not traced
    sys.setprofile(called)
    try:
        words = (
            f"train --board /dev/null --preset tiny --data {data} --batch 3 --epochs 1 --out "
            f"{tmp_path / 'run'}"
        )
        assert start.main(words.split()) == 0
    finally:
        sys.setprofile(None)
    return ran, stacks


def test_the_ways_are_as_listed_and_short(passed):
    ran, stacks = passed
    pixel, weight = (
        listed("A pixel, from `nudge train` to the wire:"),
        listed("A weight, from the wire to its file:"),
    )
    for files in (pixel, weight):
        assert len(files) == len(set(files)) <= MOST
        assert set(files) <= ran, set(files) - ran
    assert stacks["pixel"] <= set(pixel), stacks["pixel"] - set(pixel)
    # the loop asks for both
    assert stacks["weight"] <= {*pixel, *weight}, stacks["weight"] - {*pixel, *weight}
