"""Answers to bytes, against the host's codec."""

import random

from golden.contract.protocol import Status
from host.link import frame
from hw.link.framer import Framer
from hw.link.interface import ANSWER_PAYLOAD

from .wire import WINDOW, reply, simulate


def answers():
    """Answers of all lengths, with few, many and no zeros."""
    chooser = random.Random(5)
    lengths = [0, 1, 2, 5, ANSWER_PAYLOAD - 8, ANSWER_PAYLOAD - 7, ANSWER_PAYLOAD - 6, ANSWER_PAYLOAD]
    for number, length in enumerate(lengths * 3):
        low = (0, 1, 254)[number % 3]
        status = chooser.choice(list(Status)) if number % 3 == 0 else Status.BAD_RANGE
        payload = bytes(chooser.randrange(low, 256) for _ in range(length))
        yield chooser.randrange(1, 256), chooser.randrange(128), status, payload
    yield 0, 0, Status.OK, bytes(ANSWER_PAYLOAD)


async def load(ctx, dut, slot, payload):
    ctx.set(dut.slot, slot)
    ctx.set(dut.write, 1)
    for address, byte in enumerate(payload):
        ctx.set(dut.address, address)
        ctx.set(dut.data, byte)
        await ctx.tick()
    ctx.set(dut.write, 0)


def test_frames_equal_the_reference_under_stalls():
    dut = Framer(WINDOW)
    sent = bytearray()

    async def talk(ctx):
        for n, (sequence, command, status, payload) in enumerate(answers()):
            await load(ctx, dut, n % WINDOW, payload)
            answer = {"sequence": sequence, "command": command, "status": status, "slot": n % WINDOW, "length": len(payload)}
            ctx.set(dut.i.payload, answer)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.i.payload, {})
        await ctx.tick().until(dut.i.ready)

    async def collect(ctx):
        chooser = random.Random(7)
        held = None
        while True:
            ready = chooser.random() < 0.7
            ctx.set(dut.o.ready, ready)
            *_, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert held is None or (valid and payload == held), "valid and payload must hold until the transfer"
            held = payload if valid and not ready else None
            if valid and ready:
                sent.append(payload)

    simulate(dut, talk, background=[collect])
    assert bytes(sent) == b"".join(frame.encode_answer(reply(*answer)) for answer in answers())


def test_five_cycles_a_byte():
    dut = Framer(WINDOW)
    cycles = 0

    async def talk(ctx):
        nonlocal cycles
        await load(ctx, dut, 0, bytes(range(1, 201)))
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.payload, {"sequence": 1, "command": 1, "status": 1, "slot": 0, "length": 200})
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        while not ctx.get(dut.i.ready):
            await ctx.tick()
            cycles += 1

    simulate(dut, talk)
    assert 0 < cycles <= 5 * 208 + 20
