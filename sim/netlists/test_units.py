# amaranth: UnusedElaboratable=no
"""Units as cells of a ULX3S' part pass the checks of their benches: an event engine, arrays, an update
engine, and memories with centred commits."""

import cocotb

from nudge.boards.ulx3s import ULX3S
from sim.core import test_centred_memory as centred
from sim.core import test_deviation_array as deviations
from sim.core import test_neuron_array as array
from sim.harness.streams import start
from sim.harness.units import each
from sim.synapse import test_event_conv_engine as event_engine
from sim.update import test_conv_update as update

from .unit import Cells

#: The units of each bench whose netlists are checked.
ENGINES = {name: event_engine.UNITS[name] for name in ("event_conv_6x7",)}
ARRAYS = {name: array.UNITS[name] for name in ("array_4x3x1",)}
DEVIATIONS = {name: deviations.UNITS[name] for name in ("deviation_weak",)}
MEMORIES = {name: centred.UNITS[name] for name in ("centred_slices",)}
UPDATES = {name: update.UNITS[name] for name in ("conv_update_6x7",)}

UNITS = {
    name: Cells(unit, name, ULX3S)
    for name, unit in (ENGINES | ARRAYS | DEVIATIONS | MEMORIES | UPDATES).items()
}


@cocotb.test()
async def event_engines_equal_golden(dut):
    await start(dut)
    await each(dut, ENGINES, event_engine.check)


@cocotb.test()
async def event_engines_take_as_long_as_their_spikes(dut):
    await start(dut)
    await each(dut, ENGINES, event_engine.check_time)


@cocotb.test()
async def arrays_equal_golden(dut):
    await start(dut)
    await each(dut, ARRAYS, array.check)


@cocotb.test()
async def deviations_equal_golden(dut):
    await start(dut)
    await each(dut, DEVIATIONS, deviations.check)


@cocotb.test()
async def centred_commits_equal_golden(dut):
    await start(dut)
    await each(dut, MEMORIES, centred.check)


@cocotb.test()
async def updates_equal_golden(dut):
    await start(dut)
    await each(dut, UPDATES, update.check)
