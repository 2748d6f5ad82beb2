"""The golden model as a board at a line, in time that is counted, and what may happen to it."""

import random
from collections import Counter
from typing import Any

from golden.contract.config import Config
from golden.contract.protocol import Command, Status
from host.boards.serial import SerialBoard
from host.link.link import Link
from host.training.timed_port import Clock

from .fault_port import FaultPort
from .faults import Faults
from .golden_device import GoldenDevice

#: Seconds of a stall, less than a host's patience, and of the patience.
STALL, TIMEOUT = 1.5, 10.0


class Modelled:
    """No simulator, and always the same run. up, down: the line to the board and back. seed: draws bits that are flipped.

    executed: commands that the board has executed. happened: events so far.
    """

    kind = SerialBoard

    def __init__(
        self, config: Config, capacity: int = 0, up: Faults | None = None, down: Faults | None = None, seed: int = 0
    ):
        self.config, self.capacity, self.clock = config, capacity, Clock()
        self.executed: list[Command] = []
        self.happened: Counter[str] = Counter()
        self.port = FaultPort(None, self.clock, up, down)
        self._bits, self._draws = random.Random(f"{seed} bits"), random.Random(f"{seed} draws")
        self._power_up()

    def _power_up(self) -> None:
        self.device = GoldenDevice(self.config, self.capacity)
        self.device.protocol.execute = lambda command, payload: self.execute(command, payload)
        self.port.board = self.device.protocol

    def execute(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        """Once for each request."""
        self.executed.append(command)
        return self.device.execute(command, payload)

    def connect(self, name: str = "model") -> Link:
        """A link to it; the one before isn't to be used any more."""
        self.port.join()
        return Link(self.port, name, timeout=TIMEOUT, clock=self.clock, draw=self._draws.randrange)

    def open(self) -> Any:
        """The board over such a link, of `kind`."""
        return self.kind.over(self.connect(), self.config.spec)

    def hit(self, event: str) -> None:
        """Something happens to it: a reset, a flipped bit of a weight, a damaged sample, a lost connection, or a stall."""
        self.happened[event] += 1
        match event:
            case "reset":
                self._power_up()
            case "flip":
                self.device.flip(self._bits)
            case "damage":
                self.device.flip_stored(self._bits)
            case "disconnect":
                self.port.cut()
            case "stall":
                self.clock.now += STALL

    @property
    def hits(self) -> int:
        """Bytes damaged on the line."""
        return self.port.hits

    def pause(self, seconds: float) -> None:
        """Wait."""
        self.clock.now += seconds
