"""Refusals on a fake core: each is answered with its status, and changes nothing but a counter."""

import random

import cocotb

from nudge.golden.contract import layout
from nudge.golden.contract.protocol import (
    ANSWER,
    COUNTED,
    LABELS,
    PAYLOAD_BYTES,
    PIXELS,
    REQUEST_BYTES,
    STORED_PAYLOAD_BYTES,
    VERSION,
    Command,
    Status,
)
from nudge.hw.link.weight_access import max_words, word_bytes
from sim.harness.fake_core import BETA, FAKE_BOARDS, TINY, WINDOW, byte_wire
from sim.harness.wire import Wire, damaged, power_up, reply, request, words

TOP = FAKE_BOARDS

#: Bytes per word of the first bundle's masters, and the number of words.
WORD = word_bytes(TINY, TINY.spec.bundles[0])
DEPTH = layout.master_words(TINY, TINY.spec.bundles[0])


def refused_frames(wire: Wire, n: int) -> list[tuple[bytes, bytes, Status]]:
    """Return frames that must not be executed, each with the body and the status of its answer.

    n: the next sequence number, after at least `WINDOW` executed requests.
    """
    payload = wire.setting("scratch", 77)
    good = request(n, Command.WRITE_REGISTER, payload)
    cases = [
        (b"\x30\1\2\3\4\0", reply(2, 3, Status.BAD_FRAME), Status.BAD_FRAME),
        (b"\1\0", reply(0, 0, Status.BAD_LENGTH), Status.BAD_LENGTH),
        (b"\3\7\x09\0", reply(9, 0, Status.BAD_LENGTH), Status.BAD_LENGTH),
    ]

    def refused(data: bytes, sequence: int, command: int, status: Status):
        cases.append((data, reply(sequence, command, status), status))

    refused(damaged(good), n, Command.WRITE_REGISTER, Status.BAD_CRC)
    for version in (0, VERSION + 1):
        data = request(n, Command.WRITE_REGISTER, payload, version=version)
        refused(data, n, Command.WRITE_REGISTER, Status.BAD_VERSION)
    for command in (0, max(Command) + 1, 0x55, Command.COMMIT | ANSWER):
        refused(request(n, command), n, command, Status.BAD_COMMAND)
    for command, size in STORED_PAYLOAD_BYTES.items():  # a board without memory
        refused(request(n, command, bytes(size)), n, command, Status.BAD_COMMAND)
    refused(request(n, 0x83, payload), n, 0x83, Status.BAD_COMMAND)
    for command, size in PAYLOAD_BYTES.items():
        sizes = [size - 1] if size else []
        sizes += [2 * REQUEST_BYTES] if command is Command.WRITE_WEIGHTS else [size + 1]
        sizes += [2 * REQUEST_BYTES] if command is Command.TRAIN else []
        for length in sizes:
            refused(request(n, command, bytes(length)), n, command, Status.BAD_LENGTH)
    for sequence in (n + 1, n + 100, n - 1 - WINDOW):
        data = request(sequence, Command.WRITE_REGISTER, payload)
        refused(data, sequence, Command.WRITE_REGISTER, Status.BAD_SEQUENCE)
    return cases


@cocotb.test()
async def a_frame_that_is_refused_changes_nothing_but_a_counter(dut):
    wire, counted = byte_wire(dut), dict[str, int]()
    await power_up(dut, wire)
    await wire.hello(1)
    assert not wire.port("error").value
    await wire.write("scratch", 5)
    last = (wire.sequence - 1) % 256
    cases = refused_frames(wire, wire.sequence)
    for data, answer, status in cases:
        got = await wire.send(data)
        assert got == answer, f"{status.name}: got {got.hex()}, expected {answer.hex()}"
        counted[status.name.lower()] = counted.get(status.name.lower(), 0) + 1
        # the answer to the previous request is still stored
        again = request(last, Command.WRITE_REGISTER, wire.setting("scratch", 66))
        assert await wire.send(again) == reply(last, Command.WRITE_REGISTER), status.name
    assert wire.port("error").value
    executed_first = set(COUNTED) - {Status.BAD_ORDER, Status.BAD_RANGE}
    assert {status for _, _, status in cases} == executed_first
    assert await wire.counters() == counted | {"duplicates": len(cases)}
    assert await wire.read("scratch", "spikes_1") == [5, 0]
    await wire.write("clear", 1)
    assert not wire.port("error").value
    assert await wire.counters() == {}
    await wire.silence()


