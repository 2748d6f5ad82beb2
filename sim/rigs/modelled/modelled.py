"""The golden model as a board at a faulty line in simulated time, with resets, flipped bits and stalls."""

import random
from collections import Counter
from typing import Any

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import Command, Status
from nudge.host.devices.serial import SerialBoard
from nudge.host.link.link import Link
from nudge.host.training.timed_port import Clock

from .fault_port import FaultPort
from .faults import Faults
from .golden_device import GoldenDevice

#: Seconds of a stall, and of the host's timeout, which is longer.
STALL, TIMEOUT = 1.5, 10.0


class Modelled:
    """A reproducible board without a simulator.

    up, down: faults towards the board and back. seed: of the flipped bits and the link's random numbers.
    executed: commands executed so far. happened: number of events of each kind so far.
    """

    kind = SerialBoard

    def __init__(
        self,
        config: Config,
        capacity: int = 0,
        up: Faults | None = None,
        down: Faults | None = None,
        seed: int = 0,
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
        """Execute and record a command; the protocol calls this exactly once per request."""
        self.executed.append(command)
        return self.device.execute(command, payload)

    def connect(self, name: str = "model") -> Link:
        """Return a new link to the board; the previous link must not be used any more."""
        self.port.join()
        return Link(self.port, name, timeout=TIMEOUT, clock=self.clock, draw=self._draws.randrange)

    def open(self) -> Any:
        """Return the board over a new link, as a `kind`."""
        return self.kind.over(self.connect(), self.config.spec)

    def hit(self, event: str) -> None:
        """Apply an event: "reset", "flip" (a master), "damage" (a stored sample), "disconnect" or "stall"."""
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
        """Number of damaged bytes on the line."""
        return self.port.hits

    def pause(self, seconds: float) -> None:
        """Advance the simulated time."""
        self.clock.now += seconds
