# amaranth: UnusedElaboratable=no
"""The serial pins: bytes survive any divisor, damaged ones are dropped."""

import random
from itertools import pairwise

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.link.uart import Receiver, Transmitter

from .wire import simulate


class Loop(wiring.Component):
    """A transmitter whose pin is wired to a receiver."""

    def __init__(self, divisor):
        self.sender, self.receiver = Transmitter(divisor), Receiver(divisor)
        super().__init__({"i": In(self.sender.i.signature.flip()), "o": Out(self.receiver.o.signature)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.sender, m.submodules.receiver = self.sender, self.receiver
        connect(m, flipped(self.i), self.sender.i)
        connect(m, self.receiver.o, flipped(self.o))
        m.d.comb += self.receiver.rx.eq(self.sender.tx)
        return m


async def put(ctx, stream, byte):
    ctx.set(stream.payload, byte)
    ctx.set(stream.valid, 1)
    await ctx.tick().until(stream.ready)
    ctx.set(stream.valid, 0)


async def get(ctx, stream):
    ctx.set(stream.ready, 1)
    while True:
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if valid:
            return payload


async def send_bits(ctx, rx, bits, cycles):
    for bit in bits:
        ctx.set(rx, bit)
        await ctx.tick().repeat(cycles)


def bits_of(byte, stop=1):
    return [0, *((byte >> n) & 1 for n in range(8)), stop]


@pytest.mark.parametrize("divisor", [1, 2, 3, 8, 16])
def test_bytes_go_round_back_to_back_and_with_gaps(divisor):
    random_ = random.Random(divisor)
    data = [random_.randrange(256) for _ in range(40)]
    dut = Loop(divisor)

    async def sender(ctx):
        assert ctx.get(dut.sender.tx) == 1
        for byte in data:
            await put(ctx, dut.i, byte)
        for byte in data:
            await put(ctx, dut.i, byte)
            await ctx.tick().repeat(random_.randrange(1, 30))

    async def receiver(ctx):
        for byte in data + data:
            payload = await get(ctx, dut.o)
            assert payload == byte

    simulate(dut, sender, receiver)


def test_throughput_is_ten_bit_times_a_byte():
    dut = Transmitter(4)
    arrived = []

    async def sender(ctx):
        ctx.set(dut.i.valid, 1)
        for cycle in range(400):
            if ctx.get(dut.i.ready):
                arrived.append(cycle)
            await ctx.tick()

    simulate(dut, sender)
    assert {b - a for a, b in pairwise(arrived)} == {40}


@pytest.mark.parametrize("divisor", [8, 16])
def test_receiver_takes_a_clock_that_is_off_by_4_percent(divisor):
    dut = Receiver(divisor)
    data = [0x00, 0xFF, 0x55, 0xA7]
    seen = []

    async def sender(ctx):
        for factor in (0.96, 1.04):
            due, now = 0.0, 0
            for bit in [1, 1] + [b for byte in data for b in bits_of(byte)] + [1, 1]:
                ctx.set(dut.rx, bit)
                due += divisor * factor
                await ctx.tick().repeat(round(due) - now)
                now = round(due)

    async def receiver(ctx):
        while True:
            payload = await get(ctx, dut.o)
            seen.append(payload)

    simulate(dut, sender, background=[receiver])
    assert seen == data + data


@pytest.mark.parametrize("divisor", [1, 8])
def test_frame_error_drops_the_byte_and_only_it(divisor):
    dut = Receiver(divisor)
    seen = []

    async def sender(ctx):
        for bits in (bits_of(0x41), bits_of(0x42, stop=0), [0] * 25, [1, 1], bits_of(0x43), [1, 1, 1, 1, 1, 1]):
            await send_bits(ctx, dut.rx, bits, divisor)

    async def receiver(ctx):
        while True:
            payload = await get(ctx, dut.o)
            seen.append(payload)

    simulate(dut, sender, background=[receiver])
    assert seen == [0x41, 0x43]


def test_spike_on_the_line_is_no_start_bit():
    dut = Receiver(8)
    seen = []

    async def sender(ctx):
        await send_bits(ctx, dut.rx, [1] * 8 + [0] * 3 + [1] * 80, 1)
        await send_bits(ctx, dut.rx, [*bits_of(0x5A), 1, 1], 8)

    async def receiver(ctx):
        while True:
            payload = await get(ctx, dut.o)
            seen.append(payload)

    simulate(dut, sender, background=[receiver])
    assert seen == [0x5A]


@pytest.mark.parametrize("divisor", [0, -1, 1.5, 65536])
def test_divisor_out_of_range(divisor):
    with pytest.raises(ValueError, match=r"divisor must be 1\.\.65535"):
        Receiver(divisor)
