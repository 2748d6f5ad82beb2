"""Damage to a byte stream, drawn from a seed: what a bad line does, replayable.

`RandomFaults` hits bytes at a rate, `OneFault` hits a single one; both are used the same way, by
`sim.rigs.modelled.fault_port` in this process and by `sim.rigs.link.fault_proxy` between a host and a board. Which byte is hit,
and how, depends on the seed and on the number of the byte alone, never on how the bytes come in pieces.
"""

import random
from collections.abc import Iterator
from enum import Enum

from plumbing.errors import UsageError


class Kind(Enum):
    """What happens to a byte."""

    DROP = "drop"  #: it is lost
    FLIP = "flip"  #: one of its bits is inverted
    INSERT = "insert"  #: another byte comes before it
    DUPLICATE = "duplicate"  #: it comes twice
    SWAP = "swap"  #: it changes places with the next one
    TRUNCATE = "truncate"  #: it and the rest of its frame are lost; the zero byte that ends the frame is not


#: Bytes that come through before the next one that is hit, what happens to it, and the bit to flip or the byte to insert.
Hit = tuple[int, Kind, int]


class Faults:
    """A line that hits bytes, drawn from an iterator when they are needed. hits: faults so far."""

    def __init__(self, drawn: Iterator[Hit]):
        self.hits, self._drawn = 0, drawn
        self._held = b""  # a byte that waits to change places
        self._cutting = False  # the rest of a frame is being lost
        self._next = next(drawn, None)

    def carry(self, data: bytes) -> bytes:
        """The bytes after the line."""
        out = bytearray()
        at = 0
        while at < len(data):
            gap = len(data) if self._next is None else self._next[0]
            if gap and not (self._held or self._cutting):  # many at once
                out += data[at : at + gap]
                passed = min(gap, len(data) - at)
            else:
                out += self._one(data[at], self._next if gap == 0 else None)
                passed = 1
            at += passed
            if self._next is not None:
                self._next = next(self._drawn, None) if gap == 0 else (gap - passed, *self._next[1:])
        return bytes(out)

    def _one(self, byte: int, hit: Hit | None) -> bytes:
        """What comes out for a byte that goes in."""
        if self._cutting:
            if byte:
                return b""
            self._cutting = False
        _, kind, value = hit or (0, None, 0)
        self.hits += kind is not None
        out = bytes((byte,))
        match kind:
            case Kind.DROP:
                out = b""
            case Kind.FLIP:
                out = bytes((byte ^ 1 << value,))
            case Kind.INSERT:
                out = bytes((value, byte))
            case Kind.DUPLICATE:
                out += out
            case Kind.TRUNCATE if byte:
                self._cutting, out = True, b""
            case Kind.SWAP if not self._held:
                self._held = out
                return b""
        if out and self._held:
            out, self._held = out + self._held, b""
        return out


class OneFault(Faults):
    """Damages byte number `at` (from 0) and no other. value: the bit to flip, or the byte to insert."""

    def __init__(self, at: int, kind: Kind, value: int = 0):
        super().__init__(iter([(at, kind, value)]))


class RandomFaults(Faults):
    """Damages each byte with probability `rate`. name: tells the two directions of a line apart."""

    def __init__(self, rate: float, seed: int, name: str = ""):
        if not 0 <= rate < 1:
            raise UsageError(f"--faults must be 0 or more and below 1, not {rate:g}")
        super().__init__(drawn(rate, random.Random(f"{seed} {name}")))


def drawn(rate: float, chance: random.Random) -> Iterator[Hit]:
    """Hits at a rate, for ever."""
    while rate:
        gap = 0
        while chance.random() >= rate:
            gap += 1
        kind = chance.choice(tuple(Kind))
        yield gap, kind, chance.randrange(8 if kind is Kind.FLIP else 256)


def single_faults(length: int) -> Iterator[tuple[int, Kind, int]]:
    """Every way to damage one byte of `length`: lost, twice, each bit flipped, swapped, cut from there, a byte before it."""
    for at in range(length):
        for kind in (Kind.DROP, Kind.DUPLICATE, Kind.SWAP, Kind.TRUNCATE):
            yield at, kind, 0
        for bit in range(8):
            yield at, Kind.FLIP, bit
        for value in (0x00, 0xFF):
            yield at, Kind.INSERT, value
