# amaranth: UnusedElaboratable=no
"""READ_WEIGHTS, WRITE_WEIGHTS and DIGEST on a memory of the longest latency: bytes, refusals, cycles."""

import random
import zlib
from collections import defaultdict

import cocotb
import numpy as np

from nudge.golden.contract import layout
from nudge.golden.contract.protocol import CRC_BYTES, REQUEST_BYTES, Command, Status
from nudge.golden.model import weight_image
from nudge.hw.core.interface import LANE_LATENCY, READ_LATENCY
from nudge.hw.link.weight_access import LANE_BYTES, WEIGHTS_AT, WeightAccess, max_words, word_bytes
from sim.harness.networks import config_of
from sim.harness.requester import Requester, watch
from sim.harness.streams import Port, start
from sim.harness.units import each

UNITS = {
    "access_dense": WeightAccess(config_of((2, 4), (2, 4), dense=True, window_log2=3, decay_shift=1)),
    "access_conv": WeightAccess(config_of((3, 8), (1, 8), dense=False, window_log2=3, decay_shift=1)),
    "access_means": WeightAccess(
        config_of((3, 4), (1, 2), dense=True, window_log2=3, decay_shift=1, centred=True)
    ),
}

#: Largest number of weight bytes in a request.
MOST_BYTES = REQUEST_BYTES - WEIGHTS_AT - CRC_BYTES


def serve_masters(dut, name, memories: list[list[bytes]]):
    """Play the core's masters; `read_data` has the longest latency allowed, and is random before."""
    port = Port(dut, name)

    async def serve():
        before, age, gathered = None, 0, b""
        lanes: list[int] = []
        while True:
            await port.edge
            at, lane = (int(port.bundle.value), int(port.address.value)), int(port.lane.value)
            age, before = age + 1 if at == before else 0, at
            memory, address = memories[at[0]], at[1]
            if port.write.value:
                assert len(gathered) == LANE_BYTES * lane, f"{name}: lane {lane} after {len(gathered)} bytes"
                gathered += int(port.write_data.value).to_bytes(LANE_BYTES, "little")
                if len(gathered) == len(memory[address]):
                    memory[address], gathered = gathered, b""
            lanes.append(lane)
            right = age >= READ_LATENCY - 1 and address < len(memory)
            seen = lanes[-LANE_LATENCY] if len(lanes) >= LANE_LATENCY else 0
            lane_bytes = memory[address][LANE_BYTES * seen :][:LANE_BYTES] if right else b""
            data = lane_bytes if len(lane_bytes) == LANE_BYTES else random.randbytes(LANE_BYTES)
            port.read_data.value = int.from_bytes(data, "little")

    cocotb.start_soon(serve())


def with_means(config, bundle, word: int, data: bytes) -> bytes:
    """Return `data` with legal running means in the words from `word` on, or with one lane out of range."""
    rows = np.frombuffer(data, "<u2").reshape(-1, config.lanes[bundle.index]).copy()
    first = layout.master_words(config, bundle) - word
    wrong = random.choice((None, *range(max(first, 0), len(rows))))
    for at in range(max(first, 0), len(rows)):
        most = (1 << layout.mean_halves(config)[(at - first) % 2]) - 1
        rows[at] = [random.choice((0, most, random.randint(0, most))) for _ in rows[at]]
        if at == wrong and most < 0xFFFF:
            rows[at, random.randrange(len(rows[at]))] = random.choice((most + 1, 0x8000, 0xFFFF))
    return rows.tobytes()


