"""`nudge estimate` agrees with committed reports, names what doesn't fit, and needs only seconds."""

import json
import subprocess
import sys

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Fragment

from nudge.boards.toolchain.report import baseline_file
from nudge.plumbing.errors import ExitCode

from .command import run, run_json

MINE = 'name = "mine"\nstage = [{conv = 6, kernel = 5}, {dense = 24}, {dense = 10}]\n'


def test_block_ram_and_multipliers_are_those_that_were_synthesised(capsys):
    code, found = run_json(capsys, "estimate", "ulx3s", "--preset", "medium")
    assert code == ExitCode.OK
    routed = json.loads(baseline_file("ulx3s", "medium", "yowasp").read_text())
    assert found["used"]["block RAM"]["used"] == routed["utilization"]["block RAM (18 kbit)"]["used"]
    assert found["used"]["multipliers"]["used"] == routed["utilization"]["multiplier"]["used"]
    assert not found["routable"], "the limits are those of designs with more spacers"
    assert abs(found["cycles"]["training"] / routed["cycles"]["training"] - 1) < 0.02


def test_what_a_part_has_too_little_of(capsys, tmp_path):
    file = tmp_path / "big.toml"
    file.write_text('name = "big"\nstage = [{conv = 16, kernel = 5}, {dense = 96}, {dense = 10}]\n')
    code, found = run_json(capsys, "estimate", "orangecrab", "--network", file)
    assert (code, found["fits"]) == (ExitCode.OK, False)
    assert any(text.startswith("block RAM: ") for text in found["lacking"])
    code, out, _ = run(capsys, "estimate", "orangecrab", "--network", file)
    assert "doesn't fit: " in " ".join(out.split())


def test_refusals(capsys):
    code, _, error = run(capsys, "estimate", "nosuch", "--preset", "tiny")
    assert code != ExitCode.OK
    assert "unknown target 'nosuch'" in error


def test_what_the_compact_core_cannot_hold(capsys, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(MINE)
    code, _, error = run(capsys, "estimate", "icebreaker", "--network", file)
    assert code != ExitCode.OK
    assert "compact core" in error


def test_lanes_are_chosen_where_a_file_has_none(capsys, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(MINE)
    chosen = run_json(capsys, "estimate", "ulx3s", "--network", file)[1]
    assert chosen["routable"]
    file.write_text(MINE + "[lanes.ulx3s]\nlanes = [1, 3, 8, 2]\nclock = 42_000_000\n")
    own = run_json(capsys, "estimate", "ulx3s", "--network", file)[1]
    assert (own["lanes"]["lanes"], own["clock_hz"]) == ([1, 3, 8, 2], 42_000_000)
    assert chosen["cycles"]["training"] < own["cycles"]["training"]
    # `network show` gives a table of lanes; pasted into the file, it gives the same lanes
    code, shown = run_json(capsys, "network", "show", file, "--target", "ulx3s-45f")
    assert code == ExitCode.OK
    table = "".join(f"{key} = {value}\n" for key, value in shown["lanes"].items())
    file.write_text(MINE + "[lanes.ulx3s-45f]\n" + table)
    pasted = run_json(capsys, "estimate", "ulx3s-45f", "--network", file)[1]
    assert pasted["lanes"] == shown["lanes"]


def test_of_the_compact_core(capsys):
    code, found = run_json(capsys, "estimate", "icebreaker", "--preset", "tiny")
    assert code == ExitCode.OK
    routed = json.loads(baseline_file("icebreaker", "tiny", "yowasp").read_text())["utilization"]
    assert {name: each["used"] for name, each in found["used"].items()} == {
        "cells": routed["logic cell (LUT4 + FF)"]["used"],
        "block RAM": routed["block RAM (4 kbit)"]["used"],
        "multipliers": routed["multiplier"]["used"],
    }


def test_nothing_is_elaborated_or_simulated(capsys, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("an estimate is made without the gateware")

    monkeypatch.setattr(Fragment, "get", refused)
    with pytest.raises(AssertionError, match="without the gateware"):
        rtlil.convert(Fragment(), ports=[])
    code, found = run_json(capsys, "estimate", "ulx3s", "--preset", "medium")
    assert (code, found["fits"]) == (ExitCode.OK, True)


#: Limit in seconds for an estimate, Python's start included, on a machine that does other things too. It
#: takes 2 to 5 (docs/networks.md); a synthesis takes minutes. A closer limit would measure the load.
DEADLINE = 60


def test_in_seconds():
    command = [sys.executable, "-m", "nudge", "estimate", "ulx3s", "--preset", "medium", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout)["fits"]
