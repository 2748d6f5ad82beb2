# amaranth: UnusedElaboratable=no
"""The compact core of preset `tiny`, the shortest samples of real digits."""

import cocotb

from golden.contract.config import Config
from golden.contract.presets import preset
from hw.compact.compact_core import CompactCore
from sim.core.driver import check_training

CONFIG = Config(preset("tiny"), (1, 1, 1), compact=True)
TOP = CompactCore(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    window = CONFIG.spec.schedule.window
    await check_training(dut, CONFIG, 2, seed=1, steps=(window + 1, window))