@cocotb.test()
async def bytes_equal_the_memory(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, port = unit.config, Port(dut, name)
    bundles = {bundle.index: bundle for bundle in config.spec.bundles}
    sizes = {index: word_bytes(config, bundle) for index, bundle in bundles.items()}
    memories = [
        [random.randbytes(sizes[n]) for _ in range(layout.image_words(config, b))] for n, b in bundles.items()
    ]
    serve_masters(dut, name, memories)
    requester, writes = Requester(dut, name, buffered=True), watch(dut, f"{name}__write", f"{name}__written")
    seen, times, means = set(), defaultdict[tuple[Command, int], dict[int, int]](dict), [0, 0]
    for _ in range(400 if unit.checks else 200):
        pending = random.random() < 0.1
        port.pending.value = int(pending)
        command = random.choice(
            (Command.READ_WEIGHTS, Command.WRITE_WEIGHTS, Command.WRITE_WEIGHTS, Command.DIGEST)
        )
        index = random.choice([*bundles, *bundles, *bundles, *bundles, 0, len(bundles) + 1, 255])
        memory, size = (memories[index - 1], sizes[index]) if index in bundles else ([b""], 2)
        depth = len(memory)
        most_read = max_words(config, bundles[index]) if index in bundles else 0
        count, word = draw_words(command, depth, size, most_read)
        legal = index in bundles and count > 0 and word + count <= depth

        block, payload = slice(word, word + count), bytes((index,)) + word.to_bytes(4, "little")
        expected, answer, wrote = list(memory), b"", 0
        match command:
            case Command.READ_WEIGHTS:
                payload += bytes((count,))
                legal = legal and count <= most_read
                answer = b"".join(memory[block])
            case Command.WRITE_WEIGHTS:
                data = random.randbytes(size * count)
                if unit.checks and index in bundles and legal:
                    data = with_means(config, bundles[index], word, data)
                if random.random() < 0.2:
                    data = data + b"\0" if len(data) < MOST_BYTES else data[:-1]
                legal = legal and len(data) == size * count
                if legal:
                    rows = np.frombuffer(data, weight_image.MASTER).reshape(count, -1)
                    legal = weight_image.means_fit(config, bundles[index], word, rows)
                    means[legal] += word + count > layout.master_words(config, bundles[index])
                payload += data
                if legal and not pending:
                    expected[block] = [data[at : at + size] for at in range(0, len(data), size)]
                    wrote = count
            case Command.DIGEST:
                count, legal, payload = depth, index in bundles, payload[:1]
                answer = zlib.crc32(b"".join(memory)).to_bytes(4, "little")
        status = Status.BAD_ORDER if pending else Status.OK if legal else Status.BAD_RANGE

        where, known = f"{name}, {command.name}, bundle {index}, {count} words at {word}", len(writes)
        got, data, cycles = await requester.execute(command, payload)
        assert got == status, f"{where}: {got.name}, expected {status.name}"
        assert status is not Status.OK or data == answer, (
            f"{where}: got {data.hex()}, expected {answer.hex()}"
        )
        await port.edge
        lanes = [(1, 0)] * (size // LANE_BYTES - 1) + [(1, 1)]
        assert writes[known:] == lanes * wrote, (
            f"{where}: {len(writes) - known} writes, expected {wrote} words"
        )
        assert memory == expected, f"{where}: the memory is another"
        seen.add((command, status))
        if status is Status.OK:
            times[command, index][count] = cycles

    assert len(seen) == 9, f"{name}: only {seen} happened"
    assert min(means) > 3 or not unit.checks, (
        f"{name}: of writes with running means {means} were wrong and right"
    )
    check_times(name, unit, sizes, times)


def draw_words(command: Command, depth: int, size: int, most_read: int) -> tuple[int, int]:
    """Draw a number of words and the first word, often at or beyond a bound.

    depth, size: words of the memory, and bytes of a word. most_read: largest number of words that a
    READ_WEIGHTS may ask for; 0 if there is no such bundle.
    """
    count = random.choice((1, 1, 2, 3, random.randint(1, 255)))
    if command is Command.READ_WEIGHTS and most_read:
        count = random.choice((count, 0, most_read, most_read + 1, 255))
    if command is Command.WRITE_WEIGHTS:
        count = min(count, MOST_BYTES // size)
    word = random.choice(
        (0, depth - count, depth - count + 1, depth - 1, random.randrange(depth), 1 << 16, (1 << 32) - 1)
    )
    return count, max(word, 0)


def check_times(name, unit, sizes: dict[int, int], times) -> None:
    """Check that each word of a request takes the same number of cycles, and that few are added to these.

    sizes: bytes of a word by bundle. times: cycles by command and bundle, and by number of words.
    """
    for (command, index), measured in times.items():
        size, fewest = sizes[index], min(measured)
        rounds = 2 if unit.checks else 1
        each_word = rounds * (3 * size + 1) if command is Command.WRITE_WEIGHTS else size + READ_LATENCY + 1
        # cycles beyond those of the words: equal for DIGEST and READ_WEIGHTS, except for the digest's four
        # bytes and two states
        base = measured[fewest] - each_word * fewest
        for words, took in measured.items():
            assert took == base + each_word * words, (
                f"{name}, {command.name}, bundle {index}: {words} words in {took} cycles"
            )
        assert 0 < base < 13, (
            f"{name}, {command.name}, bundle {index}: {fewest} words in {measured[fewest]} cycles"
        )
