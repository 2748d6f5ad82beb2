"""What a decoder must do with a frame: the rules of docs/link.md, drawn frames, and a played framer."""

import random
from typing import Any

import cocotb

from nudge.golden.contract.protocol import (
    ANSWER_BYTES,
    CRC_BYTES,
    PAYLOAD_BYTES,
    REQUEST_BYTES,
    REQUEST_HEADER,
    VERSION,
    Command,
    Status,
)
from nudge.hw.link.interface import ARGUMENT_BYTES, Answer, Request
from sim.harness.streams import Port

#: Payload of HELLO's answer.
IDENTITY = bytes(range(7, 36))

FRAME_ERRORS = (Status.BAD_FRAME, Status.BAD_LENGTH, Status.BAD_CRC)


class PlayedFramer:
    """A framer: takes each answer, whose slot must not be written for a random time afterwards."""

    def __init__(self, dut, unit: str, window: int):
        self.port, self.window = Port(dut, unit), window
        self.taken: list[tuple[Any, bytes]] = []
        cocotb.start_soon(self._play())

    async def _play(self):
        port, memory, sending, wait = (
            self.port,
            [bytearray(ANSWER_BYTES) for _ in range(self.window)],
            None,
            0,
        )
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

    def __init__(self, window: int):
        self.window, self.upcoming, self.executed = window, 0, 0
        self.stored: dict[int, tuple[int, Status, bytes]] = {}

    def judge(
        self, *, status: Status, length: int, version: int, sequence: int, command: int, arguments: int
    ) -> Status | str:
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


def length_of(command: Any) -> int:
    """Return the length of a frame with a command's payload."""
    return REQUEST_HEADER + CRC_BYTES + PAYLOAD_BYTES.get(command, 0)


def frame(model: Model) -> dict[str, int]:
    """Draw the fields of a request, mostly a legal one with the next sequence number."""
    command = random.choice([*Command, *Command, *Command, 0, max(Command) + 1, Command.TRAIN | 0x80])
    if command == Command.HELLO and random.random() < 0.5:
        command = Command.COMMIT
    window = model.window
    nearby = model.upcoming + random.choice((0,) * 8 + (-1, -1, -window, -window, -window - 1, 1, 128))
    length = length_of(command)
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


async def offer(port: Port, fields: dict[str, int], where: str) -> None:
    """Offer a request until it is taken."""
    port.i__payload.value, port.i__valid.value = Request.const(fields).as_bits(), 1
    for _ in range(5000):
        await port.edge
        if port.i__ready.value:
            break
    else:
        raise AssertionError(f"{where}, {fields}: not taken")
    port.i__valid.value = 0
