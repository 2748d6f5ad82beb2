"""A modelled board that records the requests it executes, behind a line that damages whole frames."""

import random
from typing import Any

from nudge.golden.contract.protocol import Command, Identity, Status
from nudge.host.training.timed_port import Clock
from sim.rigs.modelled.fault_port import FaultPort
from sim.rigs.modelled.faults import Faults
from sim.rigs.modelled.protocol_model import ProtocolModel


class FakeBoard:
    """Answers with at most 8 bytes of the reversed payload. executed: (command, payload), without HELLO."""

    def __init__(self, identity: Identity):
        self.executed: list[tuple[Command, bytes]] = []
        self.refuse: dict[int, Status] = {}  #: status of a refusal, by number of the executed request
        self.protocol = ProtocolModel(identity, self._execute)

    def _execute(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        status = self.refuse.get(len(self.executed), Status.OK)
        self.executed.append((command, payload))
        return status, payload[::-1][:8] if status is Status.OK else b""


class FrameDamage(Faults):
    """Damages a frame with probability `rate`: it is lost, doubled, or has a byte changed, lost or added."""

    def __init__(self, rate: float, seed: str):
        super().__init__(iter(()))
        self.rate, self._random = rate, random.Random(seed)

    def carry(self, data: bytes) -> bytes:
        if self._random.random() >= self.rate:
            return data
        self.hits += 1
        at = self._random.randrange(len(data))
        changed = bytes((data[at] ^ 1 << self._random.randrange(8),))
        added = bytes((self._random.randrange(256),))
        return self._random.choice(
            (
                b"",
                data + data,
                data[:at] + data[at + 1 :],
                data[:at] + changed + data[at + 1 :],
                data[:at] + added + data[at:],
            )
        )


def fake_port(
    board: FakeBoard | None, clock: Clock, damage: float = 0.0, seed: int = 0, **timing: Any
) -> FaultPort:
    """Return a port to a board (None: silent). damage: probability that a frame, either way, is damaged."""
    up, down = (FrameDamage(damage, f"{seed} {way}") for way in ("up", "down"))
    return FaultPort(board.protocol if board else None, clock, up, down, **timing)
