# amaranth: UnusedElaboratable=no
"""The decoder between a played deframer, framer and executors: refusals, order, exactly once, cycles."""

import functools
import random

import cocotb
import pytest

from nudge.golden.contract.protocol import (
    ANSWER_BYTES,
    COUNTED,
    CRC_BYTES,
    PAYLOAD_BYTES,
    REQUEST_BYTES,
    REQUEST_HEADER,
    VERSION,
    Command,
    Sampled,
    Status,
)
from nudge.hw.link.decoder import EXECUTORS, Decoder
from nudge.hw.link.interface import ANSWER_PAYLOAD, ARGUMENT_BYTES, Answer, Request
from sim.harness.streams import Port, start
from sim.harness.units import Recorder

IDENTITY = bytes(range(7, 36))
#: Number of stored answers, less than on a board, so that a sequence number soon becomes too old.
WINDOW = 2
#: The decoder of most tests, and `decoder_<window>_<most samples in flight>`.
UNITS = {"decoder": Decoder(IDENTITY, WINDOW)} | {
    f"decoder_{window}_{most}": Decoder(IDENTITY, window, most) for window, most in ((1, 4), (2, 4), (8, 1), (8, 4))
}

FRAME_ERRORS = (Status.BAD_FRAME, Status.BAD_LENGTH, Status.BAD_CRC)


class PlayedExecutor:
    """An executor with random times, bytes and statuses; `done` records all requests and answers."""

    def __init__(self, dut, name):
        self.port, self.done = Port(dut, f"decoder__{name}"), []
        cocotb.start_soon(self._play())

    async def _play(self):
        port = self.port
        while True:
            await port.edge
            # before a start its outputs don't matter
            if not port.start.value:
                continue
            request, payload = int(port.request.value), bytearray()
            cycles = random.choice((1, 2, random.randint(1, 300)))
            for _ in range(cycles - 1):
                valid = len(payload) < ANSWER_PAYLOAD and random.random() < 0.7
                byte = random.randrange(256)
                port.o__valid.value, port.o__payload.value = int(valid), byte
                payload += bytes((byte,)) if valid else b""
                await port.edge
                assert port.request.value == request, f"{port.name}: the request isn't stable"
                assert not port.start.value, f"{port.name}: started while busy"
            status = random.choice((Status.OK, Status.OK, Status.BAD_ORDER, Status.BAD_RANGE))
            port.o__valid.value, port.done.value, port.status.value = 0, 1, int(status)
            await port.edge
            self.done.append((request, status, bytes(payload), cycles))
            port.done.value, port.status.value = 0, random.choice((0, Status.BAD_RANGE))


class PlayedFramer:
    """A framer: takes each answer, whose slot must not be written for a random time afterwards."""

    def __init__(self, dut, unit="decoder"):
        self.port, self.taken = Port(dut, unit), []
        self.window = UNITS[unit].window
        cocotb.start_soon(self._play())

    async def _play(self):
        port, memory, sending, wait = self.port, [bytearray(ANSWER_BYTES) for _ in range(self.window)], None, 0
        while True:
            port.o__ready.value = int(wait == 0)
            await port.edge
            if port.write.value:
                slot = int(port.slot.value)
                assert not wait or slot != sending, f"slot {slot} is written while it is sent"
                memory[slot][int(port.address.value)] = int(port.data.value)
            if wait:
                wait -= 1
            elif port.o__valid.value:
                answer = Answer.from_bits(int(port.o__payload.value))
                sending, wait = answer.slot, random.choice((0, 0, 3, 500))
                self.taken.append((answer, bytes(memory[sending][: answer.length])))


