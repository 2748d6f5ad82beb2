# amaranth: UnusedElaboratable=no
"""Verilog for other flows is what a part has; Verilog for simulation is not."""

import re

import pytest

from boards.icebreaker import ICEBREAKER
from boards.orangecrab import ORANGECRAB
from boards.toolchain.verilog import synthesisable_verilog
from golden.contract.errors import DesignError
from hw.lib.block_memory import UNDEFINED
from hw.top import Top
from sim.board.verilator import to_verilog

#: Registers of `hw.lib.block_memory` that choose the inverted word, and its attribute for synthesis.
COLLISION_MODEL, ATTRIBUTE = re.compile(r"\bundefined_\d+"), f"(* {UNDEFINED} "


def test_collisions_are_modelled_for_simulation_alone():
    """A synthesised model of them would be wrong bits on a board."""
    facts, config = ORANGECRAB.facts("tiny"), ORANGECRAB.design("tiny").config
    simulated = to_verilog(Top(config, clock_hz=facts.clock_hz, divisor=facts.uart_divisor, window=facts.window), "top")
    assert COLLISION_MODEL.search(simulated)
    assert ATTRIBUTE not in simulated
    text = synthesisable_verilog(ORANGECRAB, "tiny")
    assert not COLLISION_MODEL.search(text)
    assert ATTRIBUTE in text


def test_primitives_of_the_part_are_taken():
    assert "SB_SPRAM256KA" in synthesisable_verilog(ICEBREAKER, "tiny")


def test_a_preset_that_the_board_does_not_take():
    with pytest.raises(DesignError, match="too small for preset 'medium'"):
        synthesisable_verilog(ICEBREAKER, "medium")
