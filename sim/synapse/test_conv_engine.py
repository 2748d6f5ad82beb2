# amaranth: UnusedElaboratable=no
"""The line engine of a conv bundle against the golden model: both directions, map sizes, groups and lanes."""

import cocotb

from nudge.hw.lib.adder_tree import tree_latency
from nudge.hw.synapse.conv_engine import ConvEngine
from sim.harness.networks import bundle_of
from sim.harness.streams import start
from sim.harness.units import each
from sim.synapse import sample_check

UNITS = {
    "conv_engine_third": ConvEngine(*bundle_of("conv", (2, 5, 6), 2, kernel=3, lanes=(1, 2), index=3)),
    "conv_engine_5x6": ConvEngine(*bundle_of("conv", (1, 5, 6), 1, kernel=3)),
    "conv_engine_6x7": ConvEngine(*bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1))),
    "conv_engine_8x5": ConvEngine(*bundle_of("conv", (2, 8, 5), 4, kernel=2, lanes=(1, 2))),
    "conv_engine_kernel_1": ConvEngine(*bundle_of("conv", (2, 5, 4), 4, kernel=1, lanes=(2, 2))),
    "conv_engine_kernel_5": ConvEngine(*bundle_of("conv", (2, 7, 8), 2, kernel=5, lanes=(1, 1))),
    "conv_engine_kernel_7": ConvEngine(*bundle_of("conv", (1, 8, 9), 2, kernel=7, lanes=(1, 2))),
    "conv_engine_fine": ConvEngine(*bundle_of("conv", (4, 6, 7), 2, kernel=3, lanes=(2, 1), fine=True)),
    "conv_engine_padding_1": ConvEngine(*bundle_of("conv", (4, 6, 7), 2, kernel=3, padding=1, lanes=(2, 1))),
    "conv_engine_padding_2": ConvEngine(
        *bundle_of("conv", (2, 5, 4), 2, kernel=6, padding=2, lanes=(1, 2), fine=True)
    ),
    "conv_engine_alone": ConvEngine(*bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1), slots=1)),
    "conv_engine_alone_third": ConvEngine(
        *bundle_of("conv", (2, 5, 6), 2, kernel=3, index=3, fine=True, slots=1)
    ),
    # one tile: all channels in parallel, a map that pools to one position
    "conv_engine_6x5": ConvEngine(*bundle_of("conv", (2, 6, 5), 2, kernel=4, lanes=(2, 2))),
}


#: Largest number of cycles of a tile beyond its taps, the words of the padded plane and the adder trees.
OVERHEAD = 11


@cocotb.test()
async def drives_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, pre, k = unit.config, unit.bundle.pre, unit.bundle.kernel
    tiles = config.groups(pre) * config.groups(unit.bundle.post)
    least = tiles * (k * k + (pre.height + k - 1) * (pre.width + k - 1))
    trees = tree_latency(k * k * max(unit.pre_lanes, unit.post_lanes))
    await sample_check.check(dut, name, unit, least, least + tiles * (OVERHEAD + trees))