class Model:
    """The rules of docs/link.md: which requests are executed, refused, or answered again."""

    def __init__(self, window: int = WINDOW):
        self.window, self.upcoming, self.executed = window, 0, 0
        self.stored: dict[int, tuple[int, Status, bytes]] = {}

    def judge(self, status: Status, version: int, sequence: int, command: int, length: int) -> Status | str:
        """Return the status of a refusal, "again" or "execute"."""
        if status is not Status.OK:
            return status
        if version != VERSION:
            return Status.BAD_VERSION
        if command not in PAYLOAD_BYTES:
            return Status.BAD_COMMAND
        payload, size = length - REQUEST_HEADER - CRC_BYTES, PAYLOAD_BYTES[Command(command)]
        if payload < size or (payload > size and command != Command.WRITE_WEIGHTS):
            return Status.BAD_LENGTH
        if command == Command.HELLO or (self.executed and sequence == self.upcoming):
            return "execute"
        return "again" if (self.upcoming - 1 - sequence) % 256 < self.executed else Status.BAD_SEQUENCE

    def execute(self, sequence: int, command: int, status: Status, payload: bytes):
        if command == Command.HELLO:
            self.executed = 0
        self.executed, self.upcoming = min(self.executed + 1, self.window), (sequence + 1) % 256
        self.stored[sequence] = command, status, payload


def frame(model: Model) -> dict[str, int]:
    """Draw the fields of a request, mostly a legal one with the next sequence number."""
    command = random.choice([*Command, *Command, *Command, 0, max(Command) + 1, Command.TRAIN | 0x80])
    if command == Command.HELLO and random.random() < 0.5:
        command = Command.COMMIT
    window = model.window
    nearby = model.upcoming + random.choice((0,) * 8 + (-1, -1, -window, -window, -window - 1, 1, 128))
    length = REQUEST_HEADER + CRC_BYTES + PAYLOAD_BYTES.get(command, 0)
    if random.random() < 0.15:
        length += random.choice((-1, 1, 100))
    status = Status.OK if random.random() < 0.9 else random.choice(FRAME_ERRORS)
    return {
        "status": status,
        "length": min(max(length, 0), REQUEST_BYTES + 1),
        "version": VERSION if random.random() < 0.95 else random.choice((0, VERSION + 1, 255)),
        "sequence": nearby % 256,
        "command": command,
        "arguments": random.getrandbits(8 * ARGUMENT_BYTES),
    }


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.9])
async def each_frame_is_answered_as_the_model_says(dut, stall):
    """stall: probability, in each cycle, that no frame is offered."""
    await start(dut)
    port, framer, model = Port(dut, "decoder"), PlayedFramer(dut), Model()
    # each request ends before the next one: samples are executed like other commands, and none is taken
    executors = {name: PlayedExecutor(dut, name) for name in EXECUTORS}
    executors["samples"].port.idle.value = 1
    served = {command: name for name, commands in EXECUTORS.items() for command in commands}
    refusals, offered = Recorder(dut, "decoder__refused"), Recorder(dut, "decoder__o__valid")
    requests, happened = Recorder(dut, "decoder__i__valid"), set()
    for number in range(500):
        while random.random() < stall:
            port.i__payload.value = random.getrandbits(len(port.i__payload))
            await port.edge
        fields = frame(model)
        verdict = model.judge(*(fields[name] for name in ("status", "version", "sequence", "command", "length")))
        known, refused, begun = {name: len(e.done) for name, e in executors.items()}, len(refusals.cycles), len(requests.cycles)
        port.i__payload.value, port.i__valid.value = Request.const(fields).as_bits(), 1
        for _ in range(5000):
            await port.edge
            if port.i__ready.value:
                break
        else:
            raise AssertionError(f"request {number}, {fields}: not taken")
        port.i__valid.value = 0
        counted = Status(int(port.status.value)) if port.refused.value else Status.OK
        if not port.o__valid.value:
            await port.edge
        for _ in range(5000):
            if len(framer.taken) > number:
                break
            await port.edge
        else:
            raise AssertionError(f"request {number}, {fields}: no answer")

        where, (sequence, command) = f"request {number}, {fields}, {verdict}", (fields["sequence"], fields["command"])
        done = {name: e.done[known[name] :] for name, e in executors.items() if e.done[known[name] :]}
        cycles = None
        if verdict != "execute":
            assert not done, f"{where}: {done} executed"
            if verdict == "again":
                command, status, payload = model.stored[sequence]
            else:
                status, payload = Status(verdict), b""
            cycles = 2 if verdict in ("again", Status.BAD_SEQUENCE) else 1
        elif command == Command.HELLO:
            assert not done, f"{where}: {done} executed"
            status, payload = Status.OK, IDENTITY
        else:
            name = served[Command(command)]
            assert list(done) == [name], f"{where}: {list(done)} executed"
            assert len(done[name]) == 1, f"{where}: executed {len(done[name])} times"
            (request, status, payload, took), = done[name]
            assert request == Request.const(fields).as_bits(), f"{where}: the executor saw {Request.from_bits(request)}"
            payload = payload if status is Status.OK else b""
            cycles = 3 + took
        if verdict == "execute":
            model.execute(sequence, command, status, payload)
        answer, data = framer.taken[number]
        got = {"sequence": answer.sequence, "command": answer.command, "status": Status(answer.status), "payload": data}
        expected = {"sequence": sequence, "command": command, "status": status, "payload": payload}
        assert got == expected, f"{where}: got {got}, expected {expected}"
        assert counted == (Status.OK if verdict == "again" else status), f"{where}: counted as {counted.name}"
        assert len(refusals.cycles) - refused == (counted is not Status.OK), f"{where}: counted more than once"
        asked = requests.cycles[begun]
        latency = next(cycle for cycle in offered.cycles if cycle > asked) - asked
        if cycles is not None:
            # an executor may have to wait until the framer has sent the older answer in its slot
            late = latency - cycles
            assert late == 0 or (late > 0 and verdict == "execute"), f"{where}: {latency} cycles, expected {cycles}"
        happened.add((verdict, status))
    missing = {Status.OK, *COUNTED} - {status for _, status in happened}
    assert not missing, f"{missing} never happened"
    assert ("again", Status.OK) in happened


