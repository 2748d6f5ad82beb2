"""The host of a bench: sends requests to a board, collects answers, counts sequence numbers."""

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import FallingEdge, RisingEdge, SimTimeoutError, Timer, with_timeout

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    ADDRESS_COUNTERS,
    ADDRESS_SPIKES,
    ANSWER,
    ANSWER_HEADER,
    VERSION,
    Access,
    Command,
    Status,
    registers,
)
from nudge.host.link import frame
from nudge.hw.link.deframer import MAX_BYTE_CYCLES

from .streams import PERIOD, StreamSink, StreamSource, start
from .testbench import CLOCK

#: Timeout in cycles for an answer: a sample of `tiny` takes about 20,000.
PATIENCE = 200_000


def request(sequence: int, command: int, payload: bytes = b"", *, version: int = VERSION) -> bytes:
    """The encoded frame of a request."""
    return frame.encode(bytes((version, sequence % 256, command)) + payload)


def reply(sequence: int, command: int, status: Status = Status.OK, payload: bytes = b"") -> bytes:
    """The expected answer, decoded and without its CRC."""
    return bytes((VERSION, sequence % 256, (command | ANSWER) % 256, status)) + payload


def words(bundle: int, word: int, rest: bytes) -> bytes:
    """Payload of READ_WEIGHTS (`rest` is the count) or WRITE_WEIGHTS (`rest` is the weights)."""
    return bytes((bundle,)) + word.to_bytes(4, "little") + rest


