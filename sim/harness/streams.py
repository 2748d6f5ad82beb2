"""Drives and monitors streams, flows and memory ports from cocotb.

Sampling: right after a clock edge a signal still has its value from before the edge, which registers sample
at that edge. A value written then takes effect at the next edge.
"""

import os
import random
from collections.abc import Iterable, Sequence

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from .testbench import CLOCK, INPUTS_VARIABLE, RESET

#: Timeout: cycles without a transfer after which a bench fails.
PATIENCE = 100_000

#: Clock period in nanoseconds; the value is arbitrary.
PERIOD = 10


def pack(values: Iterable[int], bits: int) -> int:
    """Packs lane values, signed or not, as an ArrayLayout, lane 0 lowest; `ValueError` if one doesn't fit."""
    word = 0
    for lane, value in enumerate(map(int, values)):
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise ValueError(f"lane {lane}: {value} doesn't fit in {bits} bits")
        word |= (value & ((1 << bits) - 1)) << (lane * bits)
    return word


def unpack(word: int, bits: int, lanes: int, *, signed: bool) -> list[int]:
    """The inverse of `pack`."""
    values = [word >> (lane * bits) & ((1 << bits) - 1) for lane in range(lanes)]
    return [value - (1 << bits) if signed and value >> (bits - 1) else value for value in values]


async def start(dut, cycles: int = 2, *, before: int = 50) -> None:
    """Starts the clock and resets, with all inputs at 0; returns right after the edge that ends the reset.

    before: number of cycles with random inputs before the reset, so that the reset is tested. Memories keep
    what is written in them: a bench that relies on initial contents passes 0.
    """
    inputs = [getattr(dut, name) for name in filter(None, os.environ[INPUTS_VARIABLE].split(","))]
    clock, reset = getattr(dut, CLOCK), getattr(dut, RESET)
    Clock(clock, PERIOD, unit="ns").start()
    for signal in [*inputs, reset]:
        signal.value = 0
    for _ in range(before):
        for signal in inputs:
            signal.value = random.getrandbits(len(signal))
        await RisingEdge(clock)
    for signal in inputs:
        signal.value = 0
    reset.value = 1
    for _ in range(cycles):
        await RisingEdge(clock)
    reset.value = 0
    await RisingEdge(clock)


class Port:
    """A design's interface: `port.valid` is the handle of `<name>__valid`, `edge` the next clock edge."""

    def __init__(self, dut, name: str):
        self.name = name
        self.edge = RisingEdge(getattr(dut, CLOCK))
        self._dut = dut

    def __getattr__(self, member: str):
        handle = getattr(self._dut, f"{self.name}__{member}")
        setattr(self, member, handle)
        return handle


class FlowSource(Port):
    """Drives a `hw.lib.flow.Flow`, or any other interface with valid and payload."""

    async def send(self, words: Iterable[int], *, gap: float = 0.0) -> None:
        """Sends one word a cycle; each cycle is idle, with a random payload, with probability `gap`."""
        garbage = len(self.payload)
        for word in words:
            while random.random() < gap:
                self.valid.value = 0
                self.payload.value = random.getrandbits(garbage)
                await self.edge
            self.valid.value = 1
            self.payload.value = word
            await self.edge
        self.valid.value = 0


class Monitor(Port):
    """Records the `words` of a `Flow` and their `cycles`, counted from the creation of the monitor."""

    def __init__(self, dut, name: str):
        super().__init__(dut, name)
        self.words: list[int] = []
        self.cycles: list[int] = []
        self.cycle = 0
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        valid, payload, edge = self.valid, self.payload, self.edge
        while True:
            await edge
            if valid.value:
                self.words.append(int(payload.value))
                self.cycles.append(self.cycle)
            self.cycle += 1

    async def wait(self, count: int, *, patience: int = PATIENCE) -> list[int]:
        """Waits for and returns the first `count` words; fails if none comes for `patience` cycles."""
        known, waited = len(self.words), 0
        while len(self.words) < count:
            await self.edge
            waited = waited + 1 if len(self.words) == known else 0
            known = len(self.words)
            assert waited < patience, (
                f"{self.name}: {known} of {count} words, then none for {patience} cycles"
            )
        return self.words[:count]


class StreamSource(Port):
    """Drives an `amaranth.lib.stream` input."""

    async def put(self, words: Iterable[int], *, stall: float = 0.0, patience: int = PATIENCE) -> None:
        """Transfers all words; before each, `valid` stays low for another cycle with probability `stall`."""
        for number, word in enumerate(words):
            while random.random() < stall:
                await self.edge
            self.valid.value = 1
            self.payload.value = word
            await self.edge
            waited = 1
            while not self.ready.value:
                assert waited < patience, f"{self.name}: word {number} not taken for {patience} cycles"
                await self.edge
                waited += 1
            self.valid.value = 0


class StreamSink(Port):
    """Drains an `amaranth.lib.stream` output and checks that an offered word stays until it is taken."""

    async def get(self, count: int, *, stall: float = 0.0, patience: int = PATIENCE) -> list[int]:
        """Returns the next `count` words; in each cycle `ready` is low with probability `stall`."""
        words: list[int] = []
        offered, waited = None, 0
        while len(words) < count:
            ready = random.random() >= stall
            self.ready.value = ready
            await self.edge
            word = int(self.payload.value) if self.valid.value else None
            assert offered is None or word == offered, (
                f"{self.name}: {offered:#x} was offered, then {word} before it was taken"
            )
            if word is not None and ready:
                words.append(word)
                offered, waited = None, 0
            else:
                offered, waited = word, waited + 1
            assert waited < patience, (
                f"{self.name}: {len(words)} of {count} words, then none for {patience} cycles"
            )
        self.ready.value = 0
        return words


def serve_memory(dut, address: str, data: str, words: Sequence[int]) -> None:
    """Acts as a synchronous memory: `data[t+1] = words[address[t]]`, 0 beyond the end."""

    async def serve() -> None:
        edge, where, what = RisingEdge(getattr(dut, CLOCK)), getattr(dut, address), getattr(dut, data)
        while True:
            await edge
            index = int(where.value)
            what.value = words[index] if index < len(words) else 0

    cocotb.start_soon(serve())


async def wait_for(dut, name: str, value: int = 1, *, patience: int = PATIENCE) -> int:
    """Waits until signal `name` has `value`; returns the number of clock edges."""
    edge, signal = RisingEdge(getattr(dut, CLOCK)), getattr(dut, name)
    for cycle in range(1, patience + 1):
        await edge
        if signal.value == value:
            return cycle
    raise AssertionError(f"{name} did not become {value} within {patience} cycles")