def outcome(request: int) -> tuple[Status, bytes]:
    """Derive the status and the answer of a request from its arguments; a sample with status OK is taken."""
    draw = random.Random(Request.from_bits(request).arguments)
    status = draw.choice((*[Status.OK] * 6, Status.BAD_ORDER, Status.BAD_RANGE))
    sample = Request.from_bits(request).command in (Command.INFER, Command.TRAIN)
    size = Sampled.size() if sample else draw.choice((0, 1, 5, 40))
    return status, draw.randbytes(size) if status is Status.OK else b""


class PlayedBoard:
    """All executors: samples finish in order after random times, and the core is busy a little longer."""

    def __init__(self, dut, unit: str):
        self.port, self.unit = Port(dut, unit), UNITS[unit]
        self.samples = Port(dut, f"{unit}__samples")
        #: Started requests, in order; and the largest number of samples in progress at once.
        self.begun: list[int] = []
        self.together = 0
        #: Taken samples: payload of the answer, and the cycle in which it is known.
        self._under_way: list[tuple[bytes, int]] = []
        self._now = self._rests = 0
        self._offered: int | None = None
        self._room = False
        cocotb.start_soon(self._tell())
        for name in EXECUTORS:
            cocotb.start_soon(self._play(name, Port(dut, f"{unit}__{name}")))

    @staticmethod
    @functools.cache
    def _fits(request: int | None) -> bool:
        sample = request is not None and Request.from_bits(request).command in (Command.INFER, Command.TRAIN)
        return sample and outcome(request)[0] is Status.OK

    async def _tell(self):
        """Drive the levels `fits`, `finished` and `idle`."""
        port = self.samples
        while True:
            self.finished = bool(self._under_way) and self._now >= self._under_way[0][1]
            self.idle = not self._under_way and self._now >= self._rests
            # once there is room, it stays until a start
            self._room = self._room or (len(self._under_way) < self.unit.most_taken and random.random() < 0.1)
            port.fits.value = self.fits = self._room and self._fits(self._offered)
            port.finished.value, port.idle.value = self.finished, self.idle
            await port.edge
            self._now += 1
            self._offered = int(self.port.i__payload.value) if self.port.i__valid.value else None

    async def _speak(self, port, payload: bytes):
        """Send bytes with random gaps."""
        for byte in payload:
            while random.random() < 0.3:
                await port.edge
            port.o__valid.value, port.o__payload.value = 1, byte
            await port.edge
            port.o__valid.value = 0

    async def _play(self, name: str, port):
        sampling = name == "samples"
        while True:
            await port.edge
            if sampling and port.say.value:
                assert self.finished, "asked for an answer that isn't finished"
                payload, _ = self._under_way[0]
                await self._speak(port, payload)
                port.done.value = 1
                await port.edge
                port.done.value = 0
                del self._under_way[0]
                continue
            if not port.start.value:
                continue
            request = int(port.request.value)
            self.begun.append(request)
            assert self.idle or (sampling and self.fits), f"{name}: started beside samples"
            self._room = False
            (status, payload), held = outcome(request), random.choice((0, 0, 5, 60))
            taken = sampling and self._fits(request)
            if not taken:
                await self._speak(port, payload)
            for _ in range(held):
                await port.edge
                assert port.request.value == request, f"{name}: the request isn't stable"
                assert not port.start.value, f"{name}: started while busy"
                assert not (sampling and port.say.value), f"{name}: asked while busy"
            ends, port.status.value = port.taken if taken else port.done, int(status)
            ends.value = 1
            if taken:
                self._under_way.append((payload, self._now + random.choice((1, 100, 600))))
                self.together = max(self.together, len(self._under_way))
            await port.edge
            ends.value = 0
            # the core becomes idle some time after the last sample
            self._rests = self._now + random.choice((0, 0, 20)) + (300 if taken else 0)


