"""Bytes to request frames, against the host's codec."""

import random

import pytest

from golden.contract.protocol import CRC_BYTES, LONGEST_RUN, REQUEST_BYTES, REQUEST_HEADER, Status
from host.link import frame
from hw.link.deframer import Deframer

from .wire import WINDOW, simulate

HEAD = 9
MAX_BODY = REQUEST_BYTES - CRC_BYTES


async def feed(ctx, dut, data, pause=lambda: 0):
    for byte in data:
        for _ in range(pause()):
            await ctx.tick()
        ctx.set(dut.i.payload, byte)
        ctx.set(dut.i.valid, 1)
        for _ in range(LONGEST_RUN + 1):
            if ctx.get(dut.i.ready):
                break
            await ctx.tick()
        assert ctx.get(dut.i.ready)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)


async def take(ctx, dut, *, limit=50):
    """Status, length, head and buffer of the frame offered, which is released; returns when its buffer is free."""
    for _ in range(limit):
        if ctx.get(dut.o.valid):
            break
        await ctx.tick()
    assert ctx.get(dut.o.valid), "no frame is offered"
    request = ctx.get(dut.o.payload)
    head = bytes((request.version, request.sequence, request.command)) + request.arguments.to_bytes(HEAD - 3, "little")
    content = bytearray()
    for address in range(min(request.length, REQUEST_BYTES)):
        ctx.set(dut.buffer.address, address)
        await ctx.tick()
        content.append(ctx.get(dut.buffer.data))
    ctx.set(dut.o.ready, 1)
    await ctx.tick()
    ctx.set(dut.o.ready, 0)
    await ctx.tick().repeat(2)
    return request.status, request.length, head, bytes(content)


def bodies(seed):
    """Bodies of all interesting lengths; with few, many and no zeros."""
    chooser = random.Random(seed)
    for length in (3, 4, 5, 9, 10, 249, 250, 251, 254, 255, 256, 504, 505, MAX_BODY - 1, MAX_BODY):
        yield bytes(chooser.choice((0, 1, 255, chooser.randrange(256))) for _ in range(length))
        yield bytes(chooser.randrange(1, 256) for _ in range(length))
    yield bytes(20)


def test_good_frames_arrive_whole():
    dut = Deframer(WINDOW)
    good = 0

    async def watch(ctx):
        nonlocal good
        while True:
            good += (await ctx.tick().sample(dut.good))[-1]

    async def talk(ctx):
        chooser = random.Random(1)
        for body in bodies(1):
            await feed(ctx, dut, frame.encode(body), lambda: chooser.randrange(2))
            status, length, head, content = await take(ctx, dut)
            assert status == Status.OK
            assert length == len(body) + CRC_BYTES
            assert content[:-CRC_BYTES] == body
            assert head == content[:HEAD].ljust(HEAD, b"\0")
        assert good == len(list(bodies(1)))

    simulate(dut, talk, background=[watch])


def test_frames_wait_in_order_while_the_next_arrive():
    dut = Deframer(WINDOW)
    sent = [frame.encode(bytes((1, n, 2, n, n))) for n in range(20)]

    async def talk(ctx):
        await feed(ctx, dut, b"".join(sent[:WINDOW]))
        for n in range(20):
            status, _, head, _ = await take(ctx, dut)
            assert (status, head[1]) == (Status.OK, n)
            if n + WINDOW < 20:
                await feed(ctx, dut, sent[n + WINDOW])
        assert not ctx.get(dut.o.valid)

    simulate(dut, talk)


