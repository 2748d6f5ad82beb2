# amaranth: UnusedElaboratable=no
"""The engine of a dense bundle against the golden model: both directions, one or several groups and lanes."""

import cocotb

from nudge.golden.contract import layout
from nudge.hw.lib.adder_tree import tree_latency
from nudge.hw.synapse.dense_engine import DenseEngine
from sim.harness.networks import bundle_of
from sim.harness.streams import start
from sim.harness.units import each
from sim.synapse import sample_check

UNITS = {
    "dense_engine_third": DenseEngine(*bundle_of("dense", (4, 1, 2), 6, lanes=(2, 3), index=3)),
    # two words of backward drives, in two successive cycles
    "dense_engine_two_words": DenseEngine(*bundle_of("dense", (1, 2, 1), 3, lanes=(1, 3))),
    "dense_engine_one": DenseEngine(*bundle_of("dense", (1, 3, 2), 3)),
    "dense_engine_wide": DenseEngine(*bundle_of("dense", (6, 2, 2), 10, lanes=(3, 10))),
    "dense_engine_groups": DenseEngine(*bundle_of("dense", (4, 3, 1), 6, lanes=(2, 2))),
    "dense_engine_fine": DenseEngine(*bundle_of("dense", (4, 2, 1), 6, lanes=(2, 3), fine=True)),
    "dense_engine_alone": DenseEngine(*bundle_of("dense", (4, 2, 1), 6, lanes=(2, 3), slots=1)),
    "dense_engine_alone_third": DenseEngine(
        *bundle_of("dense", (4, 1, 2), 6, lanes=(2, 3), index=3, fine=True, slots=1)
    ),
    "dense_engine_narrow": DenseEngine(*bundle_of("dense", (5, 1, 1), 4, lanes=(5, 1))),
}


@cocotb.test()
async def drives_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    lanes = unit.config.lanes[unit.bundle.pre.index], unit.config.lanes[unit.bundle.index]
    cycles = layout.tiles(unit.config, unit.bundle) + 3 + tree_latency(max(lanes))
    await sample_check.check(dut, name, unit, cycles, cycles)