@cocotb.test()
@cocotb.parametrize(unit=[name for name in UNITS if name != "decoder"])
async def samples_overlap_and_answers_keep_the_order(dut, unit):
    await start(dut)
    window, most = UNITS[unit].window, UNITS[unit].most_taken
    port, framer, model, board = Port(dut, unit), PlayedFramer(dut, unit), Model(window), PlayedBoard(dut, unit)
    expected: list[tuple[int, int, Status, bytes]] = []
    begun: list[int] = []
    for number in range(300):
        fields = frame(model)
        if number in (3, 150):
            size = REQUEST_HEADER + CRC_BYTES
            fields |= {"command": Command.HELLO, "length": size, "version": VERSION, "status": Status.OK}
        elif random.random() < 0.7:
            # most requests are good samples, so that several are in progress at once
            good = random.choice((Command.INFER, Command.TRAIN))
            length = REQUEST_HEADER + CRC_BYTES + PAYLOAD_BYTES[good]
            fields |= {"command": good, "length": length, "version": VERSION, "status": Status.OK}
            fields["sequence"] = model.upcoming
        sequence, command = fields["sequence"], fields["command"]
        verdict = model.judge(*(fields[name] for name in ("status", "version", "sequence", "command", "length")))
        request = Request.const(fields).as_bits()
        if verdict == "again":
            expected.append((sequence, *model.stored[sequence]))
        elif verdict == "execute":
            status, payload = outcome(request)
            if command == Command.HELLO:
                status, payload = Status.OK, IDENTITY
            else:
                begun.append(request)
            expected.append((sequence, command, status, payload))
            model.execute(sequence, command, status, payload)
        else:
            expected.append((sequence, command, Status(verdict), b""))
        while random.random() < 0.2:
            await port.edge
        port.i__payload.value, port.i__valid.value = request, 1
        for _ in range(5000):
            await port.edge
            if port.i__ready.value:
                break
        else:
            raise AssertionError(f"request {number}, {fields}: not taken")
        port.i__valid.value = 0
        # the deframer offers the next frame three cycles later
        for _ in range(3):
            await port.edge
    for _ in range(5000):
        if len(framer.taken) == len(expected):
            break
        await port.edge
    got = [(answer.sequence, answer.command, Status(answer.status), data) for answer, data in framer.taken]
    for number, pair in enumerate(zip(got, expected, strict=True)):
        assert pair[0] == pair[1], f"answer {number}: got {pair[0]}, expected {pair[1]}"
    assert board.begun == begun, "what is executed, or its order"
    assert board.together == most, f"only {board.together} samples together"


def test_an_identity_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match=rf"^identity must have at most {ANSWER_PAYLOAD} bytes, not {ANSWER_PAYLOAD + 1}$"):
        Decoder(bytes(ANSWER_PAYLOAD + 1))
