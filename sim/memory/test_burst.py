# amaranth: UnusedElaboratable=no
"""Spans are cut into accesses that don't cross a multiple of a burst; all words come once, in order."""

import random

import cocotb

from nudge.golden.contract.stored import MAX_RECORD_WORDS
from nudge.hw.memory.burst import Bursts, Span
from nudge.hw.memory.interface import ADDRESS_BITS, BURST, Access
from sim.harness.streams import Port, StreamSink, StreamSource, start

UNITS = {"bursts_read": Bursts(write=False), "bursts_write": Bursts(write=True)}


def cut(address: int, words: int) -> list[tuple[int, int]]:
    """Return address and length of each access of a span."""
    made = []
    while words:
        length = min(words, BURST - address % BURST)
        made.append((address, length))
        address, words = (address + length) % (1 << ADDRESS_BITS), words - length
    return made


@cocotb.test()
@cocotb.parametrize(name=["bursts_read", "bursts_write"], stall=[0.0, 0.5])
async def spans_are_cut_at_multiples_of_a_burst(dut, name, stall):
    await start(dut)
    lengths = [
        1,
        BURST - 1,
        BURST,
        BURST + 1,
        2 * BURST,
        MAX_RECORD_WORDS,
        *(random.randint(1, 70) for _ in range(60)),
    ]
    spans = [(random.getrandbits(ADDRESS_BITS), words) for words in lengths]
    spans += [(n, BURST) for n in range(BURST)] + [((1 << ADDRESS_BITS) - 3, 8)]
    words = [Span.const({"address": address, "words": count}).as_bits() for address, count in spans]
    putting = cocotb.start_soon(StreamSource(dut, f"{name}__span").put(words, stall=stall))
    expected = [
        Access.const({"write": name == "bursts_write", "address": address, "length": length}).as_bits()
        for span in spans
        for address, length in cut(*span)
    ]
    assert await StreamSink(dut, f"{name}__access").get(len(expected), stall=stall) == expected
    await putting
    port = Port(dut, f"{name}__access")
    for _ in range(4):
        await port.edge
        assert not port.valid.value, "an access that nobody asked for"


@cocotb.test()
async def a_span_is_offered_after_two_cycles(dut):
    await start(dut)
    span, access = Port(dut, "bursts_read__span"), Port(dut, "bursts_read__access")
    span.payload.value, span.valid.value = Span.const({"address": 5, "words": 4}).as_bits(), 1
    await span.edge
    assert (span.ready.value, access.valid.value) == (1, 0)
    span.valid.value = 0
    for valid in (0, 1):
        await span.edge
        assert (span.ready.value, access.valid.value) == (0, valid)
