# amaranth: UnusedElaboratable=no
"""The pixel engine against the golden model: images are replayed while the next one is processed."""

import cocotb

from nudge.hw.synapse.pixel_engine import PixelEngine
from sim.harness.networks import bundle_of
from sim.harness.streams import start
from sim.harness.units import each
from sim.synapse import static_check

UNITS = {
    "pixel_engine_grey": PixelEngine(*bundle_of("pixels", (1, 4, 5), 3)),
    "pixel_engine_colour": PixelEngine(*bundle_of("pixels", (3, 3, 2), 6, lanes=(1, 2))),
    "pixel_engine_one_group": PixelEngine(*bundle_of("pixels", (1, 8, 8), 4, lanes=(1, 4))),
}


@cocotb.test()
async def static_drives_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    cycles = unit.config.groups(unit.bundle.post) * unit.bundle.pre.neurons + unit.latency
    await static_check.check(dut, name, unit, cycles, cycles)
