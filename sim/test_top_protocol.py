"""The whole link with a fake core: every command, the order of answers, execution exactly once."""

import random

import cocotb
from cocotb.triggers import gather

from nudge.golden.contract.protocol import LABELS, PIXELS, Access, Command, Identity, Status
from nudge.hw.link.weight_access import word_bytes
from sim.harness.fake_core import (
    BETA,
    DIVISORS,
    FAKE_BOARDS,
    TINY,
    FakeCore,
    byte_wire,
    identity,
    lone_cycles,
    predicted,
    prediction,
    serial_wires,
)
from sim.harness.wire import Wire, power_up, reply, request, words

TOP = FAKE_BOARDS


@cocotb.test()
async def hello_tells_what_the_board_is_over_the_serial_pins(dut):
    wires = serial_wires(dut, *DIVISORS)
    await power_up(dut, *wires)
    await gather(*(check_hello(wire, wire.divisor) for wire in wires))


async def check_hello(wire: Wire, divisor: int):
    for sequence in (5, 200):
        found = Identity.decode(await wire.hello(sequence))
        assert found == identity(divisor), f"{wire.name}: {found}"
    weights = random.randbytes(2 * word_bytes(TINY, TINY.spec.bundles[0]))
    assert not await wire.call(Command.WRITE_WEIGHTS, words(1, 0, weights))
    assert await wire.call(Command.READ_WEIGHTS, words(1, 0, b"\2")) == weights, wire.name
    await wire.silence()


@cocotb.test()
async def nothing_is_executed_before_hello(dut):
    wire = byte_wire(dut)
    await power_up(dut, wire)
    for sequence in (0, 1, 255):
        refusal = reply(sequence, Command.COMMIT, Status.BAD_SEQUENCE)
        assert await wire.send(request(sequence, Command.COMMIT)) == refusal
    await wire.hello(9)
    assert await wire.counters() == {"bad_sequence": 3}
    assert await wire.read("frames", "spikes_1") == [6, 0]
    await wire.silence()


@cocotb.test()
async def every_register_has_its_reset_value_and_range(dut):
    wire = byte_wire(dut)
    await power_up(dut, wire)
    await wire.hello(0)
    for name, r in wire.registers.items():
        if name != "frames":
            assert await wire.read(name) == [r.reset], name
    for name, r in wire.registers.items():
        if r.access is Access.READ:
            await wire.write(name, r.reset, Status.BAD_RANGE)
            continue
        for value in (r.low - 1, r.high + 1, 0xFFFFFFFF):
            if 0 <= value < 1 << 32 and not r.low <= value <= r.high:
                await wire.write(name, value, Status.BAD_RANGE)
        if r.access is Access.READ_WRITE:
            assert await wire.read(name) == [r.reset], name
            for value in (r.low, r.high):
                await wire.write(name, value)
                assert await wire.read(name) == [value], name
    await wire.silence()


@cocotb.test()
async def samples_and_commits_are_executed_and_counted(dut):
    wire, beta, total, errors, busy = byte_wire(dut), 5, 0, 0, 0
    await power_up(dut, wire)
    await wire.hello(0)
    await wire.write("beta", beta)
    await wire.write("batch", 2)
    for label, command in enumerate((Command.TRAIN, Command.INFER, Command.TRAIN)):
        pixels = random.randbytes(PIXELS)
        answer = await wire.call(command, bytes((label,)) + pixels)
        assert answer == prediction(pixels, beta), f"{command.name}: {answer.hex()}"
        errors += answer[0] != label
        busy += lone_cycles(pixels)
        if command is Command.TRAIN:
            total += sum(pixels) + beta
            busy += FakeCore.UPDATE_CYCLES
        assert await wire.read("spikes_1") == [total], command.name
    assert await wire.read("cycles_static") == [busy]
    counted = {"pending": 2, "samples": 3, "errors": errors}
    assert await wire.counters() == {name: count for name, count in counted.items() if count}
    # the number of samples, and one cycle of the core
    assert await wire.call(Command.COMMIT) == bytes((2, 0, 1, 0, 0, 0))
    assert await wire.call(Command.COMMIT) == bytes((0, 0, 1, 0, 0, 0))
    assert await wire.read("spikes_1") == [total + 2]
    await wire.call(Command.TRAIN, bytes((LABELS - 1,)) + bytes(PIXELS))
    await wire.write("clear", 1)
    assert await wire.read("frames") == [1]
    assert await wire.counters() == {"pending": 1}
    assert await wire.read("cycles_static") == [0]
    await wire.silence()


