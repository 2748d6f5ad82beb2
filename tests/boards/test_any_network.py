"""A network from a file can be built for each board, and a board can be any Python file."""

import pytest

from nudge.boards.catalog import BOARDS, board, board_of_file
from nudge.boards.toolchain.netlist import plan
from nudge.golden.contract import network_file
from nudge.golden.contract.protocol import BuildFacts
from nudge.plumbing.errors import ConfigError, DesignError, ExitCode, SpecError
from tests.host.cli.command import run

from .new_board import FILE

MINE = """
name = "mine"
stage = [{conv = 6, kernel = 5}, {dense = 24}, {dense = 10}]
[lanes.event]
lanes = [1, 6, 8, 2]
[lanes.ulx3s]
lanes = [1, 3, 8, 2]
clock = 45_000_000
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def test_its_own_lanes_then_those_of_the_engines(file):
    spec = network_file.read(file)
    ulx3s, orangecrab = (board(name).with_network(spec).design("mine") for name in ("ulx3s", "orangecrab"))
    assert (ulx3s.config.lanes, ulx3s.clock_hz) == ((1, 3, 8, 2), 45_000_000)
    assert (orangecrab.config.lanes, orangecrab.clock_hz) == ((1, 6, 8, 2), 48_000_000)
    assert list(board("ulx3s").with_network(spec).designs) == ["mine"]


def test_a_netlist_of_it(file):
    fpga = board("orangecrab").with_network(network_file.read(file))
    made = plan(fpga, "mine", BuildFacts())
    assert "engine_3" in made.files["top.il"]


def test_the_compact_core_takes_what_it_can(file, tmp_path):
    least = network_file.network({"name": "least", "stage": [{"conv": 3}, {"dense": 10}]}, "test")
    assert board("icebreaker").with_network(least).design("least").config.compact
    fpga = board("icebreaker").with_network(network_file.read(file))
    with pytest.raises(ConfigError, match="the compact core takes one convolution and the output, not mine"):
        plan(fpga, "mine", BuildFacts())


def test_an_order_that_no_gateware_has(file):
    spec = network_file.network(
        {"name": "old", "stage": [{"conv": 3}, {"dense": 10}], "schedule": {"order": "all"}}, "test"
    )
    with pytest.raises(ConfigError, match="old: the gateware steps odd and even layers in turn"):
        board("ulx3s").with_network(spec)


def test_a_board_of_a_file(file, tmp_path):
    path = tmp_path / "bare_board.py"
    path.write_text(FILE.replace("from .", "from nudge.boards."))
    assert "bare" not in BOARDS
    fpga = board_of_file(path, "bare")
    assert fpga.what == "Lattice ECP5 on a breadboard"
    made = plan(fpga, "tiny", BuildFacts())
    assert 'LOCATE COMP "uart_3__rx__io" SITE "M1"' in made.files["top.lpf"]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (None, "bare", r"--target-file .*bare_board.py: no Python file"),
        (
            FILE.replace("from .", "from nudge.boards."),
            "mine",
            r"--target-file .* has no target 'mine': it has bare",
        ),
        ("x = 1", "bare", r"--target-file .* has no target 'bare': it has none"),
        ("x = ", "bare", r"--target-file .*: SyntaxError: "),
        ("x = y", "bare", r"--target-file .*: NameError: name 'y' is not defined"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(text, name, message, tmp_path):
    path = tmp_path / "bare_board.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DesignError, match=message):
        board_of_file(path, name)


def test_options_of_a_build(capsys, file, tmp_path):
    code, _, err = run(capsys, "build", "ulx3s", "--preset", "tiny", "--network", file)
    assert code == SpecError.exit_code == ExitCode.USAGE
    assert "not with --preset tiny, choose one" in err
    code, _, err = run(capsys, "build", "bare", "--target-file", tmp_path / "none.py")
    assert code == ExitCode.USAGE
    assert "none.py: no Python file" in err
