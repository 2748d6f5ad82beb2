"""`nudge estimate`."""

import json

from boards.toolchain.report import baseline_file
from golden.contract.errors import ExitCode

from .command import run, run_json


def test_block_ram_and_multipliers_are_those_that_were_routed(capsys):
    code, found = run_json(capsys, "estimate", "--board", "ulx3s", "--preset", "medium")
    assert code == ExitCode.OK
    routed = json.loads(baseline_file("ulx3s", "medium", "yowasp").read_text())
    assert found["used"]["block RAM"]["used"] == routed["utilization"]["block RAM (18 kbit)"]["used"]
    assert found["used"]["multipliers"]["used"] == routed["utilization"]["multiplier"]["used"]
    assert found["fits"]
    assert abs(found["cycles"]["training"] / routed["cycles"]["training"] - 1) < 0.02


def test_what_a_part_has_too_little_of(capsys, tmp_path):
    file = tmp_path / "big.toml"
    file.write_text('name = "big"\nstage = [{conv = 16, kernel = 5}, {dense = 96}, {dense = 10}]\n')
    code, found = run_json(capsys, "estimate", "--board", "orangecrab", "--network", file)
    assert (code, found["fits"]) == (ExitCode.OK, False)
    assert any(text.startswith("block RAM: ") for text in found["lacking"])
    code, out, _ = run(capsys, "estimate", "--board", "orangecrab", "--network", file)
    assert "doesn't fit: " in " ".join(out.split())


def test_refusals(capsys):
    code, _, error = run(capsys, "estimate", "--board", "nosuch", "--preset", "tiny")
    assert code != ExitCode.OK
    assert "unknown board 'nosuch'" in error
