"""The whole link in front of a fake core: every command, every refusal, exactly-once, damage."""

import random
import zlib

import pytest
from amaranth.back import verilog

from golden.contract import layout
from golden.contract.protocol import (
    ADDRESS_COUNTERS,
    ANSWER_BYTES,
    LABELS,
    PAYLOAD_BYTES,
    PIXELS,
    VERSION,
    Access,
    Command,
    Identity,
    Status,
    registers,
)
from host.link import frame
from hw.top import Top

from .fake_core import FakeCore
from .wire import CLOCK, SMALL, TINY, WINDOW, converse, reply, request


def image(seed: int) -> bytes:
    return random.Random(seed).randbytes(PIXELS)


def words(bundle: int, word: int, rest: bytes) -> bytes:
    return bytes((bundle,)) + word.to_bytes(4, "little") + rest


def write_register(address: int, value: int) -> bytes:
    return bytes((address,)) + value.to_bytes(4, "little")


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


@pytest.mark.parametrize("divisor", [1, 8])
def test_hello_tells_what_the_board_is_over_the_serial_pins(divisor):
    async def talk(wire):
        for sequence in (5, 200):
            identity = Identity.decode(await wire.hello(sequence))
            assert identity == Identity("tiny", TINY.spec.identity, CLOCK, divisor, TINY.lanes, window=WINDOW)
        chooser = random.Random(divisor)
        data = chooser.randbytes(16)
        await wire.call(Command.WRITE_WEIGHTS, words(1, 0, data))
        assert await wire.call(Command.READ_WEIGHTS, words(1, 0, b"\2")) == data

    converse(talk, divisor=divisor)


def test_nothing_is_executed_before_hello():
    async def talk(wire):
        for sequence in (0, 1, 255):
            assert await wire.send(request(sequence, Command.COMMIT)) == reply(sequence, Command.COMMIT, Status.BAD_SEQUENCE)
        await wire.hello(9)
        assert await wire.counters() == {"frames": 5, "bad_sequence": 3}

    converse(talk)


def test_every_register_has_its_reset_value_and_range():
    async def talk(wire):
        await wire.hello()
        for r in registers(SMALL.spec):
            if r.name != "frames":
                expected = r.reset if r.access is not Access.ACTION else 0
                assert await wire.read(r.name) == expected, r.name
        for r in registers(SMALL.spec):
            if r.access is Access.READ:
                await wire.write(r.name, r.reset, Status.BAD_RANGE)
                continue
            for value in (r.low - 1, r.high + 1, 0xFFFFFFFF):
                if 0 <= value < 1 << 32 and not r.low <= value <= r.high:
                    await wire.write(r.name, value, Status.BAD_RANGE)
            if r.access is Access.READ_WRITE:
                assert await wire.read(r.name) == r.reset
                for value in (r.low, r.high):
                    await wire.write(r.name, value)
                    assert await wire.read(r.name) == value

    converse(talk, config=SMALL)


def test_register_reads_check_address_and_count():
    used = {r.address for r in registers(TINY.spec)}
    most = (ANSWER_BYTES - 8) // 4

    async def talk(wire):
        await wire.hello()
        for address in (0x0A, 0x0F, 0x7F, 0xFF):
            assert address not in used
            await wire.call(Command.READ_REGISTER, bytes((address, 1)), Status.BAD_RANGE)
            await wire.call(Command.WRITE_REGISTER, write_register(address, 0), Status.BAD_RANGE)
        for count in (0, 11, most, most + 1, 255):
            assert not await wire.call(Command.READ_REGISTER, bytes((0, count)), Status.BAD_RANGE)
        assert len(await wire.call(Command.READ_REGISTER, bytes((0, 10)))) == 40
        assert (await wire.counters())["bad_range"] == 13

    converse(talk)


