"""Reproducible damage to a byte stream, as by a bad line.

`RandomFaults` damages bytes at a rate, `OneFault` a single one. `sim.rigs.modelled.fault_port` uses them in
this process, `sim.rigs.link.fault_proxy` between a host and a board. The damage depends only on the seed and
on the positions of the bytes in the stream, not on how the stream is divided into chunks.
"""

import random
from collections.abc import Iterator
from enum import Enum

from nudge.plumbing.errors import UsageError


class Kind(Enum):
    """Kind of damage to a byte."""

    DROP = "drop"  #: the byte is lost
    FLIP = "flip"  #: one of its bits is inverted
    INSERT = "insert"  #: another byte is inserted before it
    DUPLICATE = "duplicate"  #: it arrives twice
    SWAP = "swap"  #: it is swapped with the next byte
    TRUNCATE = "truncate"  #: it and the rest of its frame are lost, except the zero byte that ends the frame


#: A fault: number of undamaged bytes before it, its kind, and the bit to flip or the byte to insert.
Hit = tuple[int, Kind, int]


class Faults:
    """One direction of a line, whose faults come from an iterator. hits: number of faults so far."""

    def __init__(self, drawn: Iterator[Hit]):
        self.hits, self._drawn = 0, drawn
        self._held = b""  # a byte to be swapped with the next one
        self._cutting = False  # whether the rest of a frame is being dropped
        self._next = next(drawn, None)

    def carry(self, data: bytes) -> bytes:
        """Return the bytes that come out of the line for `data`."""
        out = bytearray()
        at = 0
        while at < len(data):
            gap = len(data) if self._next is None else self._next[0]
            if gap and not (self._held or self._cutting):  # undamaged bytes in one piece
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
        """Return the output for one input byte."""
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
    """Damage byte number `at` (from 0) and no other. value: the bit to flip, or the byte to insert."""

    def __init__(self, at: int, kind: Kind, value: int = 0):
        super().__init__(iter([(at, kind, value)]))


class RandomFaults(Faults):
    """Damage each byte with probability `rate`. name: distinguishes the two directions of a line."""

    def __init__(self, rate: float, seed: int, name: str = ""):
        if not 0 <= rate < 1:
            raise UsageError(f"--faults must be 0 or more and below 1, not {rate:g}")
        super().__init__(drawn(rate, random.Random(f"{seed} {name}")))


def drawn(rate: float, chance: random.Random) -> Iterator[Hit]:
    """Yield random faults without end: each byte is damaged with probability `rate`."""
    while rate:
        gap = 0
        while chance.random() >= rate:
            gap += 1
        kind = chance.choice(tuple(Kind))
        yield gap, kind, chance.randrange(8 if kind is Kind.FLIP else 256)


def single_faults(length: int) -> Iterator[tuple[int, Kind, int]]:
    """Yield 14 faults per byte of `length`: all kinds, with each bit flipped, and 00h or FFh inserted."""
    for at in range(length):
        for kind in (Kind.DROP, Kind.DUPLICATE, Kind.SWAP, Kind.TRUNCATE):
            yield at, kind, 0
        for bit in range(8):
            yield at, Kind.FLIP, bit
        for value in (0x00, 0xFF):
            yield at, Kind.INSERT, value
