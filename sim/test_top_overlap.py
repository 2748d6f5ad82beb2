"""Overlapping samples on a fake core: answers, and registers read in between, as if executed one by one."""

import random

import cocotb
from cocotb.triggers import gather

from nudge.golden.contract.protocol import (
    ADDRESS_COUNTERS,
    ADDRESS_SPIKES,
    COUNTERS,
    LABELS,
    PIXELS,
    Command,
    Committed,
    Identity,
    Sampled,
    Status,
    register_names,
)
from sim.harness.fake_core import (
    BETA,
    FAKE_BOARDS,
    SYSTEMS,
    TINY,
    FakeExecution,
    byte_wire,
    identity,
    lone_cycles,
    predicted,
    prediction,
)
from sim.harness.wire import Wire, damaged, power_up, reply, request, words
from sim.rigs.modelled.protocol_model import ProtocolModel

TOP = FAKE_BOARDS

T, INFER = Command.TRAIN, Command.INFER

#: First pixel of a sample that stays in the core while four images are taken, and of one that
#: is done at once.
LONG, SHORT = 255, 0


def image(first: int) -> bytes:
    """Draw an image with a given first pixel, which sets the time that the sample stays in the core."""
    return bytes((first,)) + random.randbytes(PIXELS - 1)


def sample(sequence: int, command: Command, pixels: bytes, label: int = 3) -> bytes:
    """Return the frame of a sample."""
    return request(sequence, command, bytes((label,)) + pixels)


async def sampled(wire: Wire, sequence: int, command: Command, pixels: bytes) -> int:
    """Check the next answer except its cycles, and return these."""
    body = await wire.answer()
    expected = reply(sequence, command, payload=bytes((predicted(pixels),)))
    assert body[:-4] == expected, f"{wire.name}: {sequence}: {body.hex()}, not {expected.hex()}"
    return Sampled.decode(body[4:]).cycles


@cocotb.test()
async def as_many_samples_are_under_way_as_there_may_be(dut):
    """Two or four samples are in progress at once.

    The first takes longer than all others together, so these are done right after it, one cycle each.
    """
    wires = [byte_wire(dut, name) for name in ("bytes", "wide")]
    await power_up(dut, *wires)
    await gather(*(check_together(wire, most) for wire, most in zip(wires, (2, 4), strict=True)))


async def check_together(wire: Wire, most: int):
    images = [image(LONG)] + [image(SHORT) for _ in range(most)]
    commands = [random.choice((T, INFER)) for _ in images]
    await wire.hello(0)
    # one sample more than may be in progress
    await wire.feed(
        b"".join(sample(n, c, pixels) for n, (c, pixels) in enumerate(zip(commands, images, strict=True), 1))
    )
    cycles = [
        await sampled(wire, n, c, pixels)
        for n, (c, pixels) in enumerate(zip(commands, images, strict=True), 1)
    ]
    # the last one is started after the first answer, so it has the core for itself
    alone = [lone_cycles(pixels) for pixels in images]
    assert cycles == [alone[0], *[1] * (most - 1), alone[-1]], f"{wire.name}: {cycles}"
    await wire.silence()


@cocotb.test()
async def a_window_or_a_core_for_one_has_one_sample_under_way(dut):
    wires = [byte_wire(dut, name) for name in ("narrow", "single")]
    await power_up(dut, *wires)
    await gather(*(check_one(wire) for wire in wires))


async def check_one(wire: Wire):
    images = [image(LONG), image(SHORT), image(5)]
    await wire.hello(0)
    await wire.feed(sample(1, T, images[0]))
    if wire.name == "narrow":
        # its only frame buffer is free again while the first sample is in the core
        await wire.drain(1000)
        await wire.feed(sample(2, INFER, images[1]))
        assert wire.answers.empty()
    else:
        await wire.feed(sample(2, INFER, images[1]) + sample(3, T, images[2]))
    for n, command in enumerate((T, INFER), 1):
        assert await wire.answer() == reply(n, command, payload=prediction(images[n - 1])), wire.name
    if wire.name == "narrow":
        await wire.feed(sample(3, T, images[2]))
    assert await wire.answer() == reply(3, T, payload=prediction(images[2])), wire.name
    wire.sequence = 4
    assert await wire.read("pending", "overruns") == [2, 0], wire.name
    await wire.silence()


@cocotb.test()
async def the_sum_of_cycles_is_the_time_in_which_the_core_had_samples(dut):
    wire, images = byte_wire(dut, "wide"), [image(random.choice((0, 60, 255))) for _ in range(8)]
    await power_up(dut, wire)
    await wire.hello(0)
    await wire.feed(b"".join(sample(n, INFER, pixels) for n, pixels in enumerate(images, 1)))
    cycles = [await sampled(wire, n, INFER, pixels) for n, pixels in enumerate(images, 1)]
    wire.sequence = 9
    assert await wire.read("cycles_static") == [sum(cycles)], cycles
    assert sum(cycles) < sum(map(lone_cycles, images))
    await wire.silence()


