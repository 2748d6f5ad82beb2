# amaranth: UnusedElaboratable=no
"""INFER, TRAIN and COMMIT with a played core: order, overlap, answers, pixels, pulses, cycles."""

import random
from collections import deque
from dataclasses import dataclass, replace

import cocotb
from cocotb.triggers import Timer

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import (
    CRC_BYTES,
    LABELS,
    PIXELS,
    REQUEST_BYTES,
    REQUEST_HEADER,
    VERSION,
    Command,
    Committed,
    Sampled,
    Status,
)
from nudge.hw.core.interface import Operation
from nudge.hw.link.interface import Request
from nudge.hw.link.line_samples import LineSamples
from sim.harness.issued import Issued
from sim.harness.requester import watch
from sim.harness.streams import PATIENCE, PERIOD, Port, serve_memory, start
from sim.harness.units import each, pulse

TINY = configuration(preset("tiny"))
#: For a core with four samples in flight, and for the compact core with one.
UNITS = {
    "samples": Issued(LineSamples(TINY)),
    "sample": Issued(LineSamples(replace(TINY, lanes=(1, 1, 1), compact=True))),
}

OPERATIONS = {
    Command.INFER: Operation.INFER,
    Command.TRAIN: Operation.TRAIN,
    Command.COMMIT: Operation.COMMIT,
}
#: Cycles of some runs, by number: they set more bits of the answer's `cycles`.
LONG = {10: 0x1555, 20: 0x2AAA}
#: Cycles of the longest runs, one after the other: each of their bits is 0 in one and 1 in the other.
LONGEST = 0x0AAAAB, 0x155554
#: Largest number of cycles in which an answer is sent.
SAYING = 12
PULSES = ("sampled", "mistaken", "trained", "committed")


@dataclass
class Run:
    """An operation that the core was given, with the cycles of its start and end."""

    operation: Operation
    label: int
    began: int
    ends: int
    prediction: int = 0
    #: Value of `cycles` that the answer must have.
    cycles: int = 0


class PlayedCore:
    """A core with up to `most` samples for random times; the prediction is only valid with `done`.

    It reads pixels while it holds an image; with `most` = 1, until the sample is done. After the last sample
    it stays busy a little longer. Often a sample is done in the cycle in which another one may be started.
    """

    def __init__(self, dut, unit: str, most: int, buffer: bytearray):
        self.port, self.most, self.buffer = Port(dut, unit), most, buffer
        self.offered = Port(dut, f"{unit}__execute").start
        #: All runs; the samples in progress; and the finished samples whose answers weren't checked yet.
        self.runs: list[Run] = []
        self.under_way: deque[Run] = deque()
        self.finished: deque[Run] = deque()
        self.now = self.last_done = 0
        #: Number of TRAINs that COMMITs have covered, by the bench's count.
        self.committed = 0
        cocotb.start_soon(self._play())

    async def _play(self):
        port = self.port
        held = update = pause = committing = 0
        asked, starting = None, False
        while True:
            if starting and self.under_way and random.random() < 0.5:
                self.under_way[0].ends = min(self.under_way[0].ends, self.now)
            # inputs set here are valid in the cycle that ends with the next edge
            done = bool(self.under_way) and self.now >= self.under_way[0].ends
            holding = held > 0 or (self.most == 1 and bool(self.under_way) and not done)
            done &= not holding
            ready = not (held or committing or pause) and len(self.under_way) < self.most
            busy = bool(self.under_way or committing or update)
            address = random.choice((0, PIXELS - 1, random.randrange(PIXELS)))
            port.done.value, port.holding.value, port.ready.value, port.busy.value = (
                done,
                holding,
                ready,
                busy,
            )
            port.prediction.value = self.under_way[0].prediction if done else random.randrange(16)
            port.pixel_address.value = address
            await port.edge
            starting = bool(self.offered.value)
            assert asked in (None, port.pixel.value), f"got pixel {port.pixel.value}, expected {asked}"
            # a pixel follows its address by one cycle, even if the image is no longer held then
            asked = self.buffer[4 + address] if holding else None
            held, update, pause = max(held - 1, 0), max(update - 1, 0), max(pause - 1, 0)
            committing = max(committing - 1, 0)
            if done:
                run = self.under_way.popleft()
                run.cycles = self.now - max(run.began, self.last_done)
                self.last_done = self.now
                self.finished.append(run)
                update = random.choice((0, 0, 5)) if run.operation == Operation.TRAIN else 0
            if port.start.value:
                operation, label = Operation(int(port.operation.value)), int(port.label.value)
                took = LONG.get(len(self.runs)) or random.choice((1, 2, random.randint(1, 400)))
                run = Run(operation, label, self.now, self.now + took, random.randrange(LABELS))
                self.runs.append(run)
                if operation == Operation.COMMIT:
                    assert not busy, "a COMMIT was started while busy"
                    committing, run.cycles, pause = took, took, took + random.choice((0, 9))
                else:
                    assert ready, "a sample was started while not ready"
                    held, pause = random.choice((1, 2, random.randint(1, 100))), random.choice((0, 0, 150))
                    self.under_way.append(run)
            self.now += 1


