"""A modelled board that notes what it executes, behind a line that damages whole frames."""

import random

from golden.contract.protocol import Command, Identity, Status
from host.harness.fault_port import Clock, FaultPort
from host.harness.protocol_model import ProtocolModel

__all__ = ["Clock", "FakeBoard", "FakePort"]


class FakeBoard:
    """Answers what was asked, backwards. executed: (command, payload) of each request, HELLO excepted."""

    def __init__(self, identity: Identity):
        self.executed: list[tuple[Command, bytes]] = []
        self.refuse: dict[int, Status] = {}  #: by number of the executed request
        self.protocol = ProtocolModel(identity, self._execute)

    def _execute(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        status = self.refuse.get(len(self.executed), Status.OK)
        self.executed.append((command, payload))
        return status, payload[::-1][:8] if status is Status.OK else b""


class FrameDamage:
    """Hits a frame with probability `rate`: lost, doubled, or with a byte changed, lost or added."""

    def __init__(self, rate: float, seed: str):
        self.rate, self.hits = rate, 0
        self._random = random.Random(seed)

    def carry(self, data: bytes) -> bytes:
        if self._random.random() >= self.rate:
            return data
        self.hits += 1
        at = self._random.randrange(len(data))
        changed = bytes((data[at] ^ 1 << self._random.randrange(8),))
        added = bytes((self._random.randrange(256),))
        return self._random.choice(
            (b"", data + data, data[:at] + data[at + 1 :], data[:at] + changed + data[at + 1 :], data[:at] + added + data[at:])
        )


class FakePort(FaultPort):
    """damage: probability that a frame, either way, is hit. A board that is None says nothing."""

    def __init__(self, board: FakeBoard | None, clock: Clock, *, damage: float = 0.0, seed: int = 0):
        lines = FrameDamage(damage, f"{seed} up"), FrameDamage(damage, f"{seed} down")
        super().__init__(board.protocol if board else None, clock, *lines)
        self.lines = lines
        self.open = True

    @property
    def hits(self) -> int:
        return sum(line.hits for line in self.lines)

    def write(self, data: bytes) -> None:
        assert self.open
        super().write(data)

    def read(self, size: int) -> bytes:
        assert self.open
        return super().read(size)

    def close(self) -> None:
        self.open = False
