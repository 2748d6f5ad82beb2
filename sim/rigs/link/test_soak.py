"""Runs under attack on the model behind the protocol end with the right bits, or with a clear error."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from nudge.golden.contract import stored
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.stored import HEADER_WORDS
from nudge.golden.model import image_store
from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.host.devices import upload
from nudge.plumbing.errors import ExitCode, LinkError, UsageError
from sim.rigs.modelled.golden_device import GoldenDevice

from . import commands
from .soak import soak
from .targets import Attack

TINY = preset("tiny")
DATA = load("embedded")


def plan(samples: int, seed: int) -> Plan:
    return Plan.of(TINY, "embedded", samples, seed=seed, batch=8)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_through_random_faults_ends_with_the_same_bits(seed):
    report = soak(TINY, "golden", plan(80, seed), DATA, Attack(1e-3, seed))
    assert report.differing == 0
    assert report.faults > 200
    assert report.board["duplicates"] > 0


def test_the_same_seed_is_the_same_run():
    first, second = (soak(TINY, "golden", plan(24, 3), DATA, Attack(1e-3, 3, resets=1)) for _ in range(2))
    assert (first.faults, first.link, first.board) == (second.faults, second.link, second.board)


def test_resets_flips_disconnections_and_stalls_are_got_over():
    attack = Attack(2e-4, 7, resets=2, flips=2, disconnects=2, stalls=2)
    report = soak(TINY, "golden", plan(120, 7), DATA, attack)
    assert report.differing == 0
    assert report.events == {"reset": 2, "flip": 2, "disconnect": 2, "stall": 2}
    assert len(report.recovered) >= 4
    assert any("the board was reset" in why for why in report.recovered)
    assert any("connection lost" in why for why in report.recovered)
    assert any(" board " in why and " golden " in why for why in report.recovered), "a flipped bit is named"


def pixel_of(device: GoldenDevice, index: int) -> tuple[int, int]:
    """Return the word and the bit of a bright pixel in the coded image of a stored sample."""
    at = int.from_bytes(device.store.words[4 * index : 4 * index + 4], "little") + HEADER_WORDS
    coded = device.store.words[2 * at : 2 * at + 100]
    bright = coded.index(253)
    return at + bright // 2, 8 * (bright % 2) + 6


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_from_a_damaged_memory_through_random_faults_ends_with_the_same_bits(seed):
    """A run from memory with shifts and mirroring equals the golden model's run on streamed samples."""
    moved = replace(plan(200, seed), epochs=2, shift=1, flip=True)
    report = soak(TINY, "golden", moved, DATA, Attack(1e-3, seed, damages=3, stored=True))
    assert report.differing == 0
    assert report.faults > 200
    assert report.events == {"damage": 3}
    assert (report.board["stored"], report.board["duplicates"] > 0) == (200, True)
    assert report.recovered
    assert all("in its memory is damaged and has to be stored again" in why for why in report.recovered)


def test_a_reset_forgets_the_stored_samples_and_they_are_stored_anew():
    attack = Attack(2e-4, 7, resets=2, flips=1, disconnects=2, stalls=2, damages=2, stored=True)
    report = soak(TINY, "golden", replace(plan(96, 7), shift=1, flip=True), DATA, attack)
    assert report.differing == 0
    assert report.events == {"reset": 2, "flip": 1, "disconnect": 2, "stall": 2, "damage": 2}
    assert any("the board was reset" in why for why in report.recovered)


def test_a_damaged_image_that_is_not_noticed_is_not_called_equal(monkeypatch):
    """The soak can fail: a store that doesn't check images gives different weights."""
    monkeypatch.setattr(image_store, "image_crc", lambda index, label, pixels: 0)
    last = int(list(plan(48, 1).batches(0))[-1][-1])
    monkeypatch.setattr(
        GoldenDevice, "flip_stored", lambda device, chooser: device.store.flip(*pixel_of(device, last))
    )
    monkeypatch.setattr(
        upload,
        "_missing",
        lambda board, records: [range(len(records))] * (board.read_register("stored") == 0),
    )
    monkeypatch.setattr(stored, "image_crc", lambda index, label, pixels: 0)
    assert soak(TINY, "golden", plan(48, 1), DATA, Attack(0, 1, damages=1, stored=True)).differing > 0


def test_a_line_that_is_too_bad_ends_with_a_clear_error():
    told = (
        r"model: gave up on \w+ \(sequence \d+\) after 41 tries: an answer was \w+; its frame has \d+ "
        r"bytes, and \d+ came"
    )
    with pytest.raises(LinkError, match=told):
        soak(TINY, "golden", plan(16, 1), DATA, Attack(5e-2, 1))


def test_a_line_that_carries_no_long_frame_is_given_short_ones():
    """On a line that damages 1 % of the bytes, the host shortens WRITE_WEIGHTS.

    One frame of 1 KB in 20,000 would arrive intact.
    """
    report = soak(TINY, "golden", plan(24, 2), DATA, Attack(1e-2, 2))
    assert report.differing == 0
    assert report.faults > 500
    assert not [why for why in report.recovered if "WEIGHTS" in why]


def test_a_flipped_weight_without_a_twin_is_not_called_equal(monkeypatch):
    """The soak can fail: without a twin, a flipped bit stays and the weights differ."""
    monkeypatch.setattr(Attack, "twin", False)
    assert soak(TINY, "golden", plan(24, 1), DATA, Attack(0, 1, flips=1)).differing > 0


def test_a_flip_changes_one_bit():
    device = GoldenDevice(configuration(TINY))
    before = [image.copy() for image in device.images]
    device.flip(random.Random(1))
    changed = sum(int((image != old).sum()) for image, old in zip(device.images, before, strict=True))
    assert changed == 1


def test_the_commands_report_and_refuse(capsys):
    assert commands.soak(board="golden", samples=16, faults=5e-4) == ExitCode.OK
    assert "bit-identical to an undisturbed run: 6810 weights after 16 samples" in capsys.readouterr().out
    wrong: list[dict[str, Any]] = [
        {"faults": 1.0},
        {"faults": math.nan},
        {"damages": 1},
        {"board": "/dev/ttyUSB0"},
    ]
    for options in wrong:
        with pytest.raises(UsageError):
            commands.soak(**{"board": "golden", "samples": 16} | options)
    assert commands.sweep(samples=40) == ExitCode.OK
    assert "40 single faults in a session of" in capsys.readouterr().out
    assert commands.sweep(fault="up:9000:drop:0") == ExitCode.OK
    assert capsys.readouterr().out.endswith(": 1 complete\n")
    with pytest.raises(UsageError, match=r"^--fault must be WAY:BYTE:KIND:VALUE, such as up:"):
        commands.sweep(fault="up:90000:drop:0")
