"""Damage on the line, with a fake core: no wrong value gets in, and the board answers again."""

import random

import cocotb
from cocotb.triggers import gather

from nudge.golden.contract.protocol import PIXELS, Command, Status
from sim.harness.fake_core import FAKE_BOARDS, byte_wire, prediction, serial_wires
from sim.harness.wire import SerialWire, Wire, power_up, reply, request

TOP = FAKE_BOARDS


def damages(healthy: bytes):
    """Yield the stream with a byte deleted, inserted or changed, or a zero inserted, for every position."""
    for at in range(len(healthy)):
        yield healthy[:at] + healthy[at + 1 :]
        yield healthy[:at] + bytes((random.randrange(256),)) + healthy[at:]
        yield healthy[:at] + bytes((healthy[at] ^ 1 << random.randrange(8),)) + healthy[at + 1 :]
        yield healthy[:at] + b"\0" + healthy[at:]


@cocotb.test()
async def no_single_damage_wedges_the_board_or_lets_a_wrong_value_in(dut):
    wire = byte_wire(dut)
    scratch = bytes((wire.registers["scratch"].address, 1))

    def stream(sequence: int, value: int) -> bytes:
        write = request(sequence, Command.WRITE_REGISTER, wire.setting("scratch", value))
        return write + request(sequence + 1, Command.READ_REGISTER, scratch)

    await power_up(dut, wire)
    await wire.hello(0)
    refused, value = 0, 0
    for n in range(len(list(damages(stream(1, 0x1234))))):
        first, new = wire.sequence, 0x100 + n
        data = list(damages(stream(first, new)))[n]
        # the zero byte ends a frame that the damage left open
        await wire.feed(data + b"\0")
        answers = await wire.drain(400)
        where = f"damage {n}, {data.hex()}: {[answer.hex() for answer in answers]}"
        assert len(answers) <= 3, where
        refused += sum(answer[3] != Status.OK for answer in answers)
        # the register has the new value if the write was executed, otherwise the old one
        if reply(first, Command.WRITE_REGISTER) in answers:
            value = new
        await wire.hello(first + 50)
        assert await wire.read("scratch") == [value], where
    assert value
    counted = await wire.counters()
    assert sum(counted[name] for name in counted if name.startswith("bad_")) == refused > 0
    kinds = {"bad_frame", "bad_crc", "bad_length", "bad_sequence"}
    assert kinds <= set(counted) <= kinds | {"overruns"}
    await wire.silence()


@cocotb.test()
async def a_damaged_image_is_refused_and_the_next_request_is_served(dut):
    wire, pixels = byte_wire(dut), random.randbytes(PIXELS)
    healthy = request(1, Command.TRAIN, bytes((3,)) + pixels)
    await power_up(dut, wire)
    await wire.hello(0)
    for at in sorted(random.sample(range(len(healthy) - 1), 10)):
        await wire.feed(healthy[:at] + healthy[at + 1 :] + b"\0")
        (answer,) = await wire.drain(100)
        assert answer[3] in (Status.BAD_FRAME, Status.BAD_CRC, Status.BAD_LENGTH), answer.hex()
        # the refused request changed nothing
        await wire.hello(0)
        assert await wire.read("samples", "spikes_1") == [0, 0]
    await wire.hello(0)
    answer = await wire.send(healthy)
    assert answer == reply(1, Command.TRAIN, payload=prediction(pixels))
    await wire.silence()


@cocotb.test()
async def garbage_leaves_a_board_that_answers(dut):
    wires = [byte_wire(dut), *serial_wires(dut, 1, 8)]
    await power_up(dut, *wires)
    await gather(*(check_garbage(wire) for wire in wires))


async def check_garbage(wire: Wire):
    divisor = wire.divisor if isinstance(wire, SerialWire) else 1
    alphabet = (0, 1, 2, 3, 5, 7, random.randrange(256))
    garbage = bytes(random.choice(alphabet) for _ in range(1600 // divisor))
    await wire.hello(0)
    await wire.write("scratch", 0xA5A5)
    await wire.feed(garbage + b"\0")
    answers = await wire.drain(1000 * divisor)
    assert answers, wire.name
    assert all(answer[3] != Status.OK for answer in answers), wire.name
    assert await wire.read("scratch") == [0xA5A5], wire.name
    await wire.hello(99)
    assert await wire.read("scratch") == [0xA5A5], wire.name
    await wire.silence()


@cocotb.test()
async def a_byte_without_its_stop_bit_is_counted(dut):
    (wire,) = serial_wires(dut, 8)
    await power_up(dut, wire)
    await wire.hello(0)
    assert not wire.port("error").value
    await wire.shift_out((0, *[1, 0] * 4, 0))
    await wire.shift_out([1] * 10)
    assert wire.port("error").value
    assert await wire.counters() == {"framing": 1}
    await wire.write("clear", 1)
    assert not wire.port("error").value
    await wire.silence(8000)