@cocotb.test()
async def a_refused_sample_between_good_ones_changes_nothing(dut):
    """A refused sample gets its answer in turn, and the good ones before and behind it are executed."""
    wire = byte_wire(dut, "wide")
    await power_up(dut, wire)
    await wire.hello(0)
    first, second = image(LONG), image(40)
    await wire.feed(sample(1, T, first) + sample(2, T, second, LABELS) + sample(3, INFER, second))
    assert await wire.answer() == reply(1, T, payload=prediction(first))
    assert await wire.answer() == reply(2, T, Status.BAD_RANGE)
    assert await wire.answer() == reply(3, INFER, payload=prediction(second))
    wire.sequence = 4
    assert await wire.read("spikes_1", "pending", "samples", "bad_range") == [sum(first) + BETA, 1, 2, 1]
    await wire.silence()


@cocotb.test()
async def a_batch_is_full_as_soon_as_its_last_sample_is_under_way(dut):
    wire = byte_wire(dut, "wide")
    await power_up(dut, wire)
    await wire.hello(0)
    await wire.write("batch", 2)
    images = [image(first) for first in (LONG, SHORT, 9, SHORT)]
    commands = (T, T, T, INFER)
    await wire.feed(
        b"".join(sample(n, c, pixels) for n, (c, pixels) in enumerate(zip(commands, images, strict=True), 2))
    )
    assert await sampled(wire, 2, T, images[0]) == lone_cycles(images[0])
    assert await sampled(wire, 3, T, images[1]) == 1
    assert await wire.answer() == reply(4, T, Status.BAD_ORDER)
    assert await wire.answer() == reply(5, INFER, payload=prediction(images[3]))
    # a COMMIT directly behind samples waits until they are done
    first = request(6, Command.DIGEST, b"\1") + request(7, Command.COMMIT)
    await wire.feed(first + sample(8, T, images[0]) + sample(9, T, images[1]) + request(10, Command.COMMIT))
    assert await wire.answer() == reply(6, Command.DIGEST, Status.BAD_ORDER)
    assert await wire.answer() == reply(7, Command.COMMIT, payload=Committed(2, 1).encode())
    await sampled(wire, 8, T, images[0])
    await sampled(wire, 9, T, images[1])
    assert await wire.answer() == reply(10, Command.COMMIT, payload=Committed(2, 1).encode())
    wire.sequence = 11
    assert await wire.read("pending", "bad_order") == [0, 2]
    await wire.silence()


@cocotb.test()
async def what_is_no_new_sample_waits_for_all_that_are_under_way(dut):
    wires = [byte_wire(dut, name) for name in ("bytes", "wide", "single")]
    await power_up(dut, *wires)
    await gather(*(check_others(wire) for wire in wires))


async def check_others(wire: Wire):
    register = bytes((wire.registers["scratch"].address, 1))
    await wire.hello(0)
    for number, kind in enumerate(
        ("again", "hello", "damaged", "version", "command", "sequence", "length", "read")
    ):
        first, second = image(120), image(SHORT)
        n = wire.sequence
        answer = reply(n, T, payload=prediction(first))
        following, write = n + 1, wire.setting("scratch", 7)
        match kind:
            case "again":
                frame, expected = sample(n, T, second), answer
            case "hello":
                # with the number that would be next anyway
                frame, following = request(n + 1, Command.HELLO), n + 2
                expected = reply(n + 1, Command.HELLO, payload=identity_of(wire))
            case "damaged":
                frame = damaged(sample(n + 1, T, second))
                expected = reply(n + 1, T, Status.BAD_CRC)
            case "version":
                frame = request(n + 1, Command.COMMIT, version=77)
                expected = reply(n + 1, Command.COMMIT, Status.BAD_VERSION)
            case "command":
                frame, expected = request(n + 1, 0x77), reply(n + 1, 0x77, Status.BAD_COMMAND)
            case "sequence":
                # a good sample, but not with the next number
                frame, expected = sample(n + 2, T, second), reply(n + 2, T, Status.BAD_SEQUENCE)
            case "length":
                frame = request(n + 1, Command.WRITE_REGISTER, write + b"\0")
                expected = reply(n + 1, Command.WRITE_REGISTER, Status.BAD_LENGTH)
            case _:
                frame, following = request(n + 1, Command.READ_REGISTER, register), n + 2
                expected = reply(n + 1, Command.READ_REGISTER, payload=bytes(4))
        await wire.feed(sample(n, T, first))
        # the first sample is taken, so that its buffer is free for the next frame
        await wire.drain(1000)
        assert wire.answers.empty(), f"{wire.name}, {kind}"
        await wire.feed(frame)
        for what in (answer, expected):
            got = await wire.answer()
            assert got == what, f"{wire.name}, {kind}: {got.hex()}, not {what.hex()}"
        got = await wire.send(sample(following, INFER, second))
        assert got == reply(following, INFER, payload=prediction(second)), f"{wire.name}, {kind}: {got.hex()}"
        wire.sequence = (following + 1) % 256
        assert await wire.read("pending") == [number + 1], f"{wire.name}, {kind}"
    await wire.silence()