@pytest.mark.parametrize(("config", "bundles"), [(TINY, (1, 2)), (SMALL, (1, 2, 4))])
def test_weights_are_written_read_and_digested(config, bundles):
    chooser = random.Random(3)

    async def talk(wire):
        await wire.hello()
        for index in bundles:
            bundle = config.spec.bundles[index - 1]
            size, depth = 2 * config.lanes[index], layout.master_words(config, bundle)
            memory = bytearray(size * depth)
            starts = sorted({0, depth // 2, depth - 3})
            for word in starts:
                data = chooser.randbytes(3 * size)
                memory[word * size : (word + 3) * size] = data
                assert not await wire.call(Command.WRITE_WEIGHTS, words(index, word, data))
            for word in starts:
                data = await wire.call(Command.READ_WEIGHTS, words(index, word, bytes((3,))))
                assert data == memory[word * size : (word + 3) * size]
            most = min((ANSWER_BYTES - 8) // size, depth)
            assert await wire.call(Command.READ_WEIGHTS, words(index, 0, bytes((most,)))) == memory[: most * size]
            assert number(await wire.call(Command.DIGEST, bytes((index,)))) == zlib.crc32(memory)

    converse(talk, config=config)


def test_weight_access_out_of_range_is_refused_and_touches_nothing():
    size, depth = 2 * TINY.lanes[1], layout.master_words(TINY, TINY.spec.bundles[0])
    most = (ANSWER_BYTES - 8) // size
    word = bytes(range(1, size + 1))

    async def talk(wire):
        await wire.hello()
        await wire.call(Command.WRITE_WEIGHTS, words(1, depth - 1, word))
        await wire.call(Command.COMMIT)
        before = await wire.call(Command.DIGEST, b"\1")
        refused = 0
        for bundle, at, count in (
            *((0, 0, 1), (3, 0, 1), (255, 0, 1), (1, 0, 0), (1, depth, 1), (1, depth - 1, 2), (1, 0xFFFFFFFF, 1)),
            *((1, 1 << 16, 1), (1, 0, most + 1), (2, 0, 255)),
        ):
            await wire.call(Command.READ_WEIGHTS, words(bundle, at, bytes((count,))), Status.BAD_RANGE)
            refused += 1
        for bundle, at, data in (
            *((0, 0, word), (3, 0, word), (1, depth, word), (1, depth - 1, 2 * word), (1, 0xFFFFFFFF, word)),
            *((1, 0, word[:-1]), (1, 0, word + word[:1]), (1, 0, word[:2]), (2, 0, bytes(30)), (1, 0, word * (depth + 1))),
        ):
            await wire.call(Command.WRITE_WEIGHTS, words(bundle, at, data), Status.BAD_RANGE)
            refused += 1
        for bundle in (0, 3, 255):
            await wire.call(Command.DIGEST, bytes((bundle,)), Status.BAD_RANGE)
            refused += 1
        assert await wire.call(Command.DIGEST, b"\1") == before
        assert not any(await wire.call(Command.READ_WEIGHTS, words(2, 0, b"\5")))
        assert (await wire.counters())["bad_range"] == refused

    converse(talk)


def test_samples_commit_counters_and_order_rules():
    async def talk(wire):
        beta, total, errors = 5, 0, 0
        await wire.hello()
        await wire.write("beta", beta)
        await wire.write("batch", 2)
        for n, command in enumerate((Command.TRAIN, Command.INFER, Command.TRAIN)):
            pixels = image(n)
            answer = await wire.call(command, bytes((n,)) + pixels)
            prediction = (sum(pixels) + beta) % 8
            errors += prediction != n
            total += sum(pixels) + beta if command is Command.TRAIN else 0
            assert (answer[0], number(answer[1:]), len(answer)) == (prediction, PIXELS + 2, 5)
            assert await wire.read("spikes_1") == total
        assert await wire.read("cycles_static") == 3 * (PIXELS + 2)
        # a full batch, and masters that aren't final
        await wire.call(Command.TRAIN, bytes((0,)) + image(0), Status.BAD_ORDER)
        await wire.call(Command.READ_WEIGHTS, words(1, 0, b"\1"), Status.BAD_ORDER)
        await wire.call(Command.WRITE_WEIGHTS, words(1, 0, bytes(8)), Status.BAD_ORDER)
        await wire.call(Command.DIGEST, b"\1", Status.BAD_ORDER)
        assert await wire.read("spikes_1") == total
        counted = await wire.counters()
        assert (counted["pending"], counted["samples"], counted["errors"], counted["bad_order"]) == (2, 3, errors, 4)
        assert await wire.call(Command.COMMIT) == bytes((2, 0, 1, 0, 0, 0))
        assert await wire.read("spikes_1") == total + 1
        # weights that aren't in force
        await wire.call(Command.WRITE_WEIGHTS, words(1, 0, bytes(8)))
        for command in (Command.TRAIN, Command.INFER):
            await wire.call(command, bytes((0,)) + image(0), Status.BAD_ORDER)
        await wire.call(Command.READ_WEIGHTS, words(1, 0, b"\1"))
        assert await wire.call(Command.COMMIT) == bytes((0, 0, 1, 0, 0, 0))
        await wire.call(Command.TRAIN, bytes((LABELS,)) + image(0), Status.BAD_RANGE)
        await wire.call(Command.TRAIN, bytes((LABELS - 1,)) + image(0))
        await wire.write("clear", 1)
        assert await wire.counters() == {"frames": 1, "pending": 1}
        assert await wire.read("cycles_static") == 0

    converse(talk)


def test_refusals_change_nothing_but_a_counter():
    scratch = next(r.address for r in registers(TINY.spec) if r.name == "scratch")
    body = bytes((VERSION, 2, Command.WRITE_REGISTER)) + write_register(scratch, 77)
    good = frame.encode(body)
    short = PAYLOAD_BYTES[Command.TRAIN]
    cases = [
        (b"\x30\1\2\3\4\0", reply(2, 3, Status.BAD_FRAME), "bad_frame"),
        (b"\x01\0", bytes((VERSION, 0, 0x80, Status.BAD_LENGTH)), "bad_length"),
        (b"\x03\x07\x09\0", bytes((VERSION, 9, 0x80, Status.BAD_LENGTH)), "bad_length"),
        (good[:-2] + bytes((good[-2] ^ 16 or 1, 0)), reply(2, Command.WRITE_REGISTER, Status.BAD_CRC), "bad_crc"),
        (request(2, Command.WRITE_REGISTER, bytes(5), version=VERSION + 1), reply(2, 3, Status.BAD_VERSION), "bad_version"),
        (request(2, 0), reply(2, 0, Status.BAD_COMMAND), "bad_command"),
        (request(2, 10), reply(2, 10, Status.BAD_COMMAND), "bad_command"),
        (request(2, 0x83, bytes(5)), reply(2, 3, Status.BAD_COMMAND), "bad_command"),
        (request(2, Command.WRITE_WEIGHTS, bytes(6)), reply(2, 5, Status.BAD_LENGTH), "bad_length"),
        (request(2, Command.TRAIN, bytes(2000)), reply(2, 7, Status.BAD_LENGTH), "bad_length"),
        (request(2, Command.TRAIN, bytes(short - 1)), reply(2, 7, Status.BAD_LENGTH), "bad_length"),
        (request(2, Command.INFER, bytes(short + 1)), reply(2, 6, Status.BAD_LENGTH), "bad_length"),
        (request(3, Command.COMMIT), reply(3, 8, Status.BAD_SEQUENCE), "bad_sequence"),
        (request(255, Command.COMMIT), reply(255, 8, Status.BAD_SEQUENCE), "bad_sequence"),
        (request(1 - WINDOW, Command.COMMIT), reply(1 - WINDOW, 8, Status.BAD_SEQUENCE), "bad_sequence"),
    ]
    for command, size in PAYLOAD_BYTES.items():
        if command not in (Command.WRITE_WEIGHTS, Command.TRAIN, Command.INFER):
            cases.append((request(2, command, bytes(size + 1)), reply(2, command, Status.BAD_LENGTH), "bad_length"))
            if size:
                cases.append((request(2, command, bytes(size - 1)), reply(2, command, Status.BAD_LENGTH), "bad_length"))

    async def talk(wire):
        counted: dict[str, int] = {}
        await wire.hello()
        await wire.write("scratch", 5)
        stored = reply(1, Command.WRITE_REGISTER)
        for data, answer, counter in cases:
            assert await wire.send(data) == answer
            counted[counter] = counted.get(counter, 0) + 1
            # the answer to the request before is still there, and the next number is still 2
            assert await wire.send(request(1, Command.WRITE_REGISTER, write_register(scratch, 66))) == stored
        found = await wire.counters()
        del found["frames"]
        assert found == counted | {"duplicates": len(cases)}
        assert await wire.read("scratch") == 5

    converse(talk)


def test_repeated_numbers_get_their_answer_again_and_are_executed_once():
    async def talk(wire):
        await wire.hello(254)
        read = bytes((ADDRESS_COUNTERS, 1))
        first = await wire.send(request(255, Command.READ_REGISTER, read))
        second = await wire.send(request(0, Command.TRAIN, bytes((1,)) + image(1)))
        for _ in range(2):
            # another payload, even another command, under an executed number doesn't matter
            assert await wire.send(request(0, Command.TRAIN, bytes((2,)) + image(2))) == second
            assert await wire.send(request(255, Command.COMMIT)) == first
        third = await wire.send(request(1, Command.WRITE_REGISTER, write_register(0, 1 << 31)))
        assert await wire.send(request(1, Command.COMMIT)) == third
        assert await wire.send(request(0, Command.COMMIT)) == second
        assert await wire.send(request(255, Command.COMMIT)) == reply(255, Command.COMMIT, Status.BAD_SEQUENCE)
        # so is a refusal that counts as executed
        refusal = reply(2, Command.TRAIN, Status.BAD_RANGE)
        for _ in range(2):
            assert await wire.send(request(2, Command.TRAIN, bytes((10,)) + image(0))) == refusal
        wire.sequence = 3
        counted = await wire.counters()
        assert (counted["bad_range"], counted["samples"], counted["pending"]) == (1, 1, 1)
        # HELLO forgets all answers but its own number
        await wire.hello(7)
        for sequence in (3, 2, 6):
            assert await wire.send(request(sequence, Command.COMMIT)) == reply(sequence, Command.COMMIT, Status.BAD_SEQUENCE)
        assert (await wire.send(request(7, Command.COMMIT)))[2:8] == bytes((0x81, 0)) + b"NDGE"
        await wire.hello(7)
        assert await wire.read("pending") == 1

    converse(talk)


def test_window_of_images_in_flight_and_overrun():
    async def talk(wire):
        await wire.hello()
        images = [image(n) for n in range(3)]
        await wire.feed(request(1, Command.TRAIN, bytes((0,)) + images[0]) + request(2, Command.INFER, bytes((1,)) + images[1]))
        beta = TINY.spec.beta(TINY.spec.learning.beta)
        for sequence, command in ((1, Command.TRAIN), (2, Command.INFER)):
            answer = await wire.answer()
            prediction = (sum(images[sequence - 1]) + beta) % 8
            assert answer == reply(sequence, command, Status.OK, bytes((prediction,)) + (PIXELS + 2).to_bytes(4, "little"))
        # while the core works, one more frame finds room
        short = [request(n, Command.WRITE_REGISTER, write_register(0, n)) for n in (4, 5, 6)]
        await wire.feed(request(3, Command.INFER, bytes((2,)) + images[2]) + b"".join(short))
        assert (await wire.answer())[1] == 3
        assert await wire.answer() == reply(4, Command.WRITE_REGISTER)
        wire.sequence = 5
        assert await wire.read("scratch") == 4
        assert (await wire.counters())["overruns"] == 2

    converse(talk)


@pytest.mark.parametrize("divisor", [1, 3])
def test_no_byte_is_lost_behind_frames_of_zeros(divisor):
    """A byte that stands for 32 zeros keeps the deframer busy for longer than the line needs for the next one."""
    size = 2 * TINY.lanes[2]
    data = bytes(1000 // size * size), random.Random(1).randbytes(100 // size * size)

    async def talk(wire):
        await wire.hello()
        await wire.feed(b"".join(request(n, Command.WRITE_WEIGHTS, words(2, 0, part)) for n, part in enumerate(data, 1)))
        for n in (1, 2):
            assert await wire.answer() == reply(n, Command.WRITE_WEIGHTS)

    converse(talk, divisor=divisor)


def damaged(healthy: bytes):
    """The stream with one byte deleted, inserted or changed, at every position."""
    chooser = random.Random(11)
    for at in range(len(healthy)):
        yield healthy[:at] + healthy[at + 1 :]
        yield healthy[:at] + bytes((chooser.randrange(256),)) + healthy[at:]
        yield healthy[:at] + bytes((healthy[at] ^ 1 << chooser.randrange(8),)) + healthy[at + 1 :]
        yield healthy[:at] + b"\0" + healthy[at:]


def test_no_single_damage_wedges_the_board_or_lets_a_wrong_value_in():
    def stream(sequence, value):
        write = request(sequence, Command.WRITE_REGISTER, write_register(0, value))
        return write + request(sequence + 1, Command.READ_REGISTER, bytes((0, 1)))

    count = len(list(damaged(stream(1, 0x1234))))

    async def talk(wire):
        refused, scratch = 0, 0
        await wire.hello()
        for n in range(count):
            first, value = wire.sequence, 0x100 + n
            # the zero byte ends whatever the damage left open
            await wire.feed(list(damaged(stream(first, value)))[n] + b"\0")
            await wire.ctx.tick().repeat(100)
            await wire.feed(request(first + 50, Command.HELLO))
            answers = [await wire.answer()]
            while answers[-1][:4] != reply(first + 50, Command.HELLO):
                answers.append(await wire.answer())
            assert len(answers) <= 4
            refused += sum(answer[3] != Status.OK for answer in answers)
            # damage to the first frame leaves the old value; there is no third one
            if reply(first, Command.WRITE_REGISTER) in answers:
                scratch = value
            wire.sequence = (first + 51) % 256
            assert await wire.read("scratch") == scratch
        assert scratch
        counted = await wire.counters()
        assert sum(counted[name] for name in counted if name.startswith("bad_")) == refused > 0
        assert set(counted) <= {"frames", "overruns", "bad_frame", "bad_crc", "bad_length", "bad_sequence"}

    converse(talk)


def test_damaged_images_are_refused_and_the_next_request_is_served():
    healthy = request(1, Command.TRAIN, bytes((3,)) + image(4))
    chooser = random.Random(13)

    async def talk(wire):
        await wire.hello()
        for at in sorted(chooser.sample(range(len(healthy)), 3)):
            await wire.feed(healthy[:at] + healthy[at + 1 :] + b"\0")
            status = (await wire.answer())[3]
            assert status in (Status.BAD_FRAME, Status.BAD_CRC, Status.BAD_LENGTH)
            wire.answers.clear()
            assert await wire.call(Command.WRITE_REGISTER, write_register(0, at)) == b""
        counted = await wire.counters()
        assert "samples" not in counted

    converse(talk)


@pytest.mark.parametrize("divisor", [None, 1, 8])
def test_random_garbage_leaves_a_board_that_answers(divisor):
    chooser = random.Random(17)
    garbage = bytes(chooser.choice((0, 1, 2, 3, 5, 7, chooser.randrange(256))) for _ in range(1600 // (divisor or 1)))

    async def talk(wire):
        await wire.hello()
        await wire.write("scratch", 0xA5A5)
        await wire.feed(garbage + b"\0")
        await wire.ctx.tick().repeat(1000 * (divisor or 1))
        assert wire.answers
        assert all(answer[3] != Status.OK for answer in wire.answers)
        wire.answers.clear()
        assert await wire.read("scratch") == 0xA5A5
        await wire.hello(99)
        assert await wire.read("scratch") == 0xA5A5

    converse(talk, divisor=divisor)


@pytest.mark.parametrize("config", [TINY, SMALL])
def test_verilog_comes_without_warnings(config, monkeypatch):
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "builtin")
    top = Top(config, clock_hz=CLOCK, divisor=8, core=FakeCore(config))
    text = verilog.convert(top, ports=[top.rx, top.tx, top.busy, top.error])
    assert "module top(" in text