class Decoder:
    """Play the decoder, a register file with `pending`, and a frame buffer."""

    def __init__(self, dut, unit: str):
        self.port, self.core_port = Port(dut, f"{unit}__execute"), Port(dut, unit)
        self.buffer = bytearray(REQUEST_BYTES)
        self.pending = 0
        self.taken: deque[Run] = deque()
        serve_memory(dut, f"{unit}__buffer__address", f"{unit}__buffer__data", self.buffer)
        cocotb.start_soon(self._count())

    async def _count(self):
        port = self.core_port
        while True:
            await port.edge
            self.pending = (0 if port.committed.value else self.pending) + int(port.trained.value)
            port.pending.value = self.pending

    async def offer(self, command: Command, payload: bytes) -> None:
        """Offer a request, which stays until the next offer."""
        frame = bytes((VERSION, random.randrange(256), command)) + payload + random.randbytes(CRC_BYTES)
        self.buffer[:] = frame + random.randbytes(REQUEST_BYTES - len(frame))
        fields = {
            "status": Status.OK,
            "length": len(frame),
            "version": VERSION,
            "sequence": frame[1],
            "command": command,
        }
        width = Request.as_shape()["arguments"].width
        fields["arguments"] = int.from_bytes(frame[REQUEST_HEADER:][: width // 8], "little")
        self.port.request.value = Request.const(fields).as_bits()
        for _ in range(random.choice((2, 2, 30))):
            await self.port.edge

    async def run(self, signal) -> tuple[Status | None, bytes, int]:
        """Pulse `start` or `say`; return status (None if the sample was taken), payload and cycles."""
        port, answer = self.port, bytearray()
        signal.value = 1
        await port.edge
        ends = port.done.value or port.taken.value
        assert not ends, f"{port.name}: ends in the cycle in which it begins"
        signal.value = 0
        for cycles in range(1, PATIENCE):
            await port.edge
            if port.o__valid.value:
                answer.append(int(port.o__payload.value))
            assert not (port.done.value and port.taken.value)
            if port.taken.value:
                # the frame buffer is free for another request
                port.request.value = random.getrandbits(len(port.request))
                self.buffer[:] = random.randbytes(REQUEST_BYTES)
                return None, bytes(answer), cycles
            if port.done.value:
                return Status(int(port.status.value)), bytes(answer), cycles
        raise AssertionError(f"{port.name}: no end after {PATIENCE} cycles")


async def say(decoder: Decoder, core: PlayedCore, pulses) -> None:
    """Ask for the oldest answer, and check that it is the oldest sample's."""
    before = [len(pulses[name]) for name in ("sampled", "mistaken")]
    status, answer, cycles = await decoder.run(decoder.port.say)
    run = core.finished.popleft()
    assert (status, answer) == (Status.OK, Sampled(run.prediction, run.cycles).encode()), (
        f"{run}: {status}, {answer.hex()}"
    )
    assert cycles == 1 + Sampled.size(), f"{cycles} cycles"
    counts = [len(pulses[name]) - n for name, n in zip(("sampled", "mistaken"), before, strict=True)]
    assert counts == [1, int(run.prediction != run.label)], f"{run}: {counts}"


async def watch_idle(execute, core: PlayedCore) -> None:
    """Check in every cycle that `idle` is high if nothing is in progress and no answer is due."""
    calm = 0
    while True:
        await execute.edge
        calm = 0 if core.under_way or core.finished or core.port.busy.value else calm + 1
        # the last answer takes a few cycles
        assert calm <= SAYING or execute.idle.value, f"{execute.name}: nothing is under way, not idle"


async def until_it_may_start(decoder: Decoder, core: PlayedCore, pulses, fits: bool, where: str) -> None:
    """Wait until the offered request fits, or the unit is idle; ask for answers before. fits: whether it is a
    sample that may be started beside others."""
    port, execute = decoder.core_port, decoder.port
    talkative, steady = random.random() < 0.5, 0
    for _ in range(PATIENCE):
        in_flight = len(core.under_way) + len(core.finished)
        steady = steady + 1 if port.ready.value and in_flight < core.most else 0
        await port.edge
        assert not (execute.idle.value and (core.under_way or core.finished or port.busy.value)), (
            f"{where}: idle"
        )
        if core.finished and execute.finished.value and (talkative or in_flight == core.most or not fits):
            await say(decoder, core, pulses)
            await port.edge
            steady = 0
            continue
        assert fits or not execute.fits.value, f"{where}: fits"
        assert not fits or steady < 3 or execute.fits.value, f"{where}: doesn't fit"
        if execute.fits.value or execute.idle.value:
            return
    raise AssertionError(f"{where}: never fits")


@cocotb.test()
@cocotb.parametrize(unit=list(UNITS))
async def obeys_the_order_rules_and_keeps_the_order(dut, unit):
    await start(dut)
    decoder, most = Decoder(dut, unit), UNITS[unit].issuer.in_flight
    core, execute, port = PlayedCore(dut, unit, most, decoder.buffer), decoder.port, decoder.core_port
    pulses = {name: watch(dut, f"{unit}__{name}") for name in PULSES}
    stale, batch, seen, together = False, 1, set(), 0
    port.batch.value = batch
    cocotb.start_soon(watch_idle(execute, core))
    for _ in range(400):
        if execute.idle.value:
            if random.random() < 0.6:
                batch = random.choice((1, 2, 7, 1 << random.randrange(7), random.randint(1, 127)))
                port.batch.value = batch
            if random.random() < 0.2:
                # as if more samples had been trained since the last COMMIT
                more = max(batch - random.randrange(3) - decoder.pending, 0)
                decoder.pending, core.committed = decoder.pending + more, core.committed - more
                port.pending.value = decoder.pending
            if random.random() < 0.15:
                port.written.value, stale = 1, True
                await port.edge
                port.written.value = 0
        commands = [Command.INFER, *[Command.TRAIN] * 7, Command.COMMIT] if not stale else list(OPERATIONS)
        command = random.choice(commands)
        wrong = (LABELS, 15, 255, random.randrange(256), 1 << random.randrange(4, 8))
        label = random.choice((*range(LABELS), *range(LABELS), *wrong))
        sample = command is not Command.COMMIT
        await decoder.offer(command, bytes((label,)) + random.randbytes(PIXELS) if sample else b"")
        if sample and (stale or (command is Command.TRAIN and decoder.pending >= batch)):
            status = Status.BAD_ORDER
        else:
            status = Status.BAD_RANGE if sample and label >= LABELS else Status.OK
        where = f"{command.name}, label {label}, batch {batch}, stale {stale}"
        await until_it_may_start(decoder, core, pulses, sample and status is Status.OK, where)
        known, before = len(core.runs), {name: len(times) for name, times in pulses.items()}
        got, answer, cycles = await decoder.run(execute.start)
        await port.edge
        counts = tuple(len(pulses[name]) - before[name] for name in ("trained", "committed"))
        if status is not Status.OK:
            assert (got, answer, core.runs[known:], sum(counts)) == (status, b"", [], 0), (
                f"{where}: {got}, something was done"
            )
        else:
            assert [run.operation for run in core.runs[known:]] == [OPERATIONS[command]], (
                f"{where}: {core.runs[known:]}"
            )
            run = core.runs[-1]
            if sample:
                assert (got, answer, run.label) == (None, b"", label), (
                    f"{where}: {got}, {answer.hex()}, {run}"
                )
                assert counts == (int(command is Command.TRAIN), 0), f"{where}: {counts}"
                together = max(together, len(core.under_way) + len(core.finished))
            else:
                samples = answer[0]
                assert answer == Committed(samples, run.cycles).encode(), f"{where}: {answer.hex()}, {run}"
                assert cycles == 2 + run.cycles + 1 + len(answer), f"{where}: {cycles} cycles, {run}"
                assert (got, counts) == (Status.OK, (0, 1)), f"{where}: {got}, {counts}"
                assert (
                    samples == sum(r.operation == Operation.TRAIN for r in core.runs[:known]) - core.committed
                ), where
                core.committed += samples
                stale = False
        seen.add((command, status))
    while core.under_way or core.finished:
        await port.edge
        if core.finished and execute.finished.value:
            await say(decoder, core, pulses)
    answers = sum(run.operation != Operation.COMMIT for run in core.runs)
    assert len(pulses["sampled"]) == answers, f"{len(pulses['sampled'])} pulses for {answers} answers"
    assert len(seen) == 7, f"only {seen} happened"
    assert together == most, f"only {together} together"


@cocotb.test()
async def long_runs_are_counted(dut):
    await start(dut)
    await each(dut, UNITS, check_long)


async def check_long(dut, name, unit):
    """Run single samples of a million cycles, with a timer instead of bench code in every cycle."""
    port, execute, answer = Port(dut, name), Port(dut, f"{name}__execute"), bytearray()
    execute.request.value = Request.const({"command": Command.INFER, "arguments": 3}).as_bits()
    port.ready.value = 1
    for number, cycles in enumerate(LONGEST):
        await pulse(execute.start, port.edge)
        await port.edge
        assert port.start.value, f"{name}: not started"
        port.busy.value = 1
        await Timer(cycles * PERIOD - PERIOD // 2, unit="ns")
        port.done.value, port.prediction.value = 1, number
        await port.edge
        port.done.value = port.busy.value = 0
        await pulse(execute.say, port.edge)
        answer.clear()
        while not execute.done.value:
            await port.edge
            if execute.o__valid.value:
                answer.append(int(execute.o__payload.value))
        assert answer == Sampled(number, cycles).encode(), f"{name}, {cycles} cycles: {answer.hex()}"
        await port.edge