def out_of_range(wire: Wire) -> list[tuple[Command, bytes]]:
    """Return requests that are BAD_RANGE in any state."""
    word, most = bytes(WORD), max_words(TINY, TINY.spec.bundles[0])
    R, W = Command.READ_WEIGHTS, Command.WRITE_WEIGHTS
    reads = [(0, 0, 1), (3, 0, 1), (255, 0, 1), (1, 0, 0), (1, DEPTH, 1), (1, DEPTH - 1, 2)]
    reads += [(1, 0xFFFFFFFF, 1), (1, 1 << 16, 1), (1, 0, most + 1), (2, 0, 255)]
    writes = [(0, 0, word), (3, 0, word), (1, DEPTH, word), (1, DEPTH - 1, 2 * word)]
    writes += [(1, 0xFFFFFFFF, word), (1, 1 << 31, word), (1, 0, word[:-1]), (1, 0, word + b"\0")]
    writes += [(1, 0, word[:2]), (2, 0, bytes(30)), (1, 0, word * (DEPTH + 1))]
    registers = [(0, 0), (0, 11), (0, 255), *((at, 1) for at in (0x0A, 0x0F, 0x7F, 0xFF))]
    free_steps = wire.setting("free_steps", TINY.spec.schedule.window - 1)
    return [
        *((R, words(bundle, at, bytes((count,)))) for bundle, at, count in reads),
        *((W, words(bundle, at, data)) for bundle, at, data in writes),
        *((Command.DIGEST, bytes((bundle,))) for bundle in (0, 3, 7, 255)),
        *((Command.READ_REGISTER, bytes(block)) for block in registers),
        *((Command.WRITE_REGISTER, bytes((at, 0, 0, 0, 0))) for at in (0x0A, 0x7F, 0xFF)),
        (Command.WRITE_REGISTER, free_steps),
        (Command.WRITE_REGISTER, wire.setting("pending", 0)),
    ]


@cocotb.test()
async def a_request_that_fails_changes_nothing_but_a_counter(dut):
    wire = byte_wire(dut)
    sample, word = bytes((3,)) + random.randbytes(PIXELS), bytes(range(1, WORD + 1))
    bad_label = bytes((LABELS,)) + sample[1:]
    await power_up(dut, wire)
    await wire.hello(0)
    await wire.write("scratch", 0x5EED)
    await wire.write("batch", 1)
    await wire.call(Command.WRITE_WEIGHTS, words(1, DEPTH - 1, word))

    async def expect(status: Status, *requests: tuple[Command, bytes]):
        state, counted = await wire.state(), await wire.counters()
        for command, payload in requests:
            await wire.call(command, payload, status)
        name = status.name.lower()
        counted[name] = counted.get(name, 0) + len(requests)
        assert await wire.counters() == counted
        assert await wire.state() == state, f"{status.name}: the state is another"

    assert not wire.port("error").value
    await expect(Status.BAD_RANGE, *out_of_range(wire))
    assert wire.port("error").value
    # samples before the COMMIT of written weights; BAD_ORDER has precedence over a wrong label
    before = await wire.read("spikes_1")
    samples = [(Command.TRAIN, sample), (Command.INFER, sample), (Command.TRAIN, bad_label)]
    await expect(Status.BAD_ORDER, *samples)
    await wire.call(Command.COMMIT)
    await expect(Status.BAD_RANGE, (Command.TRAIN, bad_label), (Command.INFER, bad_label))
    trained = await wire.call(Command.TRAIN, sample)
    # the batch is full, and masters can't be accessed before a COMMIT
    total = before[0] + 1 + sum(sample[1:]) + BETA
    weights = [(Command.READ_WEIGHTS, words(1, 0, b"\1")), (Command.DIGEST, b"\1")]
    weights += [(Command.WRITE_WEIGHTS, words(1, 0, bytes(WORD)))]
    counted = await wire.counters()
    for command, payload in [(Command.TRAIN, sample), *weights]:
        await wire.call(command, payload, Status.BAD_ORDER)
    assert await wire.counters() == counted | {"bad_order": counted["bad_order"] + 4}
    # INFER needs no COMMIT
    assert await wire.call(Command.INFER, sample) == trained
    assert await wire.read("spikes_1", "pending") == [total, 1]
    assert (await wire.call(Command.COMMIT))[:2] == b"\1\0"
    last = await wire.call(Command.READ_WEIGHTS, words(1, DEPTH - 1, b"\1"))
    assert last == word
    await wire.silence()