class Wire:
    """Communicates with one board of the design; subclasses transfer the bytes.

    Call `power_up` first. `name` is the prefix of the board's ports; it is empty if the design is the board
    itself.
    """

    def __init__(self, dut, name: str, config: Config):
        self.dut, self.name, self.config = dut, name, config
        self.edge = RisingEdge(getattr(dut, CLOCK))
        self.registers = {r.name: r for r in registers(config.spec)}
        self.answers: Queue[bytes] = Queue()
        #: Sequence number of the next request.
        self.sequence = 0
        self._splitter = frame.Splitter()

    def port(self, member: str):
        """The handle of a port of the board."""
        return getattr(self.dut, f"{self.name}__{member}" if self.name else member)

    def rest(self) -> None:
        """Sets the board's inputs to those of an idle line."""

    async def feed(self, data: bytes) -> None:
        """Sends bytes back to back."""
        raise NotImplementedError

    async def listen(self) -> None:
        """Passes each byte from the board to `heard`; doesn't return."""
        raise NotImplementedError

    def heard(self, byte: int) -> None:
        """Decodes a byte from the board; complete answers go to `answers`."""
        for answer in self._splitter.feed(bytes((byte,))):
            self.answers.put_nowait(answer)
        assert not self._splitter.damaged, f"{self.name}: the board sent a damaged frame"

    async def answer(self) -> bytes:
        """Returns the next answer; fails if none comes within `PATIENCE` cycles."""
        try:
            return await with_timeout(self.answers.get(), PATIENCE * PERIOD, "ns")
        except SimTimeoutError:
            raise AssertionError(f"{self.name}: no answer for {PATIENCE} cycles") from None

    async def drain(self, cycles: int) -> list[bytes]:
        """Waits for that many cycles; returns the answers that are there then."""
        await Timer(cycles * PERIOD - PERIOD // 2, "ns")
        await self.edge
        return [self.answers.get_nowait() for _ in range(self.answers.qsize())]

    async def silence(self, cycles: int = 1000) -> None:
        """Fails if there is an unexpected answer, or one comes within that many cycles."""
        left = await self.drain(cycles)
        assert not left, f"{self.name}: more answers than expected: {[a.hex() for a in left]}"

    async def send(self, data: bytes) -> bytes:
        """Sends a frame; returns its answer."""
        await self.feed(data)
        return await self.answer()

    async def hello(self, sequence: int) -> bytes:
        """Sends HELLO with this sequence number; returns the payload of the answer."""
        body = await self.send(b"\0" + request(sequence, Command.HELLO))
        assert body[:ANSWER_HEADER] == reply(sequence, Command.HELLO), f"HELLO: {body.hex()}"
        self.sequence = (sequence + 1) % 256
        return body[ANSWER_HEADER:]

    async def call(self, command: Command, payload: bytes = b"", status: Status = Status.OK) -> bytes:
        """Sends the next request; returns the payload of its answer, which must have that status."""
        body = await self.send(request(self.sequence, command, payload))
        expected = reply(self.sequence, command, status)
        assert body[:ANSWER_HEADER] == expected, f"{command.name} {payload.hex()}: {body.hex()}"
        assert status is Status.OK or len(body) == ANSWER_HEADER, f"a refusal has {body.hex()}"
        self.sequence = (self.sequence + 1) % 256
        return body[ANSWER_HEADER:]

    def setting(self, name: str, value: int) -> bytes:
        """Payload of WRITE_REGISTER."""
        return bytes((self.registers[name].address,)) + value.to_bytes(4, "little")

    async def write(self, name: str, value: int, status: Status = Status.OK) -> None:
        """Sets a register."""
        assert not await self.call(Command.WRITE_REGISTER, self.setting(name, value), status)

    async def read(self, *names: str) -> list[int]:
        """Values of registers."""
        values = []
        for name in names:
            payload = bytes((self.registers[name].address, 1))
            data = await self.call(Command.READ_REGISTER, payload)
            values.append(int.from_bytes(data, "little"))
        return values

    async def counters(self) -> dict[str, int]:
        """The link's counters that aren't 0, except `frames`."""
        names = [name for name, r in self.registers.items() if ADDRESS_COUNTERS <= r.address < ADDRESS_SPIKES]
        payload = bytes((ADDRESS_COUNTERS, len(names)))
        data = await self.call(Command.READ_REGISTER, payload)
        values = (int.from_bytes(data[4 * n : 4 * n + 4], "little") for n in range(len(names)))
        found = dict(zip(names, values, strict=True))
        return {name: value for name, value in found.items() if value and name != "frames"}

    async def digest(self, bundle: int) -> int:
        """CRC-32 of a bundle's masters."""
        return int.from_bytes(await self.call(Command.DIGEST, bytes((bundle,))), "little")

    async def state(self) -> list[int]:
        """Digests of all bundles, and the values of all writable registers."""
        digests = [await self.digest(bundle.index) for bundle in self.config.spec.bundles]
        writable = (n for n, r in self.registers.items() if r.access is Access.READ_WRITE)
        return digests + await self.read(*writable)


class ByteWire(Wire):
    """Uses the byte streams of a `System` directly: ten times as fast as serial pins."""

    async def feed(self, data: bytes) -> None:
        # every bench also checks the deframer's latency
        await StreamSource(self.dut, f"{self.name}__i").put(data, patience=MAX_BYTE_CYCLES)

    async def listen(self) -> None:
        sink = StreamSink(self.dut, f"{self.name}__o")
        offers = RisingEdge(sink.valid)
        while True:
            # the line is mostly idle: wait for `valid` to rise instead of checking each cycle
            await self.edge
            if not sink.valid.value:
                await offers
            (byte,) = await sink.get(1, stall=0.1)
            self.heard(byte)


class SerialWire(Wire):
    """Uses the serial pins of a `Top`."""

    def __init__(self, dut, name: str, config: Config, divisor: int):
        super().__init__(dut, name, config)
        self.divisor = divisor

    def rest(self) -> None:
        self.port("rx").value = 1

    async def shift_out(self, bits) -> None:
        """Sends bits on the line."""
        rx, edge = self.port("rx"), self.edge
        for bit in bits:
            rx.value = bit
            for _ in range(self.divisor):
                await edge

    async def feed(self, data: bytes) -> None:
        for byte in data:
            await self.shift_out((0, *(byte >> n & 1 for n in range(8)), 1))

    async def listen(self) -> None:
        tx, falls, edge = self.port("tx"), FallingEdge(self.port("tx")), self.edge
        while True:
            await falls
            byte = 0
            # the value of a cycle is sampled at the edge that ends the cycle
            for _ in range(self.divisor + self.divisor // 2 + 1):
                await edge
            for n in range(8):
                byte |= int(tx.value) << n
                for _ in range(self.divisor):
                    await edge
            assert tx.value, f"{self.name}: the stop bit is low"
            self.heard(byte)


async def power_up(dut, *wires: Wire) -> None:
    """Resets the design with idle lines, and starts to listen."""

    async def idle():
        # `start` sets all inputs to 0
        await wires[0].edge
        for wire in wires:
            wire.rest()

    cocotb.start_soon(idle())
    # long enough for the receiver's synchroniser, which has no reset
    await start(dut, cycles=5, before=0)
    for wire in wires:
        cocotb.start_soon(wire.listen())


def damaged(data: bytes) -> bytes:
    """The frame with one bit of its CRC inverted, such that no zero byte is removed or added."""
    flipped = next(data[-2] ^ 1 << n for n in range(8) if data[-2] not in (0, 1 << n))
    return data[:-2] + bytes((flipped,)) + data[-1:]
