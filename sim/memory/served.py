"""A memory in Python behind a `hw.memory.interface.Port`, which checks the rules of the port's user."""

import random
from collections import deque
from collections.abc import Callable

import cocotb

from nudge.golden.contract.stored import WORD_BYTES
from nudge.hw.memory.interface import ADDRESS_BITS, BURST, Access
from sim.harness.streams import Port


class Served:
    """A memory of words in Python. It accepts up to `BURST` words of a write in advance, and the write once
    it has them all.

    dut : of the bench.
    access, write, read : names of the unit's streams; None for one that it doesn't have.
    words : bytes of the memory; addresses wrap at its end.
    stall : probability that a stream waits in a cycle.
    seen : maps the words of a read to the words that are returned, for broken memories.
    """

    def __init__(
        self,
        dut,
        access: str,
        *,
        write: str | None = None,
        read: str | None = None,
        words: bytearray,
        stall: float = 0.0,
        seen: Callable[[list[int]], list[int]] = lambda words: words,
    ):
        self.words, self.stall, self.seen = words, stall, seen
        #: Completed accesses, as (write, address, length).
        self.accesses: list[tuple[int, int, int]] = []
        self._access, self._write, self._read = (name and Port(dut, name) for name in (access, write, read))
        self._given: deque[int] = deque()
        self._asked: deque[int] = deque()
        cocotb.start_soon(self._serve())

    def read(self, address: int) -> int:
        """Return the word at an address."""
        at = address * WORD_BYTES % len(self.words)
        return int.from_bytes(self.words[at : at + WORD_BYTES], "little")

    def _do(self, bits: int) -> bool:
        """Do an access, unless words of its write are missing; return whether it was done."""
        fields = Access.from_bits(bits)
        write, address, length = (int(getattr(fields, name)) for name in ("write", "address", "length"))
        assert 1 <= length <= BURST, f"{length} words at once"
        assert address // BURST == (address + length - 1) // BURST, (
            f"{length} words from {address} cross a row's end"
        )
        if write and len(self._given) < length:
            return False
        self.accesses.append((write, address, length))
        if write:
            for at in range(address, address + length):
                place = at % (1 << ADDRESS_BITS) * WORD_BYTES % len(self.words)
                self.words[place : place + WORD_BYTES] = self._given.popleft().to_bytes(WORD_BYTES, "little")
        else:
            self._asked.extend(self.seen([self.read(at) for at in range(address, address + length)]))
        return True

    async def _serve(self) -> None:
        access, write, read = self._access, self._write, self._read
        offered: dict[str, int] = {}
        while True:
            await access.edge
            for port in filter(None, (access, write)):
                valid, word = bool(port.valid.value), int(port.payload.value)
                before = offered.pop(port.name, None)
                assert before is None or (valid and word == before), (
                    f"{port.name}: {before:#x} is no longer offered"
                )
                if valid and not port.ready.value:
                    offered[port.name] = word
            if write is not None:
                if write.ready.value and write.valid.value:
                    self._given.append(int(write.payload.value))
                write.ready.value = len(self._given) < BURST and random.random() >= self.stall
            if read is not None:
                if read.valid.value and read.ready.value:
                    self._asked.popleft()
                    read.valid.value = 0
                if self._asked and (not read.ready.value or random.random() >= self.stall):
                    read.valid.value, read.payload.value = 1, self._asked[0]
            # an access is done in the cycle in which it is seen; ready follows a cycle later
            taken = bool(access.ready.value)
            wanted = bool(access.valid.value) and not taken and random.random() >= self.stall
            access.ready.value = int(wanted and self._do(int(access.payload.value)))
