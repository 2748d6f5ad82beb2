"""Runs `System` or `Top` with a fake core in pysim, and talks to it as a host does."""

import random

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

from golden.contract.config import Config, configuration
from golden.contract.presets import preset
from golden.contract.protocol import (
    ADDRESS_COUNTERS,
    ADDRESS_SPIKES,
    ANSWER,
    ANSWER_HEADER,
    LONGEST_RUN,
    VERSION,
    Command,
    Identity,
    Status,
    registers,
)
from host.link import frame
from hw.system import System
from hw.top import Top

from .fake_core import FakeCore

TINY = configuration(preset("tiny"))
SMALL = configuration(preset("small"))
CLOCK = 48_000_000
#: Of the boards here: what fills up is soon full.
WINDOW = 2

#: Longest wait for an answer, in clock cycles.
PATIENCE = 100_000


def simulate(dut: Elaboratable, *testbenches, background=()) -> None:
    """Run testbenches on `dut` until those that aren't in the background have ended."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for testbench in background:
        simulator.add_testbench(testbench, background=True)
    simulator.run()


def request(sequence: int, command: int, payload: bytes = b"", *, version: int = VERSION) -> bytes:
    """A frame on the wire."""
    return frame.encode(bytes((version, sequence % 256, command)) + payload)


def reply(sequence: int, command: int, status: Status = Status.OK, payload: bytes = b"") -> bytes:
    """The body of an answer."""
    return bytes((VERSION, sequence % 256, command | ANSWER, status)) + payload


class Wire:
    """The host's end of a simulated board: `feed` sends bytes, `answers` collects the bodies of what came back.

    Without `divisor` the bytes go straight to `System`; that's ten times as quick as the serial pins of `Top`.
    """

    def __init__(self, ctx, dut: System | Top, config: Config, divisor: int | None):
        self.ctx, self.dut, self.config, self.divisor = ctx, dut, config, divisor
        self.addresses = {r.name: r.address for r in registers(config.spec)}
        self.splitter = frame.Splitter()
        self.answers: list[bytes] = []
        self.sequence = 0

    async def feed(self, data: bytes) -> None:
        """Send bytes back to back."""
        if self.divisor is None:
            self.ctx.set(self.dut.i.valid, 1)
            for byte in data:
                self.ctx.set(self.dut.i.payload, byte)
                for _ in range(LONGEST_RUN):
                    if not self.ctx.get(self.dut.i.ready):
                        await self.ctx.tick()
                assert self.ctx.get(self.dut.i.ready)
                await self.ctx.tick()
            self.ctx.set(self.dut.i.valid, 0)
            return
        for byte in data:
            for bit in (0, *((byte >> n) & 1 for n in range(8)), 1):
                self.ctx.set(self.dut.rx, bit)
                await self.ctx.tick().repeat(self.divisor)

    def heard(self, byte: int) -> None:
        """A byte from the board."""
        self.answers += self.splitter.feed(bytes((byte,)))
        assert not self.splitter.damaged, "the board sent a damaged frame"

    async def answer(self) -> bytes:
        """The next answer; fails if none comes."""
        for _ in range(PATIENCE):
            if self.answers:
                return self.answers.pop(0)
            await self.ctx.tick()
        raise AssertionError(f"no answer within {PATIENCE} cycles")

    async def send(self, data: bytes) -> bytes:
        """Send a frame; its answer."""
        await self.feed(data)
        return await self.answer()

    async def hello(self, sequence: int = 0) -> bytes:
        """Begin with a sequence number; the payload of the answer."""
        body = await self.send(b"\0" + request(sequence, Command.HELLO))
        assert body[:ANSWER_HEADER] == reply(sequence, Command.HELLO)
        self.sequence = (sequence + 1) % 256
        return body[ANSWER_HEADER:]

    async def call(self, command: Command, payload: bytes = b"", status: Status = Status.OK) -> bytes:
        """The next request; the payload of its answer, which must have that status."""
        body = await self.send(request(self.sequence, command, payload))
        assert body[:ANSWER_HEADER] == reply(self.sequence, command, status)
        self.sequence = (self.sequence + 1) % 256
        return body[ANSWER_HEADER:]

    async def read(self, name: str) -> int:
        """A register's value."""
        return int.from_bytes(await self.call(Command.READ_REGISTER, bytes((self.addresses[name], 1))), "little")

    async def write(self, name: str, value: int, status: Status = Status.OK) -> None:
        """Set a register."""
        await self.call(Command.WRITE_REGISTER, bytes((self.addresses[name],)) + value.to_bytes(4, "little"), status)

    async def counters(self) -> dict[str, int]:
        """Counters of frames, errors and samples that aren't 0."""
        names = [r.name for r in registers(self.config.spec) if ADDRESS_COUNTERS <= r.address < ADDRESS_SPIKES]
        data = await self.call(Command.READ_REGISTER, bytes((ADDRESS_COUNTERS, len(names))))
        values = (int.from_bytes(data[4 * n : 4 * n + 4], "little") for n in range(len(names)))
        return {name: value for name, value in zip(names, values, strict=True) if value}


async def listen_to_bytes(ctx, wire: Wire) -> None:
    """Take what `System` sends, for ever, with a pause now and then."""
    o, chooser = wire.dut.o, random.Random(1)
    while True:
        ready = chooser.random() < 0.9
        ctx.set(o.ready, ready)
        *_, valid, payload = await ctx.tick().sample(o.valid, o.payload)
        if valid and ready:
            wire.heard(payload)


async def listen_to_pin(ctx, wire: Wire) -> None:
    """Decode what `Top` sends, for ever."""
    assert isinstance(wire.dut, Top)
    tx, divisor = wire.dut.tx, wire.dut.identity.uart_divisor

    async def wait(cycles):
        # `repeat` and `until` can't be abandoned at the end of the simulation without a complaint
        for _ in range(cycles):
            await ctx.tick()

    while True:
        while ctx.get(tx):
            await ctx.tick()
        await wait(divisor + divisor // 2)
        byte = 0
        for n in range(8):
            byte |= ctx.get(tx) << n
            await wait(divisor)
        assert ctx.get(tx), "a stop bit must be high"
        wire.heard(byte)
        await wait(divisor - divisor // 2)


def converse(talk, *, config: Config = TINY, divisor: int | None = None) -> None:
    """Run `await talk(wire)` with a board in reset state: with `divisor` over the pins of `Top`, else bytes to `System`."""
    core = FakeCore(config)
    if divisor is None:
        dut = System(config, Identity(config.spec.name, config.spec.identity, CLOCK, 1, config.lanes, window=WINDOW), core)
    else:
        dut = Top(config, clock_hz=CLOCK, divisor=divisor, window=WINDOW, core=core)
    wire = Wire(None, dut, config, divisor)

    async def speaker(ctx):
        wire.ctx = ctx
        await talk(wire)
        assert not wire.answers, "more answers than expected"

    async def listener(ctx):
        await (listen_to_bytes if divisor is None else listen_to_pin)(ctx, wire)

    simulate(dut, speaker, background=[listener])
