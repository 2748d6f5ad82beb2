"""What happens to a board while it trains, and the boards that it happens to."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from golden.contract.config import configuration
from golden.contract.spec import Spec
from golden.contract.stored import LOG_AT
from host.boards.open import virtual_board
from host.link.link import Link

from .fault_port import Clock, FaultPort
from .fault_proxy import FaultProxy
from .faults import Kind, RandomFaults
from .golden_device import GoldenDevice

#: Memory of the modelled board: room for the embedded digits.
MODELLED_BYTES = 1 << 20

#: Words of the virtual board's log that are damaged: those of the first twenty digits.
DAMAGED_WORDS = 2000

#: Seconds of a stall, less than a host's patience, and of the patience.
STALL, TIMEOUT = 1.5, 10.0


@dataclass(frozen=True)
class Attack:
    """What happens to a run. rate: faults for each byte, both ways. Then how often in the run, before which batch is drawn:
    resets of the board, flipped bits of its memories, disconnections, stalls, flipped bits of stored samples.

    stored: the board trains from its memory, and is told batches ahead; a checkpoint is made after each epoch, not each commit.
    """

    rate: float = 0.0
    seed: int = 0
    resets: int = 0
    flips: int = 0
    disconnects: int = 0
    stalls: int = 0
    damages: int = 0
    stored: bool = False
    kinds: tuple[Kind, ...] = tuple(Kind)

    def schedule(self, batches: int) -> dict[int, list[str]]:
        """Events by number of the batch that they come before."""
        chooser = random.Random(f"{self.seed} events")
        events: dict[int, list[str]] = {}
        for name in ("resets", "flips", "disconnects", "stalls", "damages"):
            for _ in range(getattr(self, name)):
                events.setdefault(chooser.randrange(1, max(batches, 2)), []).append(name.removesuffix("s"))
        return events

    @property
    def twin(self) -> bool:
        """Whether only a twin would notice."""
        return self.flips > 0


class Target:
    """A board under attack. connect: a link to it. hit: makes an event happen. hits: bytes damaged so far. pause: waits."""

    def __init__(
        self,
        connect: Callable[[], Link],
        hit: Callable[[str], None],
        hits: Callable[[], int],
        pause: Callable[[float], None] = time.sleep,
    ):
        self.connect, self.hit, self.hits, self.pause = connect, hit, hits, pause


@contextmanager
def modelled(spec: Spec, attack: Attack) -> Iterator[Target]:
    """The golden model behind a line in this process, in time that is counted: no simulator, and always the same run."""
    config, clock = configuration(spec), Clock()
    up, down = (RandomFaults(attack.rate, attack.seed, way, attack.kinds) for way in ("up", "down"))
    capacity = MODELLED_BYTES if attack.stored else 0
    device = GoldenDevice(config, capacity)
    port = FaultPort(device.protocol, clock, up, down)
    chooser = random.Random(f"{attack.seed} bits")
    draws = random.Random(f"{attack.seed} draws")

    def hit(event: str) -> None:
        nonlocal device
        match event:
            case "reset":
                device = GoldenDevice(config, capacity)
                port.protocol = device.protocol
            case "flip":
                device.flip(chooser)
            case "damage":
                device.flip_stored(chooser)
            case "disconnect":
                port.cut()
            case "stall":
                clock.now += STALL

    def connect() -> Link:
        port.join()
        return Link(port, "model", timeout=TIMEOUT, clock=clock, draw=draws.randrange)

    def pause(seconds: float) -> None:
        clock.now += seconds

    yield Target(connect, hit, lambda: up.hits + down.hits, pause)


@contextmanager
def simulated(spec: Spec, attack: Attack) -> Iterator[Target]:
    """The virtual board behind a proxy."""
    up, down = (RandomFaults(attack.rate, attack.seed, way, attack.kinds) for way in ("up", "down"))
    chooser = random.Random(f"{attack.seed} bits")
    with virtual_board(spec, memory=attack.stored) as virtual, FaultProxy(virtual.url, up, down) as proxy:

        def hit(event: str) -> None:
            match event:
                case "reset":
                    virtual.reset()
                case "flip":
                    memories = {name: size for name, size in virtual.memories.items() if name.startswith("core.")}
                    name, (words, bits) = chooser.choice(sorted(memories.items()))
                    virtual.flip(name, chooser.randrange(words), chooser.randrange(bits))
                case "damage":
                    virtual.flip("sdram.chip.words", LOG_AT + chooser.randrange(DAMAGED_WORDS), chooser.randrange(16))
                case "disconnect":
                    proxy.disconnect()
                case "stall":
                    proxy.stall(STALL)

        yield Target(lambda: Link.open(proxy.url, timeout=TIMEOUT), hit, lambda: up.hits + down.hits)


#: By the word after --board.
TARGETS = {"sim": simulated, "golden": modelled}
