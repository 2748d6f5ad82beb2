# amaranth: UnusedElaboratable=no
"""A whole board from pin to pin, as a host meets it: `tiny` with its real core, at one cycle a bit."""

import zlib

import cocotb
import torch
from cocotb.triggers import FallingEdge, RisingEdge

from boards.virtual import VIRTUAL
from golden.contract import layout
from golden.contract.config import configuration
from golden.contract.presets import preset
from golden.contract.protocol import (
    ADDRESS_COUNTERS,
    ADDRESS_SPIKES,
    ANSWER,
    ANSWER_HEADER,
    CRC_BYTES,
    LABELS,
    PIXELS,
    REQUEST_BYTES,
    VERSION,
    WINDOW,
    Access,
    Command,
    Identity,
    Status,
    registers,
)
from golden.model import fixed
from host.link import frame
from hw.link.weight_access import WEIGHTS_AT, max_words, word_bytes
from hw.top import Top
from sim.harness.core_bench import digits, first_difference
from sim.harness.streams import start
from sim.harness.testbench import CLOCK

CONFIG = configuration(preset("tiny"))
SPEC = CONFIG.spec
TOP = Top(CONFIG, clock_hz=VIRTUAL.clock_hz, divisor=1)

REGISTERS = {r.name: r for r in registers(SPEC)}

#: Cycles without an answer after which the board counts as hung: a sample takes about 20,000.
PATIENCE = 200_000


def request(sequence: int, command: int, payload: bytes = b"", *, version: int = VERSION) -> bytes:
    """A frame on the wire."""
    return frame.encode(bytes((version, sequence % 256, command)) + payload)


def reply(sequence: int, command: int, status: Status = Status.OK, payload: bytes = b"") -> bytes:
    """The body of an answer."""
    return bytes((VERSION, sequence % 256, (command | ANSWER) % 256, status)) + payload


def write_register(name: str, value: int) -> bytes:
    return bytes((REGISTERS[name].address,)) + value.to_bytes(4, "little")


def words(bundle: int, word: int, rest: bytes) -> bytes:
    return bytes((bundle,)) + word.to_bytes(4, "little") + rest


class Host:
    """The other end of the serial line."""

    def __init__(self, dut):
        self.dut, self.edge = dut, RisingEdge(getattr(dut, CLOCK))
        self.splitter, self.answers, self.sequence = frame.Splitter(), [], 0

    async def begin(self) -> Identity:
        """Reset, and HELLO; what it tells."""
        cocotb.start_soon(self._rest())
        # long enough for the receiver's synchroniser, which has no reset
        await start(self.dut, cycles=5)
        cocotb.start_soon(self._listen())
        return Identity.decode(await self.hello(7))

    async def _rest(self):
        """An idle line is high; `streams.start` makes it low."""
        await self.edge
        self.dut.rx.value = 1

    async def _listen(self):
        """Bytes start with a falling edge; each bit is one cycle."""
        tx, falls = self.dut.tx, FallingEdge(self.dut.tx)
        while True:
            await falls
            byte = 0
            await self.edge
            for n in range(8):
                await self.edge
                byte |= int(tx.value) << n
            await self.edge
            assert tx.value, "the stop bit is low"
            self.answers += self.splitter.feed(bytes((byte,)))
            assert not self.splitter.damaged, "the board sent a damaged frame"

    async def feed(self, data: bytes):
        """Bytes back to back."""
        rx, edge = self.dut.rx, self.edge
        for byte in data:
            for bit in (0, *(byte >> n & 1 for n in range(8)), 1):
                rx.value = bit
                await edge

    async def answer(self) -> bytes:
        for _ in range(PATIENCE):
            if self.answers:
                return self.answers.pop(0)
            await self.edge
        raise AssertionError(f"no answer for {PATIENCE} cycles")

    async def send(self, data: bytes) -> bytes:
        """The answer to a frame."""
        await self.feed(data)
        return await self.answer()

    async def hello(self, sequence: int) -> bytes:
        body = await self.send(b"\0" + request(sequence, Command.HELLO))
        assert body[:ANSWER_HEADER] == reply(sequence, Command.HELLO)
        self.sequence = (sequence + 1) % 256
        return body[ANSWER_HEADER:]

    async def call(self, command: Command, payload: bytes = b"") -> bytes:
        """The payload that answers the next request."""
        body = await self.send(request(self.sequence, command, payload))
        assert body[:ANSWER_HEADER] == reply(self.sequence, command), f"{command.name}: {body[:ANSWER_HEADER].hex()}"
        self.sequence = (self.sequence + 1) % 256
        return body[ANSWER_HEADER:]

    async def read(self, *names: str) -> list[int]:
        """Values of registers."""
        values = []
        for name in names:
            data = await self.call(Command.READ_REGISTER, bytes((REGISTERS[name].address, 1)))
            values.append(int.from_bytes(data, "little"))
        return values

    async def counters(self) -> dict[str, int]:
        """Those that the link keeps, but for the number of frames."""
        names = [name for name, r in REGISTERS.items() if ADDRESS_COUNTERS <= r.address < ADDRESS_SPIKES]
        data = await self.call(Command.READ_REGISTER, bytes((ADDRESS_COUNTERS, len(names))))
        values = {name: int.from_bytes(data[4 * n : 4 * n + 4], "little") for n, name in enumerate(names)}
        del values["frames"]
        return values

    async def state(self) -> list[int]:
        """Digests of all weights, and what can be set."""
        digests = [int.from_bytes(await self.call(Command.DIGEST, bytes((b.index,))), "little") for b in SPEC.bundles]
        return digests + await self.read(*(name for name, r in REGISTERS.items() if r.access is Access.READ_WRITE))


