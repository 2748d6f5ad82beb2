# amaranth: UnusedElaboratable=no
"""The core of preset `paper`, with the published widths: inference with trained weights, one learned digit.

Its weights need 25 times the memory of the largest part supported here, so it only runs in simulation, at
half a minute per digit. NUDGE_PAPER=20 sets the number of digits (docs/log/2026-11-30-paper-gateware.md);
without it, the tests are skipped.
"""

import os
from dataclasses import replace
from pathlib import Path

import cocotb
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training import checkpoint, data
from nudge.hw.core.core import Core

from . import large

DIGITS = int(os.environ.get("NUDGE_PAPER", "0"))

#: More lanes take fewer cycles per digit, but each cycle takes longer to simulate: the digits per hour stay
#: about the same.
LANES = (1, 8, 8, 16, 1)

SPEC = preset("paper")
CONFIG = replace(configuration(replace(SPEC, lanes=()), "line"), lanes=LANES, arrays=LANES)
TOP = Core(CONFIG)


MANY = pytest.mark.skipif(
    not DIGITS, reason="NUDGE_PAPER isn't set to a number of digits, half a minute each"
)


@cocotb.test()
@MANY
async def answers_as_the_model_does(dut):
    parameters = checkpoint.load(checkpoint.find(Path("paper-mnist")), SPEC)[1]
    await large.answers(dut, CONFIG, parameters, data.load("embedded").test_images[:DIGITS])


@cocotb.test()
@MANY
async def learns_as_the_model_does(dut):
    embedded = data.load("embedded")
    await large.learns(dut, CONFIG, embedded.train_images[:1], embedded.train_labels[:1])
