# amaranth: UnusedElaboratable=no
"""The sequencer: every start in order, every field of each step, what the spike banks hold; parts of random durations."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from hw.core.interface import Operation
from hw.core.sequencer import Sequencer, one_hot
from hw.synapse.interface import SPIKE_BANKS, Step
from sim.harness.networks import config_of
from sim.harness.streams import PATIENCE, Port, start
from sim.harness.testbench import CLOCK
from sim.harness.units import each, plan, pulse

#: What the sequencer waits for at once, and what goes on beside it.
PARTS, BESIDE = ("image", "step", "predict", "commit", "prepare"), ("pixels", "update")
UNITS = {
    f"sequencer_{1 << log2}": Sequencer(config_of((1, 1), (1, 1), dense=True, window_log2=log2, decay_shift=1))
    for log2 in (0, 1, 3)
}
#: Fields of `Step` whose values the arithmetic fixes; spike banks are judged by what they hold.
FIXED = ("first", "state_read", "state_write", "nudge", "negative", "sum", "sum_first")


@cocotb.test()
async def samples_and_commits(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, window = Port(dut, name), unit.config.spec.schedule.window
    busy = [getattr(port, f"{part}_busy") for part in PARTS]
    log: list[tuple[str, int, int]] = []
    cocotb.start_soon(play_parts(dut, name, log))
    samples = [(window, window), (window + 1, window), (window, window + 1), (window + 4, window + 3), (window + 3, window + 2)]
    runs = [(operation, steps) for steps in samples for operation in (Operation.TRAIN, Operation.INFER, Operation.TRAIN)]
    runs += [(Operation.COMMIT, samples[0])] * 2
    random.shuffle(runs)
    for number, (operation, (free, nudged)) in enumerate(runs):
        where = f"{name}, run {number} ({operation.name}, {free} and {nudged} steps)"
        log.clear()
        port.free_steps.value, port.nudged_steps.value = free, nudged
        port.operation.value = operation.value
        assert not port.busy.value, f"{where}: busy before start"
        await pulse(port.start, port.edge)
        for _ in range(PATIENCE):
            await port.edge
            if not port.busy.value:
                break
            # while a part is busy so is the sequencer: another start is ignored, and the operation needn't hold
            port.start.value = int(any(signal.value for signal in busy) and random.random() < 0.3)
            port.operation.value = random.choice([o.value for o in Operation])
        else:
            raise AssertionError(f"{where}: busy for {PATIENCE} cycles")
        compare(where, log, list(expected(operation, window, free, nudged)))


def expected(operation, window, free, nudged):
    """(part, phase, planned step or None) in order."""
    if operation == Operation.COMMIT:
        yield "commit", "commit", None
        yield "prepare", "commit", None
        return
    train = operation == Operation.TRAIN
    yield "image", "static", None
    if train:
        yield "pixels", "static", None
    for planned in plan(window, free, nudged if train else 0):
        if planned.phase == "plus" and planned.t == 0:
            yield "predict", "free", None
        yield "step", planned.phase, planned
    yield ("update", "update", None) if train else ("predict", "free", None)


def compare(where, log, events):
    """Order, phases and fields; then that each step reads the spikes that it must."""
    got, want = ([(part, phase) for part, phase, _ in entries] for entries in (log, events))
    want = [(part, one_hot(phase)) for part, phase in want]
    for number, (a, b) in enumerate(zip(got, want, strict=False)):
        assert a == b, f"{where}, start {number}: {a[0]} in phase {a[1]:b}, expected {b[0]} in phase {b[1]:b}"
    assert len(got) == len(want), f"{where}: {len(got)} starts, expected {len(want)}"

    holds: dict[int, tuple[str, int]] = {}
    last_free = max((p.t for _, _, p in events if p and p.phase == "free"), default=0)
    for (_, _, bits), (_, _, planned) in zip(log, events, strict=True):
        if planned is None:
            continue
        step, at = Step.from_bits(bits), f"{where}, {planned.phase} step {planned.t}"
        for field in FIXED:
            assert step[field] == planned.fields[field], f"{at}: {field} is {step[field]}, expected {planned.fields[field]}"
        assert step.spike_write < SPIKE_BANKS, f"{at}: spike bank {step.spike_write} is written"
        assert step.spike_write != step.spike_read, f"{at}: spike bank {step.spike_read} is read and written"
        if not step.first:
            source = ("free", last_free) if planned.t == 0 else (planned.phase, planned.t - 1)
            found = holds.get(step.spike_read)
            assert found == source, f"{at}: bank {step.spike_read} holds the spikes of {found}, expected {source}"
        holds[step.spike_write] = (planned.phase, planned.t)


async def play_parts(dut, name, log):
    """Answers each start with a busy line of random duration; logs part, phase and step; checks that both hold.

    Nothing else starts while one of PARTS is busy; those BESIDE keep busy meanwhile, and these may not start before they end:
    an update before the pixels are taken, a step of a window and a commit before the update is over.
    """
    port, edge = Port(dut, name), RisingEdge(getattr(dut, CLOCK))
    parts = (*PARTS, *BESIDE)
    starts, busy = ({part: getattr(port, f"{part}_{kind}") for part in parts} for kind in ("start", "busy"))
    running, left = None, dict.fromkeys(parts, 0)
    while True:
        await edge
        began = [part for part in parts if starts[part].value]
        phase, step = int(port.phase.value), int(port.step.value)
        if not port.busy.value:
            assert phase == (one_hot("update") if port.update_busy.value else 0), f"{name}: phase {phase:b} between two samples"
        if running:
            assert not began, f"{name}: {began} started while {running[0]} is busy"
            held = step if running[0] == "step" else running[2]
            assert (phase, held) == running[1:], f"{name}: phase or step changed while {running[0]} is busy"
        for part in parts:
            if left[part]:
                left[part] -= 1
                if not left[part]:
                    busy[part].value = 0
                    running = None if running and running[0] == part else running
        if not began:
            continue
        assert len(began) == 1, f"{name}: {began} started at once"
        (part,) = began
        updating = left["update"] or (part == "update" and left["pixels"])
        if part in ("commit", "update") or (part == "step" and Step.from_bits(step).sum):
            assert not updating, f"{name}: {part} started too early"
        log.append((part, phase, step))
        if part in PARTS:
            running, left[part] = (part, phase, step), random.choice((1, 1, 2, random.randint(3, 9)))
        else:
            left[part] = random.choice((1, random.randint(2, 9), random.randint(10, 300)))
        busy[part].value = 1
