# amaranth: UnusedElaboratable=no
"""The compact core of a network unlike the presets: kernel 5, lambda = 1/4, a window of two steps."""

from dataclasses import replace

import cocotb
import torch
from cocotb.triggers import RisingEdge

from nudge.golden.contract import protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.golden.model import fixed
from nudge.hw.compact.compact_core import CompactCore
from nudge.hw.core.interface import Operation
from sim.core.whole.check import check_training
from sim.core.whole.driver import CoreDriver, Sample

SCHEDULE = Schedule(5, 3, window_log2=1, decay_shift=2, order="odd-even")
SPEC = Spec("odd", (Conv(2, 5), Dense(10)), SCHEDULE, Learning((0.5, 0.5), beta=0.9))
CONFIG = Config(SPEC, (1, 1, 1), compact=True)
TOP = CompactCore(CONFIG)


@cocotb.test()
async def trains_with_the_shortest_phases(dut):
    await check_training(dut, CONFIG, 3, seed=5, traced=3, steps=(SCHEDULE.window, SCHEDULE.window))


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=4, traced=2)


@cocotb.test()
async def trains_after_a_reset_within_a_sweep(dut):
    """After a reset within a sweep, partial drives of the outputs don't add to the next sample's."""
    core = CoreDriver(dut, CONFIG)
    await core.start()
    core.configure(fixed.Settings.of(SPEC))
    high = SPEC.formats.master_high
    weights = tuple(torch.full(bundle.weight_shape, high) for bundle in SPEC.bundles)
    await core.load(fixed.Parameters(weights, (torch.full((2,), high), torch.full((10,), high))))
    dut.operation.value, dut.start.value = Operation.INFER.value, 1
    await core.edge
    dut.start.value = 0
    await RisingEdge(dut.trace_1__valid)
    for _ in range(1000):
        await core.edge
    await check_training(dut, CONFIG, 1, seed=5)


@cocotb.test()
@cocotb.parametrize(spiking=[0, 10])
async def takes_the_cycles_that_the_program_states(dut, spiking):
    """Each phase takes the cycles in the table of `hw.compact.program`, with layer 1 spiking in every sweep,
    and all outputs or none."""
    image, dense = SPEC.bundles
    hidden, positions, window, outputs = (
        image.post.neurons,
        image.post.positions,
        SCHEDULE.window,
        dense.post.neurons,
    )
    high = SPEC.formats.master_high
    parameters = fixed.Parameters(
        tuple(torch.zeros(bundle.weight_shape, dtype=torch.int64) for bundle in SPEC.bundles),
        (torch.full((2,), high), torch.full((10,), high if spiking else -high)),
    )
    core = CoreDriver(dut, CONFIG)
    await core.start()
    # a nudge that is too weak to stop an output from spiking
    core.configure(replace(fixed.Settings.of(SPEC), beta=1))
    await core.load(parameters)
    dut.clear.value = 1
    await core.edge
    dut.clear.value = 0
    await core.run([Sample(Operation.TRAIN, core.image.reshape(28, 28).copy(), 3)])
    sweeps = SCHEDULE.free + 2 * SCHEDULE.nudged
    assert core.spikes() == [sweeps * hidden, sweeps * spiking]
    await core.commit()
    found = dict(zip(protocol.PHASES, core.cycles(), strict=True))

    sweep, sums = (3 + outputs) * hidden + 5 * outputs + 4, (hidden + outputs) * window
    backward = spiking * hidden
    updates = {
        "image bundle": (positions + 5) * (image.weights + image.post.channels),
        "dense weights": 2 * dense.weights + 5,
        "output biases": 6 * outputs,
    }
    # in the first sweep of a sample there are no earlier spikes
    nudged = SCHEDULE.nudged * (sweep + backward) + sums + 1
    assert found == {
        "static": 27 * 32 * 2 + 1 + hidden * (image.kernel**2 + 3) + 2,
        "free": SCHEDULE.free * (sweep + backward) - backward + sums + 1,
        "plus": nudged,
        "minus": nudged,
        "update": sum(updates.values()) + 2,
        "commit": 2 * SPEC.parameters + 2,
    }
