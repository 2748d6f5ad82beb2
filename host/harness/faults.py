"""Damage to a byte stream, drawn from a seed: what a bad line does, replayable.

`RandomFaults` hits bytes at a rate, `OneFault` hits a single one; both are used the same way, by
`host.harness.fault_port` in this
process and by `host.harness.fault_proxy` between a host and a board. Which byte is hit, and how, depends on the seed and on the
number of the byte alone, never on how the bytes come in pieces.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Kind(Enum):
    """What happens to a byte."""

    DROP = "drop"  #: it is lost
    FLIP = "flip"  #: one of its bits is inverted
    INSERT = "insert"  #: another byte comes before it
    DUPLICATE = "duplicate"  #: it comes twice
    SWAP = "swap"  #: it changes places with the next one
    TRUNCATE = "truncate"  #: it and the rest of its frame are lost; the zero byte that ends the frame is not


class Faults(Protocol):
    """What carries bytes and damages some."""

    @property
    def hits(self) -> int:
        """How many faults there were."""

    def carry(self, data: bytes) -> bytes:
        """The bytes after the line."""


@dataclass
class Damage:
    """Applies faults to single bytes; keeps the byte that waits to change places, and whether a frame is being cut."""

    hits: int = 0
    _held: bytes = b""
    _cutting: bool = False

    @property
    def busy(self) -> bool:
        """The next byte will not simply come through."""
        return self._cutting or bool(self._held)

    def apply(self, byte: int, kind: Kind | None, value: int = 0) -> bytes:
        """The bytes that come out for one that goes in. value: the bit to flip, or the byte to insert."""
        if self._cutting:
            if byte:
                return b""
            self._cutting = False
        out = bytes((byte,))
        if kind is not None:
            self.hits += 1
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


@dataclass
class OneFault:
    """Damages byte number `at` (from 0) and no other. value: the bit to flip, or the byte to insert."""

    at: int
    kind: Kind
    value: int = 0
    _seen: int = 0
    _damage: Damage = field(default_factory=Damage)

    @property
    def hits(self) -> int:
        return self._damage.hits

    def carry(self, data: bytes) -> bytes:
        """The bytes after the line."""
        start, self._seen = self._seen, self._seen + len(data)
        if not start <= self.at < self._seen and not self._damage.busy:
            return data
        first = max(self.at - start, 0)  # bytes before it come through as they are
        out = bytearray(data[:first])
        for n, byte in enumerate(data[first:], start + first):
            out += self._damage.apply(byte, self.kind if n == self.at else None, self.value)
            if n >= self.at and not self._damage.busy:
                return bytes(out) + data[n + 1 - start :]
        return bytes(out)


class RandomFaults:
    """Damages each byte with probability `rate`, in one of `kinds`. name: tells the two directions of a line apart."""

    def __init__(self, rate: float, seed: int, name: str = "", kinds: tuple[Kind, ...] = tuple(Kind)):
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be 0 or more and below 1, not {rate:g}")
        self.rate, self.kinds = rate, kinds
        self._random = random.Random(f"{seed} {name}")
        self._damage = Damage()
        self._left = self._gap()

    @property
    def hits(self) -> int:
        return self._damage.hits

    def _gap(self) -> int:
        """Bytes that go through before the next one that is hit: geometric, so one draw for each fault."""
        if self.rate == 0:
            return 1 << 62
        gap = 0
        while self._random.random() >= self.rate:
            gap += 1
        return gap

    def carry(self, data: bytes) -> bytes:
        """The bytes after the line."""
        return b"".join(self._carried(data))

    def _carried(self, data: bytes) -> Iterator[bytes]:
        for byte in data:
            if self._left:
                self._left -= 1
                yield self._damage.apply(byte, None)
                continue
            kind = self._random.choice(self.kinds)
            yield self._damage.apply(byte, kind, self._random.randrange(8 if kind is Kind.FLIP else 256))
            self._left = self._gap()


def single_faults(length: int, inserted: tuple[int, ...] = (0x00, 0xFF)) -> Iterator[OneFault]:
    """Every way to damage one byte of `length`: lost, twice, each bit flipped, swapped, cut from there, a byte before it."""
    for at in range(length):
        for kind in (Kind.DROP, Kind.DUPLICATE, Kind.SWAP, Kind.TRUNCATE):
            yield OneFault(at, kind)
        for bit in range(8):
            yield OneFault(at, Kind.FLIP, bit)
        for value in inserted:
            yield OneFault(at, Kind.INSERT, value)
