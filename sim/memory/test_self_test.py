# amaranth: UnusedElaboratable=no
"""The self test, on memories in Python, finds each read delay, and notices each kind of broken line."""

import random
from collections.abc import Callable

import cocotb

from nudge.golden.contract.stored import WORD_BYTES
from nudge.hw.memory.controller import DELAYS
from nudge.hw.memory.interface import ADDRESS_BITS, BURST, WORD_BITS
from nudge.hw.memory.self_test import FIRST_LINE, SelfTest
from sim.harness.streams import Port, start

from .pattern import PLACES, check_left
from .served import Served

NAME = "self_test"
UNITS = {NAME: SelfTest()}


class Broken(Served):
    """A memory that returns the right words for one read delay only, and may have broken lines.

    right : that read delay.
    data, address : functions that a word, and an address, pass through on their way.
    """

    def __init__(self, dut, right: int, data: Callable[[int], int], address: Callable[[int], int]):
        self.delay, self.right, self.data, self.address = Port(dut, NAME).delay, right, data, address
        self.last = 0
        names = {"write": f"{NAME}__port__write", "read": f"{NAME}__port__read"}
        super().__init__(
            dut,
            f"{NAME}__port__access",
            words=bytearray(WORD_BYTES << ADDRESS_BITS),
            seen=self.shown,
            **names,
        )

    def shown(self, words: list[int]) -> list[int]:
        """Return the captured words: the preceding ones if the delay is too small, else the following."""
        late = int(self.delay.value) - self.right
        before, self.last = self.last, words[-1]
        if late < 0:
            words = [before, *words[:-1]]
        elif late > 0:
            words = [*words[1:], 0]
        return [self.data(word) for word in words]

    def _do(self, bits: int) -> bool:
        mask = (1 << ADDRESS_BITS) - 1
        return super()._do(bits & ~(mask << 1) | self.address(bits >> 1 & mask) << 1)


def untouched(value: int) -> int:
    return value


def stuck(line: int, level: int) -> Callable[[int], int]:
    """Return a function that sets a line to a level."""
    return lambda value: value | 1 << line if level else value & ~(1 << line)


def tied(line: int, other: int) -> Callable[[int], int]:
    """Return a function that sets a line to the level of another line."""
    return lambda value: value & ~(1 << line) | (value >> other & 1) << line


async def outcome(dut, memory: Broken) -> tuple[bool, int]:
    """Run the self test; return `works` and the read delay."""
    port = Port(dut, NAME)
    for _ in range(20):
        await port.edge
        assert not memory.accesses, "begins before it may"
    port.start.value = 1
    for _ in range(100_000):
        await port.edge
        if port.done.value:
            result, asked = (bool(port.works.value), int(port.delay.value)), len(memory.accesses)
            for _ in range(100):
                await port.edge
                assert not port.port__access__valid.value, "asks for more when it is done"
                assert not port.port__write__valid.value, "writes more when it is done"
                assert port.done.value
            assert (bool(port.works.value), int(port.delay.value), len(memory.accesses)) == (*result, asked)
            return result
        assert not port.works.value
    raise AssertionError("no end")


@cocotb.test()
@cocotb.parametrize(right=[0, 3, DELAYS - 1])
async def the_delay_is_found(dut, right):
    await start(dut)
    memory = Broken(dut, right, untouched, untouched)
    assert await outcome(dut, memory) == (True, right)
    # accesses at each power of two, and at 0
    assert {address for _, address, _ in memory.accesses} == set(PLACES)
    check_left({place: [memory.read(place + n) for n in range(BURST)] for place in PLACES})


@cocotb.test()
@cocotb.parametrize(kind=["data stuck", "data tied", "address stuck", "address tied"])
async def a_broken_line_is_noticed(dut, kind):
    await start(dut)
    what, how = kind.split()
    lines = range(WORD_BITS) if what == "data" else range(FIRST_LINE, ADDRESS_BITS)
    line, other = random.sample(lines, 2)
    broken = stuck(line, random.getrandbits(1)) if how == "stuck" else tied(line, other)
    sides = (broken, untouched) if what == "data" else (untouched, broken)
    works, _ = await outcome(dut, Broken(dut, 0, *sides))
    assert not works, f"{kind}: {line}, {other}"