def identity_of(wire: Wire) -> bytes:
    """Return the payload of the answer to HELLO."""
    return identity(1, *SYSTEMS[wire.name]).encode()


@cocotb.test()
async def counters_behind_samples_include_them(dut):
    """A read behind samples includes them all, also two that are done in successive cycles and both wrong."""
    wire = byte_wire(dut, "wide")
    names = [name for name, r in wire.registers.items() if ADDRESS_COUNTERS <= r.address < ADDRESS_SPIKES]
    assert names == list(register_names(TINY.spec, COUNTERS))
    await power_up(dut, wire)
    await wire.hello(0)
    images = [image(first) for first in (LONG, SHORT, SHORT)]
    frames = [sample(n, T, pixels, (predicted(pixels) + 1) % LABELS) for n, pixels in enumerate(images, 1)]
    read = request(4, Command.READ_REGISTER, bytes((ADDRESS_COUNTERS, len(names))))
    await wire.feed(b"".join(frames) + read)
    assert [await sampled(wire, n, T, pixels) for n, pixels in enumerate(images, 1)][1:] == [1, 1]
    body = await wire.answer()
    values = dict(
        zip(
            names, (int.from_bytes(body[at : at + 4], "little") for at in range(4, len(body), 4)), strict=True
        )
    )
    expected = {"frames": 5, "samples": 3, "errors": 3, "pending": 3}
    assert {name: value for name, value in values.items() if value} == expected
    wire.sequence = 5
    assert await wire.read("spikes_1") == [sum(map(sum, images)) + 3 * BETA]
    await wire.silence()


@cocotb.test()
async def random_requests_are_answered_as_if_one_by_one(dut):
    wires = [byte_wire(dut, name) for name in SYSTEMS]
    await power_up(dut, *wires)
    await gather(*(check_random(wire, 200) for wire in wires))


async def check_random(wire: Wire, frames: int):
    window = SYSTEMS[wire.name][0]
    model = ProtocolModel(Identity.decode(await wire.hello(9)), FakeExecution(wire))
    model.answer(request(9, Command.HELLO)[:-1])
    endings: list[Status] = []
    while len(endings) < frames:
        ahead, pieces = model.upcoming, []
        for _ in range(random.randint(1, window)):
            piece, counts = random_frame(wire, ahead, window)
            ahead += counts
            pieces.append(piece)
        await wire.feed(b"".join(pieces))
        for piece in pieces:
            expected, got = model.answer(piece[:-1]), await wire.answer()
            if expected[2] & 0x7F in (T, INFER) and expected[3] == Status.OK:
                got = got[:5] + bytes(4)
            assert got == expected, f"{wire.name}: {got.hex()}, not {expected.hex()}"
            endings.append(Status(expected[3]))
    wanted = {Status.OK, Status.BAD_ORDER, Status.BAD_RANGE, Status.BAD_CRC, Status.BAD_SEQUENCE}
    assert wanted <= set(endings), f"{wire.name}: {wanted - set(endings)} never happened"
    assert model.duplicates, f"{wire.name}: no answer was repeated"
    await wire.silence()


def random_frame(wire: Wire, ahead: int, window: int) -> tuple[bytes, int]:
    """Draw a frame, mostly a sample with the next number, and the number of sequence numbers that it uses up.

    ahead: the next number if all earlier frames are executed.
    """
    number = (ahead + random.choice((0,) * 12 + (-1, -window, 1))) % 256
    choice = random.random()
    if choice < 0.7:
        label = random.choice((*range(LABELS), *range(LABELS), LABELS, 255))
        frame = sample(number, random.choice((T, T, INFER)), image(random.choice((0, 0, 30, 150))), label)
    elif choice < 0.95:
        register = random.choice(("spikes_1", "pending"))
        frame = request(
            number,
            *random.choice(
                (
                    (Command.COMMIT, b""),
                    (Command.READ_REGISTER, bytes((wire.registers[register].address, 1))),
                    (Command.WRITE_REGISTER, wire.setting("batch", random.choice((1, 2, 5)))),
                    (Command.WRITE_WEIGHTS, words(1, 0, bytes(2 * wire.config.lanes[1]))),
                )
            ),
        )
    else:
        number = random.randrange(256)
        return request(number, Command.HELLO), (number + 1 - ahead) % 256
    if random.random() < 0.07:
        return damaged(frame), 0
    return frame, int(number == ahead % 256)
