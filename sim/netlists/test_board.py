"""The synthesised cells of `tiny`, in Yosys' models, train bit for bit like the golden model."""

import pytest

from boards.icebreaker import ICEBREAKER
from boards.orangecrab import ORANGECRAB
from boards.virtual import VIRTUAL
from boards.virtual.board import VirtualBoard
from golden.contract.presets import preset
from golden.training import data
from golden.training.plan import Plan
from host.boards.serial import SerialBoard
from host.training.compare import compare

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
    with VirtualBoard(config, board=VIRTUAL, program=program) as virtual, SerialBoard(virtual.url, SPEC, timeout=300) as board:
        result = compare(board, plan, images, None)
    assert result.weights == SPEC.parameters
    assert result.predictions == 3
