# amaranth: UnusedElaboratable=no
"""The sequencer with random samples, commits and durations: all starts of parts, all fields of each half."""

import random

import cocotb

from nudge.hw.core.interface import Operation
from nudge.hw.core.sequencer import Sequencer
from sim.harness.networks import config_of
from sim.harness.streams import PATIENCE, Port, start
from sim.harness.units import each, pulse, sweeps

from .played_parts import Watch

UNITS = {
    f"sequencer_{1 << log2}_{index}": Sequencer(
        config_of((1, 1), (1, 1), dense=True, window_log2=log2, decay_shift=1, index=index)
    )
    for log2, index in ((0, 2), (1, 3), (2, 2))
} | {
    "sequencer_annealed": Sequencer(
        config_of((1, 1), (1, 1), dense=True, window_log2=1, decay_shift=0, halvings=(1, 3, 4, 300))
    ),
    "sequencer_fine": Sequencer(
        config_of((1, 1), (1, 1), dense=True, window_log2=0, decay_shift=1, fine=True)
    ),
    "sequencer_centred": Sequencer(
        config_of((1, 1), (1, 1), dense=True, window_log2=0, decay_shift=1, centred=True)
    ),
    "sequencer_alone": Sequencer(
        config_of((1, 1), (1, 1), dense=True, window_log2=1, decay_shift=1, index=3, slots=1)
    ),
    "sequencer_alone_fine": Sequencer(
        config_of(
            (1, 1),
            (1, 1),
            dense=True,
            window_log2=0,
            decay_shift=0,
            halvings=(1, 3),
            fine=True,
            centred=True,
            slots=1,
        )
    ),
}
#: (free, nudged) sweeps of two batches: together they exercise all bits but the highest of the settings and
#: their counters.
MANY = {1: (0x2AA, 0x155), 2: (0x155, 0x2AA)}


@cocotb.test()
async def samples_and_commits(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, window = Port(dut, name), unit.config.spec.schedule.window
    watch = Watch(dut, name, unit)
    cocotb.start_soon(watch.run())
    for batch in range(7):
        free, nudged = window + random.randint(0, 3), window + random.randint(0, 2)
        if batch in MANY:
            free, nudged = MANY[batch]
        port.free_steps.value, port.nudged_steps.value = free, nudged
        for _ in range((0, 1, 1, 5, 8, 3, 40)[batch]):
            training = random.random() < 0.7
            for _ in range(random.choice((0, 0, 0, 100))):
                await port.edge
            await until(port, port.ready, f"{name}: not ready")
            watch.expect(training, sweeps(window, free, nudged if training else 0))
            port.operation.value = (Operation.TRAIN if training else Operation.INFER).value
            port.label.value = watch.samples[-1].label
            await pulse(port.start, port.edge)
            port.operation.value, port.label.value = random.randrange(3), random.randrange(10)
            await port.edge
            assert port.busy.value, f"{name}: a sample was started, not busy"
        await until(port, port.busy, f"{name}: stays busy", 0)
        watch.check_rest()
        # at least three of the seven batches end with a commit
        if batch % 3 == 0 or random.random() < 0.6:
            watch.committing = True
            port.operation.value = Operation.COMMIT.value
            await pulse(port.start, port.edge)
            await port.edge
            await until(port, port.busy, f"{name}: a commit doesn't end", 0)
            assert watch.commits[-1] > max(
                (s.at["update over"] for s in watch.samples if s.training), default=0
            )
            watch.committing = False
    assert watch.full > 30, f"{name}: only {watch.full} halves had a sample in each slot"
    assert len(watch.commits) > 2


async def until(port, signal, why, value=1):
    """Wait until a signal has this value."""
    for _ in range(50 * PATIENCE):
        if signal.value == value:
            return
        await port.edge
    raise AssertionError(f"{why} after {50 * PATIENCE} cycles")