def test_frame_without_a_free_buffer_is_dropped_and_counted():
    dut = Deframer(WINDOW)
    dropped = 0

    async def watch(ctx):
        nonlocal dropped
        while True:
            dropped += (await ctx.tick().sample(dut.overrun))[-1]

    async def talk(ctx):
        frames = [frame.encode(bytes((1, n, 2))) for n in range(6)]
        await feed(ctx, dut, b"".join(frames[:WINDOW]))
        await feed(ctx, dut, frames[WINDOW][:3])
        assert (await take(ctx, dut))[2][1] == 0
        # a buffer is free now, but this frame has lost its beginning
        await feed(ctx, dut, frames[WINDOW][3:] + b"\0\0" + frames[WINDOW + 1])
        assert (await take(ctx, dut))[2][1] == 1
        assert (await take(ctx, dut))[2][1] == WINDOW + 1
        assert not ctx.get(dut.o.valid)
        assert dropped == 1

    simulate(dut, talk, background=[watch])


@pytest.mark.parametrize(
    ("data", "status", "length"),
    [
        (b"\x05abc", Status.BAD_FRAME, 3),  # the block should have 4 bytes
        (b"\x05", Status.BAD_FRAME, 0),
        (b"\x01", Status.BAD_LENGTH, 0),
        (b"\x02a", Status.BAD_LENGTH, 1),
        (frame.encode(b"ab")[:-1], Status.BAD_LENGTH, 6),
        (frame.encode(b"abc")[:-1].replace(b"b", b"B"), Status.BAD_CRC, 7),
        (frame.encode(bytes(MAX_BODY + 1))[:-1], Status.BAD_LENGTH, REQUEST_BYTES + 1),
        (frame.encode(bytes(3 * MAX_BODY))[:-1], Status.BAD_LENGTH, REQUEST_BYTES + 1),
        (b"\x09" * 5000, Status.BAD_FRAME, REQUEST_BYTES + 1),
    ],
)
def test_damage_has_a_status_and_ends_at_the_zero(data, status, length):
    dut = Deframer(WINDOW)

    async def talk(ctx):
        await feed(ctx, dut, b"\0\0" + data + b"\0\0\0" + frame.encode(b"next"))
        found = await take(ctx, dut)
        assert found[:2] == (status, length)
        status_, _, _, content = await take(ctx, dut)
        assert (status_, content[:-CRC_BYTES]) == (Status.OK, b"next")
        assert not ctx.get(dut.o.valid)

    simulate(dut, talk)


def reference(piece):
    """Status of the bytes between two zeros."""
    try:
        data = frame.unstuff(piece)
    except frame.FrameError:
        return Status.BAD_FRAME
    if not REQUEST_HEADER + CRC_BYTES <= len(data) <= REQUEST_BYTES:
        return Status.BAD_LENGTH
    try:
        frame.decode(piece)
    except frame.FrameError:
        return Status.BAD_CRC
    return Status.OK


def test_garbage_is_judged_as_the_reference_judges_it():
    dut = Deframer(WINDOW)
    chooser = random.Random(3)
    data = bytearray()
    for _ in range(300):
        healthy = frame.encode(bytes(chooser.choice((0, 1, 7, 255)) for _ in range(chooser.randrange(1, 12))))
        kind = chooser.randrange(3)
        if kind:
            data += healthy
        else:
            data += bytes(chooser.choice((0, 1, 2, 3, 5, 255)) for _ in range(chooser.randrange(1, 12))) + b"\0"
    for _ in range(60):
        data[chooser.randrange(len(data))] = chooser.randrange(8)
    expected = [reference(piece) for piece in bytes(data + b"\0").split(b"\0") if piece]
    assert {Status.OK, Status.BAD_FRAME, Status.BAD_LENGTH, Status.BAD_CRC} == set(expected)
    found = []

    async def talk(ctx):
        ctx.set(dut.o.ready, 1)
        # the shortest frames are two bytes, and a frame takes three cycles: in no board here does a byte take fewer than 10
        await feed(ctx, dut, bytes(data + b"\0"), lambda: 1)
        await ctx.tick().repeat(5)

    async def collect(ctx):
        while True:
            *_, valid, status = await ctx.tick().sample(dut.o.valid, dut.o.payload.status)
            if valid:
                found.append(status)

    simulate(dut, talk, background=[collect])
    assert found == expected