@cocotb.test()
async def a_repeated_number_is_answered_again_and_executed_once(dut):
    wire = byte_wire(dut)
    images = [random.randbytes(PIXELS) for _ in range(3)]

    async def expect(sequence: int, command: Command, payload: bytes, answer: bytes):
        got = await wire.send(request(sequence, command, payload))
        assert got == answer, f"{sequence}, {command.name}: {got.hex()}, not {answer.hex()}"

    T = Command.TRAIN
    await power_up(dut, wire)
    await wire.hello(254)
    first = reply(255, Command.READ_REGISTER, payload=bytes(4))
    await expect(255, Command.READ_REGISTER, bytes((wire.registers["scratch"].address, 1)), first)
    second = reply(0, T, payload=prediction(images[1]))
    await expect(0, T, bytes((1,)) + images[1], second)
    for _ in range(2):
        # a repeated number gets the stored answer whatever its payload and command
        await expect(0, T, bytes((2,)) + images[2], second)
        await expect(255, Command.WRITE_REGISTER, wire.setting("scratch", 5), first)
    third = reply(1, Command.WRITE_REGISTER)
    await expect(1, Command.WRITE_REGISTER, wire.setting("scratch", 1 << 31), third)
    await expect(1, Command.COMMIT, b"", third)
    await expect(0, Command.COMMIT, b"", second)
    await expect(255, Command.COMMIT, b"", reply(255, Command.COMMIT, Status.BAD_SEQUENCE))
    # a BAD_RANGE counts as executed, so its number is answered again too
    for _ in range(2):
        await expect(2, T, bytes((LABELS,)) + images[0], reply(2, T, Status.BAD_RANGE))
    wire.sequence = 3
    counted = await wire.counters()
    counted.pop("errors", None)
    expected = {"bad_range": 1, "bad_sequence": 1, "samples": 1, "pending": 1, "duplicates": 7}
    assert counted == expected
    total = sum(images[1]) + BETA
    assert await wire.read("scratch", "spikes_1") == [1 << 31, total]
    # HELLO forgets all answers but its own
    greeting = await wire.hello(7)
    for sequence in (6, 5, 4, 2):
        refusal = reply(sequence, Command.COMMIT, Status.BAD_SEQUENCE)
        await expect(sequence, Command.COMMIT, b"", refusal)
    await expect(7, Command.COMMIT, b"", reply(7, Command.HELLO, payload=greeting))
    assert await wire.hello(7) == greeting
    assert await wire.read("pending", "spikes_1") == [1, total]
    await wire.silence()


@cocotb.test()
async def a_window_of_images_is_in_flight_and_what_comes_on_top_is_dropped(dut):
    wire = byte_wire(dut)
    images = [random.randbytes(PIXELS) for _ in range(3)]
    await power_up(dut, wire)
    await wire.hello(0)
    commands = (Command.TRAIN, Command.INFER)
    samples = [request(n + 1, commands[n], bytes((n,)) + images[n]) for n in range(2)]
    await wire.feed(b"".join(samples))
    for n, command in enumerate(commands):
        # the samples overlap, so the cycles aren't compared
        assert (await wire.answer())[:-4] == reply(n + 1, command, payload=bytes((predicted(images[n]),)))
    # while the core has one sample, there is a buffer for one more frame
    burst = [request(n, Command.WRITE_REGISTER, wire.setting("scratch", n)) for n in (4, 5, 6)]
    await wire.feed(request(3, Command.INFER, bytes((2,)) + images[2]) + b"".join(burst))
    assert await wire.answer() == reply(3, Command.INFER, payload=prediction(images[2]))
    assert await wire.answer() == reply(4, Command.WRITE_REGISTER)
    wire.sequence = 5
    assert await wire.read("scratch", "overruns") == [4, 2]
    assert wire.port("error").value
    await wire.silence()


@cocotb.test()
async def no_byte_is_lost_behind_frames_of_zeros(dut):
    """Frames full of zeros lose no byte: 32 zeros take the deframer longer than the line needs per byte."""
    wires = serial_wires(dut, 1, 3)
    await power_up(dut, *wires)
    await gather(*(check_zeros(wire) for wire in wires))


async def check_zeros(wire: Wire):
    size = word_bytes(TINY, TINY.spec.bundles[1])
    parts = [bytes(1000 // size * size), random.randbytes(100 // size * size)]
    await wire.hello(0)
    payloads = [words(2, 0, data) for data in parts]
    frames = [request(n, Command.WRITE_WEIGHTS, p) for n, p in enumerate(payloads, 1)]
    await wire.feed(b"".join(frames))
    for n in (1, 2):
        assert await wire.answer() == reply(n, Command.WRITE_WEIGHTS), wire.name
    await wire.silence()
