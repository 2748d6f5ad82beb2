# amaranth: UnusedElaboratable=no
"""The core of preset `tiny` on real digits, with the preset's numbers of sweeps and the shortest phases."""

import cocotb

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.hw.core.core import Core

from .check import check_training

CONFIG = configuration(preset("tiny"), "line")
TOP = Core(CONFIG)


@cocotb.test()
async def trains_with_the_shortest_phases(dut):
    window = CONFIG.spec.schedule.window
    await check_training(dut, CONFIG, 2, seed=2, traced=2, steps=(window, window))


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 4, seed=1)
