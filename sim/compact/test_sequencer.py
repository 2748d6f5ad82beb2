# amaranth: UnusedElaboratable=no
"""The compact core's sequencer starts all parts in order, with the right fields of each sweep and the right
phase, for parts of random durations."""

import random
from dataclasses import replace

import cocotb

from nudge.golden.contract import protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset
from nudge.hw.compact.sequencer import Sequencer, Step
from nudge.hw.core.interface import Operation, annealing
from sim.harness.streams import PATIENCE, Port, start
from sim.harness.units import annealing as annealing_at
from sim.harness.units import each, pulse, sweeps

SPEC = preset("tiny")
ANNEALED = replace(SPEC, schedule=replace(SPEC.schedule, decay_shift=0, halvings=(1, 3, 4, 300)))
UNITS = {
    name: Sequencer(Config(spec, (1, 1, 1), compact=True))
    for name, spec in (("compact_sequencer", SPEC), ("compact_sequencer_annealed", ANNEALED))
}
PARTS = ("image", "step", "update", "commit")
#: Sweeps of two phases with complementary bits, so that each bit of registers and counter matters.
MANY = 0xAAB, 0x554
FIELDS = ("first", "state_read", "state_write", "nudge", "negative", "sum", "sum_first")


@cocotb.test()
async def parts_in_order(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, window = Port(dut, name), SPEC.schedule.window
    for run in range(24):
        operation = random.choice((Operation.TRAIN, Operation.TRAIN, Operation.INFER, Operation.COMMIT))
        free, nudged = window + random.randint(0, 4), window + random.randint(0, 3)
        if run >= 22:
            operation, free, nudged = Operation.TRAIN, *(MANY if run == 22 else MANY[::-1])
        port.free_steps.value, port.nudged_steps.value, port.operation.value = free, nudged, operation.value
        planned = sweeps(window, free, nudged if operation == Operation.TRAIN else 0)
        halvings = unit.config.spec.schedule.halvings
        expected: list[tuple[str, dict[str, int] | None]] = [("commit", None)]
        if operation != Operation.COMMIT:
            expected = [("image", None)]
            expected += [
                ("step", fields | annealing_at(halvings, phase, t, free)) for phase, t, fields in planned
            ]
            expected += [("update", None)] * (operation == Operation.TRAIN)
        where = f"{name}, run {run}, {operation.name}, {free} and {nudged} sweeps"
        done = await play(port, unit, expected, where)
        assert done == (operation != Operation.COMMIT), f"{where}: {done} times done"


def counts_as(part, fields):
    """Return the name of the phase that counts a part's cycles."""
    if part == "step":
        return ("minus" if fields["negative"] else "plus") if fields["nudge"] else "free"
    return {"image": "static"}.get(part, part)


async def play(port, unit, expected, where):
    """Answer each start by running for some cycles; return the number of cycles with ``done``."""
    left, at, done, seeing = 0, 0, 0, False
    phases = [1 << protocol.PHASES.index(counts_as(part, fields)) for part, fields in expected]
    port.running.value = 0
    await pulse(port.start, port.edge)
    for _ in range(PATIENCE):
        await port.edge
        if not port.busy.value:
            break
        done += int(port.done.value)
        assert not (port.done.value and port.holding.value), f"{where}: done while the image is held"
        began = [part for part in PARTS if getattr(port, f"{part}_start").value]
        assert not (began and left), f"{where}: {began} beside another part"
        held = seeing or began == ["image"]
        assert port.holding.value == held, (
            f"{where}, start {at}: holding is {port.holding.value}, expected {held}"
        )
        if began:
            counted = phases[at : at + 1]
        elif left:
            counted = phases[at - 1 : at]
        else:  # at the end of a part, or between two
            counted = [0, *phases[max(at - 1, 0) : at + 1]]
        assert int(port.phase.value) in counted, f"{where}, start {at}: phase {int(port.phase.value):b}"
        if left:
            left -= 1
            port.running.value = int(left > 0)
            # the image is read at most until its part ends
            seeing = seeing and left > 1 and random.random() < 0.8
        if began:
            assert at < len(expected), f"{where}: {began} at the end"
            part, fields = expected[at]
            assert began == [part], f"{where}, start {at}: {began}, expected {part}"
            if fields:
                step = Step.from_bits(int(port.step.value))
                for field in FIELDS:
                    assert step[field] == fields[field], f"{where}, start {at}: {field} is {step[field]}"
                if unit.config.spec.schedule.halvings:
                    told = annealing(unit.config).from_bits(int(port.annealing.value))
                    for field in ("halved", "falls"):
                        assert told[field] == fields[field], f"{where}, start {at}: {field} is {told[field]}"
            at += 1
            left = random.choice((1, 2, 7))
            port.running.value, seeing = 1, part == "image"
        port.seeing.value = int(seeing)
    else:
        raise AssertionError(f"{where}: busy for {PATIENCE} cycles")
    assert at == len(expected), f"{where}: ended after {at} of {len(expected)} parts"
    return done
