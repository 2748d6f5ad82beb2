"""The board's half of the link in Python: `hw.link.deframer` and `decoder` as a function of a frame.

It serves to attack the host without a simulator, and as the reference for the gateware's answers. It executes
requests one by one. In the gateware samples overlap, which changes the times of answers and their `cycles`,
but no other bit, nor their order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nudge.golden.contract.protocol import (
    ANSWER,
    COUNTED,
    COUNTED_STORED,
    CRC_BYTES,
    LONGER,
    PAYLOAD_BYTES,
    REQUEST_BYTES,
    REQUEST_HEADER,
    STORED_PAYLOAD_BYTES,
    VERSION,
    Command,
    Identity,
    Status,
)
from nudge.host.link import frame

#: Executes a command with its payload; returns status and payload of the answer.
Executor = Callable[[Command, bytes], tuple[Status, bytes]]


@dataclass
class ProtocolModel:
    """Answer frames as the gateware does, with the same counters.

    identity: payload of the answer to HELLO. execute: called once for each request that must be
    executed. payloads: payload bytes of each command. frame_bytes: largest size of a frame.
    upcoming: sequence number of the next request.
    """

    identity: Identity
    execute: Executor
    payloads: Mapping[Command, int] = field(default_factory=lambda: PAYLOAD_BYTES)
    frame_bytes: int = REQUEST_BYTES
    frames: int = 0
    duplicates: int = 0
    refused: dict[Status, int] = field(default_factory=dict)
    upcoming: int = 0
    _executed: int = 0
    _stored: dict[int, tuple[int, Status, bytes]] = field(default_factory=dict)

    def answer(self, piece: bytes) -> bytes:
        """Return the body of the answer to a frame, the bytes between two zeros."""
        data, cut = frame.unstuff_partly(piece)
        head = data[:REQUEST_HEADER].ljust(REQUEST_HEADER, b"\0")
        version, sequence, command = head
        status = self._judge(data, cut, version, command)
        if status is Status.OK:
            number = sequence % self.identity.window
            if command == Command.HELLO:
                self._executed = 0
            elif not (self._executed and sequence == self.upcoming):
                if (self.upcoming - 1 - sequence) % 256 >= self._executed:
                    return self._refuse(Status.BAD_SEQUENCE, sequence, command)
                self.duplicates += 1
                command, status, payload = self._stored[number]
                return _body(sequence, command, status, payload)
            status, payload = self._carry_out(Command(command), data[REQUEST_HEADER:-CRC_BYTES])
            if status is not Status.OK:
                self._count(status)
            self.upcoming, self._executed = (
                (sequence + 1) % 256,
                min(self._executed + 1, self.identity.window),
            )
            self._stored[number] = command, status, payload
            return _body(sequence, command, status, payload)
        return self._refuse(status, sequence, command)

    def counters(self) -> dict[str, int]:
        """Return the counters by their names in `golden.contract.protocol.registers`."""
        refused = {status.name.lower(): self.refused.get(status, 0) for status in (*COUNTED, *COUNTED_STORED)}
        return {"frames": self.frames, "duplicates": self.duplicates} | refused

    def clear(self) -> None:
        """Zero the counters."""
        self.frames, self.duplicates, self.refused = 0, 0, {}

    def _judge(self, data: bytes, cut: bool, version: int, command: int) -> Status:
        if cut:
            return Status.BAD_FRAME
        if not REQUEST_HEADER + CRC_BYTES <= len(data) <= self.frame_bytes:
            return Status.BAD_LENGTH
        if not frame.intact(data):
            return Status.BAD_CRC
        self.frames += 1
        if version != VERSION:
            return Status.BAD_VERSION
        sizes = {**self.payloads, **(STORED_PAYLOAD_BYTES if self.identity.capacity else {})}
        if command not in sizes:
            return Status.BAD_COMMAND
        payload, size = len(data) - REQUEST_HEADER - CRC_BYTES, sizes[Command(command)]
        if payload < size or (payload > size and command not in LONGER):
            return Status.BAD_LENGTH
        return Status.OK

    def _carry_out(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        if command is Command.HELLO:
            return Status.OK, self.identity.encode()
        return self.execute(command, payload)

    def _count(self, status: Status) -> None:
        self.refused[status] = self.refused.get(status, 0) + 1

    def _refuse(self, status: Status, sequence: int, command: int) -> bytes:
        self._count(status)
        return _body(sequence, command, status, b"")


def _body(sequence: int, command: int, status: Status, payload: bytes) -> bytes:
    return bytes((VERSION, sequence, command | ANSWER, status)) + payload
