"""Attacks on a board while it trains, and the boards that can be attacked."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.config import configuration
from nudge.golden.contract.spec import Spec
from nudge.golden.contract.stored import LOG_AT
from nudge.host.devices.open import virtual_board
from nudge.host.link.link import Link
from nudge.plumbing.errors import UsageError
from sim.rigs.modelled.faults import RandomFaults
from sim.rigs.modelled.modelled import STALL, TIMEOUT, Modelled

from .fault_proxy import FaultProxy

#: Memory of the modelled board in bytes: room for the embedded digits.
MODELLED_BYTES = 1 << 20

#: Number of words of the virtual board's log in which bits are flipped: those of about the
#: first twenty digits.
DAMAGED_WORDS = 2000


@dataclass(frozen=True)
class Attack:
    """Faults and events of a run.

    rate: probability of damage to each byte, in both directions. resets, flips (of bits in the board's
    memories), disconnects, stalls, damages (flipped bits of stored samples): number of these events, each
    before a random batch. stored: the board trains from its memory, with batches requested ahead, and a
    checkpoint is made after each epoch instead of each commit.
    """

    rate: float = 0.0
    seed: int = 0
    resets: int = 0
    flips: int = 0
    disconnects: int = 0
    stalls: int = 0
    damages: int = 0
    stored: bool = False

    def __post_init__(self) -> None:
        if self.damages and not self.stored:
            raise UsageError(f"--damages {self.damages}: only with --stored")

    def schedule(self, batches: int) -> dict[int, list[str]]:
        """Draw the events, by the number of the batch that they precede."""
        chooser = random.Random(f"{self.seed} events")
        events: dict[int, list[str]] = {}
        for name in ("resets", "flips", "disconnects", "stalls", "damages"):
            for _ in range(getattr(self, name)):
                events.setdefault(chooser.randrange(1, max(batches, 2)), []).append(name.removesuffix("s"))
        return events

    @property
    def lines(self) -> tuple[RandomFaults, RandomFaults]:
        """Faults towards the board and back."""
        up, down = (RandomFaults(self.rate, self.seed, way) for way in ("up", "down"))
        return up, down

    @property
    def twin(self) -> bool:
        """Whether the run needs a twin: only a comparison with the model notices flipped bits."""
        return self.flips > 0


class Simulated:
    """The virtual board behind a proxy, with the methods of `Modelled`."""

    def __init__(self, virtual: VirtualBoard, proxy: FaultProxy, seed: int):
        self.virtual, self.proxy, self._bits = virtual, proxy, random.Random(f"{seed} bits")
        self.happened: Counter[str] = Counter()

    def connect(self) -> Link:
        return Link.open(self.proxy.url, timeout=TIMEOUT)

    def hit(self, event: str) -> None:
        self.happened[event] += 1
        match event:
            case "reset":
                self.virtual.reset()
            case "flip":
                memories = {
                    name: size for name, size in self.virtual.memories.items() if name.startswith("core.")
                }
                name, (words, bits) = self._bits.choice(sorted(memories.items()))
                self.virtual.flip(name, self._bits.randrange(words), self._bits.randrange(bits))
            case "damage":
                word = LOG_AT + self._bits.randrange(DAMAGED_WORDS)
                self.virtual.flip("sdram.chip.words", word, self._bits.randrange(16))
            case "disconnect":
                self.proxy.disconnect()
            case "stall":
                self.proxy.stall(STALL)

    @property
    def hits(self) -> int:
        return self.proxy.hits

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


@contextmanager
def modelled(spec: Spec, attack: Attack) -> Iterator[Modelled]:
    """Yield the golden model behind a faulty line."""
    yield Modelled(configuration(spec), MODELLED_BYTES if attack.stored else 0, *attack.lines, attack.seed)


@contextmanager
def simulated(spec: Spec, attack: Attack) -> Iterator[Simulated]:
    """Yield the virtual board behind a faulty proxy."""
    with (
        virtual_board(spec, memory=attack.stored) as virtual,
        FaultProxy(virtual.url, *attack.lines) as proxy,
    ):
        yield Simulated(virtual, proxy, attack.seed)


#: Boards by the value of --board.
TARGETS: dict[str, Callable[[Spec, Attack], AbstractContextManager[Modelled | Simulated]]] = {
    "sim": simulated,
    "golden": modelled,
}
