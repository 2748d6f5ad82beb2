# amaranth: UnusedElaboratable=no
"""READ_REGISTER and WRITE_REGISTER on a register file: values, refusals, cycles."""

import random

import cocotb
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from nudge.golden.contract import protocol
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Access, Command, Status
from nudge.hw.link.interface import ANSWER_PAYLOAD, Executor
from nudge.hw.link.register_access import MAX_REGISTERS, RegisterAccess
from nudge.hw.link.registers import RegisterFile
from sim.harness.requester import Requester
from sim.harness.streams import start


class RegisterBus(wiring.Component):
    """`RegisterAccess` and `RegisterFile`, connected as in `hw.system`; the file's other inputs are 0."""

    execute: In(Executor())

    def __init__(self, config):
        self.file, self.access = RegisterFile(config), RegisterAccess()
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.file, m.submodules.access = file, access = self.file, self.access
        connect(m, flipped(self.execute), access.execute)
        m.d.comb += [
            file.address.eq(access.address),
            file.write.eq(access.write),
            file.write_data.eq(access.write_data),
        ]
        m.d.comb += [
            access.read_data.eq(file.read_data),
            access.exists.eq(file.exists),
            access.writable.eq(file.writable),
        ]
        return m


class EndlessBus(wiring.Component):
    """`RegisterAccess` with a read-only register at every address, of value address x `FACTOR`."""

    execute: In(Executor())

    def elaborate(self, platform):
        m = Module()
        m.submodules.access = access = RegisterAccess()
        connect(m, flipped(self.execute), access.execute)
        m.d.comb += access.exists.eq(1)
        m.d.sync += access.read_data.eq(access.address * FACTOR)
        return m


FACTOR = 0x010203

CONFIG = configuration(preset("tiny"))
UNITS = {"register_bus": RegisterBus(CONFIG), "endless_bus": EndlessBus()}
REGISTERS = {r.address: r for r in protocol.registers(CONFIG.spec)}


@cocotb.test()
async def equals_the_register_map(dut):
    await start(dut)
    requester, values = Requester(dut, "register_bus"), {address: r.reset for address, r in REGISTERS.items()}
    seen = set()
    for _ in range(600):
        address = random.choice(list(REGISTERS)) if random.random() < 0.9 else random.randrange(256)
        r = REGISTERS.get(address)
        if random.random() < 0.4:
            low, high = (r.low, r.high) if r else (0, 0)
            value = random.choice((low, high, low - 1, high + 1, random.getrandbits(32))) % (1 << 32)
            legal = r is not None and r.access is not Access.READ and low <= value <= high
            if legal and r.access is Access.READ_WRITE:
                values[address] = value
            command, payload, answer, cycles = (
                Command.WRITE_REGISTER,
                bytes((address,)) + value.to_bytes(4, "little"),
                b"",
                3,
            )
        else:
            count = random.choice((1, 2, 3, 6, 0, MAX_REGISTERS, MAX_REGISTERS + 1, 255))
            block = range(address, address + count)
            legal = 0 < count <= MAX_REGISTERS and all(a in REGISTERS for a in block)
            answer = b"".join(values[a].to_bytes(4, "little") for a in block) if legal else b""
            command, payload, cycles = Command.READ_REGISTER, bytes((address, count)), 6 * count + 2
        where = f"{command.name} {payload.hex()}"
        status, got, took = await requester.execute(command, payload)
        assert status == (Status.OK if legal else Status.BAD_RANGE), f"{where}: {status.name}"
        if legal:
            assert got == answer, f"{where}: got {got.hex()}, expected {answer.hex()}"
            assert took == cycles, f"{where}: {took} cycles, expected {cycles}"
        seen.add((command, status))
    assert len(seen) == 4, f"only {seen} happened"


@cocotb.test()
async def count_is_bounded_by_the_answer(dut):
    await start(dut)
    requester = Requester(dut, "endless_bus")
    for count in (0, 1, MAX_REGISTERS - 1, MAX_REGISTERS, MAX_REGISTERS + 1, 255):
        status, got, _ = await requester.execute(Command.READ_REGISTER, bytes((9, count)))
        legal = 0 < count <= MAX_REGISTERS
        assert status == (Status.OK if legal else Status.BAD_RANGE), f"{count} registers: {status.name}"
        if legal:
            assert got == b"".join(
                (address * FACTOR).to_bytes(4, "little") for address in range(9, 9 + count)
            )
    assert 4 * MAX_REGISTERS <= ANSWER_PAYLOAD < 4 * (MAX_REGISTERS + 1)