def images_of(parameters: fixed.Parameters) -> list[bytes]:
    """Master memories as bytes."""
    packed = (layout.pack(CONFIG, b, w.numpy(), c.numpy()) for b, w, c in zip(SPEC.bundles, *parameters, strict=True))
    return [image.astype("<i2").tobytes() for image in packed]


async def load(host: Host, memories: list[bytes]):
    """Writes all masters, in frames as long as they may be, two in flight."""
    frames = []
    for bundle, memory in zip(SPEC.bundles, memories, strict=True):
        size = word_bytes(CONFIG, bundle)
        most = (REQUEST_BYTES - WEIGHTS_AT - CRC_BYTES) // size
        starts = range(0, len(memory) // size, most)
        frames += [words(bundle.index, word, memory[word * size : (word + most) * size]) for word in starts]
    for n, payload in enumerate(frames):
        await host.feed(request(host.sequence + n, Command.WRITE_WEIGHTS, payload))
        if n >= WINDOW - 1:
            assert await host.answer() == reply(host.sequence + n - (WINDOW - 1), Command.WRITE_WEIGHTS)
    for n in range(max(len(frames) - (WINDOW - 1), 0), len(frames)):
        assert await host.answer() == reply(host.sequence + n, Command.WRITE_WEIGHTS)
    host.sequence = (host.sequence + len(frames)) % 256


async def check_weights(host: Host, memories: list[bytes]):
    """Digests of all, and the words themselves: all of the first bundle, beginning and end of the others."""
    for bundle, memory in zip(SPEC.bundles, memories, strict=True):
        digest = int.from_bytes(await host.call(Command.DIGEST, bytes((bundle.index,))), "little")
        assert digest == zlib.crc32(memory), f"bundle {bundle.index}: digest {digest:#x}, golden has {zlib.crc32(memory):#x}"
        size, most = word_bytes(CONFIG, bundle), max_words(CONFIG, bundle)
        depth = len(memory) // size
        starts = range(0, depth, most) if bundle.index == 1 else (0, depth - most)
        for word in starts:
            count = min(most, depth - word)
            got = await host.call(Command.READ_WEIGHTS, words(bundle.index, word, bytes((count,))))
            assert got == memory[word * size : (word + count) * size], f"bundle {bundle.index}, words from {word}"


@cocotb.test()
async def trains_bit_for_bit(dut):
    host = Host(dut)
    identity = await host.begin()
    assert identity == Identity(SPEC.name, SPEC.identity, VIRTUAL.clock_hz, 1, CONFIG.lanes)
    assert identity == TOP.identity

    window = SPEC.schedule.window
    settings = fixed.Settings.of(SPEC, free=window, nudged=window)
    values = {"free_steps": window, "nudged_steps": window, "beta": settings.beta}
    for bundle in SPEC.bundles:
        values[f"weight_rate_{bundle.index}"] = settings.weight_rates[bundle.index - 1]
        values[f"bias_rate_{bundle.index}"] = settings.bias_rates[bundle.index - 1]
    for name, value in values.items():
        assert not await host.call(Command.WRITE_REGISTER, write_register(name, value))
    assert await host.read(*values) == list(values.values())

    generator = torch.Generator().manual_seed(1)
    biases = tuple(torch.randint(-2000, 2000, (b.post.channels,), generator=generator) for b in SPEC.bundles)
    parameters = fixed.initial(SPEC, 1)._replace(biases=biases)
    await load(host, images_of(parameters))
    assert (await host.call(Command.COMMIT))[:2] == b"\0\0"
    await check_weights(host, images_of(parameters))

    images, labels = digits(2)
    result = fixed.train_batch(SPEC, settings, parameters, images[:1], labels[:1])
    sample = bytes((int(labels[0]),)) + images[0].tobytes()
    counted = [f"cycles_{phase}" for phase in ("static", "free", "plus", "minus", "update")]
    before = await host.read(*counted)
    answer = await host.call(Command.TRAIN, sample)
    spikes = await host.read(*(f"spikes_{layer.index}" for layer in SPEC.layers[1:]))
    assert answer[0] == int(result.predictions[0]), f"prediction {answer[0]}, golden has {int(result.predictions[0])}"
    assert spikes == result.spikes, f"spikes {spikes}, golden has {result.spikes}"
    phases = [new - old for new, old in zip(await host.read(*counted), before, strict=True)]
    cycles = int.from_bytes(answer[1:], "little")
    # the update goes on after the answer
    assert sum(phases[:-1]) < cycles <= sum(phases), f"{cycles} cycles, of which the phases {phases}"

    assert (await host.call(Command.COMMIT))[:2] == b"\1\0"
    trained = fixed.commit(SPEC, fixed.accumulate(parameters, result.updates))
    assert first_difference(trained, parameters) is not None, "nothing was learned, so nothing was checked"
    await check_weights(host, images_of(trained))

    predictions, _ = fixed.infer(SPEC, settings, trained, images[1:2])
    answer = await host.call(Command.INFER, bytes((int(labels[1]),)) + images[1].tobytes())
    assert answer[0] == int(predictions[0])
    wrong = [int(result.predictions[0]) != int(labels[0]), int(predictions[0]) != int(labels[1])]
    expected = {"samples": 2, "errors": sum(wrong)}
    assert {name: count for name, count in (await host.counters()).items() if count} == {k: v for k, v in expected.items() if v}
    assert not dut.error.value


def damaged(data: bytes) -> bytes:
    """The frame with one bit of its checksum wrong; neither it nor the result is a zero byte."""
    flipped = next(data[-2] ^ 1 << n for n in range(8) if data[-2] not in (0, 1 << n))
    return data[:-2] + bytes((flipped,)) + data[-1:]


@cocotb.test()
async def refusals_change_nothing_but_a_counter(dut):
    host = Host(dut)
    await host.begin()
    assert not dut.error.value
    await host.call(Command.WRITE_REGISTER, write_register("scratch", 0x5EED))
    sample, word = bytes((3,)) + bytes(range(256)) * 3 + bytes(16), word_bytes(CONFIG, SPEC.bundles[0])
    depth = layout.master_words(CONFIG, SPEC.bundles[0])
    assert len(sample) == 1 + PIXELS
    await host.call(Command.WRITE_WEIGHTS, words(1, 0, bytes(range(1, 1 + 2 * word))))

    T, W, S = Command.TRAIN, Command.WRITE_WEIGHTS, Status
    scratch = write_register("scratch", 1)
    # command, payload, status: the answer's status and its counter. First those that aren't executed:
    unheard = [
        (T, sample[:-1], S.BAD_LENGTH),
        (T, sample + b"\0", S.BAD_LENGTH),
        (Command.INFER, sample[:1], S.BAD_LENGTH),
        (T, bytes(2 * REQUEST_BYTES), S.BAD_LENGTH),
        (Command.WRITE_REGISTER, scratch[:-1], S.BAD_LENGTH),
        (W, words(1, 0, b"\0"), S.BAD_LENGTH),
        (0x55, b"", S.BAD_COMMAND),
        (Command.COMMIT | ANSWER, b"", S.BAD_COMMAND),
    ]
    # and those that are, with no effect; weights were written, so samples have to wait for a COMMIT
    refused = [
        (T, sample, S.BAD_ORDER),
        (Command.INFER, sample, S.BAD_ORDER),
        (W, words(0, 0, bytes(word)), S.BAD_RANGE),
        (W, words(1, depth, bytes(word)), S.BAD_RANGE),
        (W, words(1, depth - 1, bytes(2 * word)), S.BAD_RANGE),
        (W, words(1, 1 << 31, bytes(word)), S.BAD_RANGE),
        (W, words(1, 0, bytes(word + 1)), S.BAD_RANGE),
        (Command.READ_WEIGHTS, words(1, 0, bytes((depth + 1,))), S.BAD_RANGE),
        (Command.DIGEST, b"\7", S.BAD_RANGE),
        (Command.READ_REGISTER, b"\xff\1", S.BAD_RANGE),
        (Command.WRITE_REGISTER, write_register("free_steps", SPEC.schedule.window - 1), S.BAD_RANGE),
        (Command.WRITE_REGISTER, write_register("pending", 0), S.BAD_RANGE),
    ]
    state, counted = await host.state(), await host.counters()

    async def expect_refusal(data: bytes, answer: bytes, status: Status):
        got = await host.send(data)
        assert got == answer, f"{status.name}: got {got.hex()}, expected {answer.hex()}"
        counted[status.name.lower()] += 1
        counters = await host.counters()
        assert counters == counted, f"{status.name}: counters {counters}, expected {counted}"

    good = request(host.sequence, Command.WRITE_REGISTER, scratch)
    n = host.sequence
    await expect_refusal(damaged(good), reply(n, Command.WRITE_REGISTER, S.BAD_CRC), S.BAD_CRC)
    await expect_refusal(b"\x30\1\2\3\4\0", reply(2, 3, S.BAD_FRAME), S.BAD_FRAME)
    await expect_refusal(b"\1\0", reply(0, 0, S.BAD_LENGTH), S.BAD_LENGTH)
    for version in (0, VERSION + 1):
        n = host.sequence
        data = request(n, Command.WRITE_REGISTER, scratch, version=version)
        await expect_refusal(data, reply(n, Command.WRITE_REGISTER, S.BAD_VERSION), S.BAD_VERSION)
    for command, payload, status in unheard:
        n = host.sequence
        await expect_refusal(request(n, command, payload), reply(n, command, status), status)
    for ahead in (1, 100, -1 - WINDOW):
        n = host.sequence + ahead
        data = request(n, Command.WRITE_REGISTER, scratch)
        await expect_refusal(data, reply(n, Command.WRITE_REGISTER, S.BAD_SEQUENCE), S.BAD_SEQUENCE)
    for command, payload, status in refused:
        n = host.sequence
        host.sequence = (n + 1) % 256
        await expect_refusal(request(n, command, payload), reply(n, command, status), status)
    assert {status for status in Status if counted.get(status.name.lower())} == set(Status) - {S.OK}
    assert await host.state() == state
    assert dut.error.value

    # labels and a full batch, now that the weights are in force
    await host.call(Command.COMMIT)
    await host.call(Command.WRITE_REGISTER, write_register("batch", 1))
    state = await host.state()
    n, host.sequence = host.sequence, host.sequence + 1
    await expect_refusal(request(n, T, bytes((LABELS,)) + sample[1:]), reply(n, T, S.BAD_RANGE), S.BAD_RANGE)
    assert await host.state() == state
    answer = await host.call(T, sample)
    counted["pending"], counted["samples"], counted["errors"] = 1, 1, int(answer[0] != sample[0])
    # masters aren't final until COMMIT
    order = [(T, sample), (Command.DIGEST, b"\1"), (Command.READ_WEIGHTS, words(1, 0, b"\1")), (W, words(1, 0, bytes(word)))]
    for command, payload in order:
        n = host.sequence % 256
        host.sequence = (n + 1) % 256
        await expect_refusal(request(n, command, payload), reply(n, command, S.BAD_ORDER), S.BAD_ORDER)
    assert (await host.call(Command.COMMIT))[:2] == b"\1\0"
    await host.call(Command.WRITE_REGISTER, write_register("clear", 1))
    assert not dut.error.value
    assert not any((await host.counters()).values())


@cocotb.test()
async def a_repeated_number_is_executed_once(dut):
    host = Host(dut)
    await host.begin()
    n, sample = host.sequence, bytes((1,)) + digits(1)[0].tobytes()
    trained = await host.send(request(n, Command.TRAIN, sample))
    assert trained[:ANSWER_HEADER] == reply(n, Command.TRAIN)
    read = await host.send(request(n + 1, Command.READ_REGISTER, bytes((REGISTERS["samples"].address, 1))))
    assert read == reply(n + 1, Command.READ_REGISTER, Status.OK, b"\1\0\0\0")
    for _ in range(2):
        # both numbers have their answers, whatever comes with them this time
        assert await host.send(request(n, Command.TRAIN, sample)) == trained
        assert await host.send(request(n, Command.WRITE_REGISTER, write_register("scratch", 5))) == trained
        assert await host.send(request(n + 1, Command.COMMIT)) == read
    host.sequence = n + 2
    assert await host.read("samples", "pending", "scratch") == [1, 1, 0]
    # two in flight, and a third that finds no buffer
    burst = [request(host.sequence + i, Command.WRITE_REGISTER, write_register("scratch", i)) for i in range(WINDOW + 2)]
    train = request(host.sequence, Command.INFER, sample)
    await host.feed(train + b"".join(burst[1:]))
    assert (await host.answer())[:ANSWER_HEADER] == reply(host.sequence, Command.INFER)
    for i in range(1, WINDOW):
        assert await host.answer() == reply(host.sequence + i, Command.WRITE_REGISTER)
    host.sequence += WINDOW
    assert await host.read("scratch", "overruns") == [WINDOW - 1, len(burst) - WINDOW]
    for _ in range(1000):
        await host.edge
    assert not host.answers
