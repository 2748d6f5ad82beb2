# amaranth: UnusedElaboratable=no
"""The compact core of a network that no preset has: another kernel, lambda = 1/4, a window of two steps."""

import cocotb
import torch

from golden.contract import protocol
from golden.contract.config import Config
from golden.contract.shapes import Conv, Dense
from golden.contract.spec import Learning, Schedule, Spec
from golden.model import fixed
from golden.model.batch import trace
from hw.compact.compact_core import CompactCore
from hw.core.interface import Operation
from sim.core.driver import CoreDriver, Sample, check_training

SCHEDULE = Schedule(5, 3, window_log2=1, decay_shift=2, order="odd-even")
SPEC = Spec("odd", (Conv(2, 5), Dense(10)), SCHEDULE, Learning((0.5, 0.5), beta=0.9))
CONFIG = Config(SPEC, (1, 1, 1), compact=True)
TOP = CompactCore(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=4, traced=2)


@cocotb.test()
async def trains_with_the_shortest_phases(dut):
    await check_training(dut, CONFIG, 3, seed=5, traced=3, steps=(SCHEDULE.window, SCHEDULE.window))


@cocotb.test()
async def takes_the_cycles_that_the_program_states(dut):
    """`hw.compact.program` has the table. Layer 1 is made to spike in every sweep."""
    image, dense = SPEC.bundles
    parameters = fixed.Parameters(
        tuple(torch.zeros(bundle.weight_shape, dtype=torch.int64) for bundle in SPEC.bundles),
        (torch.full((2,), SPEC.formats.master_high), torch.zeros(10, dtype=torch.int64)),
    )
    core = CoreDriver(dut, CONFIG)
    await core.start()
    settings, image_shown = fixed.Settings.of(SPEC), core.image.reshape(28, 28).copy()
    core.configure(settings)
    await core.load(parameters)
    dut.clear.value = 1
    await core.edge
    dut.clear.value = 0
    await core.run([Sample(Operation.TRAIN, image_shown, 3)])
    await core.commit()
    counters = (getattr(dut, f"phase_cycles__{i}") for i in range(len(protocol.PHASES)))
    found = {name: counter.value.to_unsigned() for name, counter in zip(protocol.PHASES, counters, strict=True)}

    hidden, positions, window = image.post.neurons, image.post.positions, SCHEDULE.window
    outputs = dense.post.neurons
    sweep, sums = (3 + outputs) * hidden + 5 * outputs + 4, (hidden + outputs) * window
    # each output that spiked in the sweep before costs a cycle for each neuron of layer 1
    backward = dict.fromkeys(("free", "plus", "minus"), 0)
    steps = list(trace(SPEC, settings, parameters, image_shown, 3))
    last_free = steps[SCHEDULE.free - 1]
    for before, step in zip([None, *steps], steps, strict=False):
        before = last_free if step.t == 0 and step.phase != "free" else before
        backward[step.phase] += hidden * int(before.layers[1].s.sum()) if before else 0
    assert backward["plus"], "no output spiked, so backward weights were not timed"
    updates = {
        "image weights": (5 * positions + 6) * image.weights,
        "biases of layer 1": (2 * positions + 4) * image.post.channels,
        "dense weights": 8 * dense.weights + 2 * hidden,
        "output biases": 6 * dense.post.neurons,
    }
    nudged = SCHEDULE.nudged * sweep + sums + 1
    assert found == {
        "static": hidden * (5 * image.kernel**2 + 3) + 2,
        "free": SCHEDULE.free * sweep + sums + 1 + backward["free"],
        "plus": nudged + backward["plus"],
        "minus": nudged + backward["minus"],
        "update": sum(updates.values()) + 2,
        "commit": 2 * SPEC.parameters + 2,
    }
