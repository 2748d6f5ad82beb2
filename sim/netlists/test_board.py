"""The synthesised cells of `tiny`, in Yosys' models, train bit for bit like the golden model."""

import pytest

from nudge.boards.icebreaker import ICEBREAKER
from nudge.boards.orangecrab import ORANGECRAB
from nudge.boards.virtual import VIRTUAL
from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.presets import preset
from nudge.golden.training import data
from nudge.golden.training.plan import Plan
from nudge.host.devices.serial import SerialBoard
from nudge.host.training.compare import compare

from .board import netlist_program

SPEC = preset("tiny")
CONFIGS = {"ice40": ICEBREAKER.design("tiny").config, "ecp5": ORANGECRAB.design("tiny").config}


@pytest.mark.slow
@pytest.mark.parametrize("part", CONFIGS)
def test_netlist_trains_bit_for_bit(part):
    config, window = CONFIGS[part], SPEC.schedule.window
    program = netlist_program(config, part)
    images = data.load("embedded")
    plan = Plan.of(SPEC, "embedded", 3, seed=5, batch=2, free_steps=window, nudged_steps=window)
    with (
        VirtualBoard(config, board=VIRTUAL, program=program) as virtual,
        SerialBoard(virtual.url, SPEC, timeout=300) as board,
    ):
        result = compare(board, plan, images)
    assert result.weights == SPEC.parameters
    assert result.predictions == 3
