# amaranth: UnusedElaboratable=no
"""Memories against a list: two read ports, partial writes, reads during a write, ones at power-up."""

import random
from collections.abc import Callable
from functools import partial

import cocotb
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import Out, connect, flipped

from nudge.hw.lib.block_memory import BlockMemory, WrittenMemory
from sim.harness.streams import Port, start
from sim.harness.units import each

WIDTH, GRANULARITY = 6, 3


class Ports(wiring.Component):
    """A memory with two read ports and a write port."""

    def __init__(self, depth, kind: Callable[..., Memory]):
        self.depth, self.kind, self.memory = depth, kind, kind(shape=WIDTH, depth=depth)
        address = (depth - 1).bit_length()
        read = ReadPort.Signature(addr_width=address, shape=WIDTH).flip()
        write = WritePort.Signature(addr_width=address, shape=WIDTH, granularity=GRANULARITY).flip()
        super().__init__({"read_0": Out(read).flip(), "read_1": Out(read).flip(), "write": Out(write).flip()})

    def elaborate(self, platform):
        m = Module()
        # a new memory for each elaboration, because a memory keeps all ports ever requested
        m.submodules.memory = self.memory = memory = self.kind(shape=WIDTH, depth=self.depth)
        for port in (self.read_0, self.read_1):
            connect(m, flipped(port), memory.read_port())
        connect(m, flipped(self.write), memory.write_port(granularity=GRANULARITY))
        return m


UNITS = {f"block_memory_{depth}": Ports(depth, BlockMemory) for depth in (2, 5, 16)} | {
    "block_memory_of_zeros": Ports(5, partial(BlockMemory, zeros=True)),
    "written_memory": Ports(5, WrittenMemory),
}


@cocotb.test()
async def reads_and_collisions(dut):
    await start(dut, before=0)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, depth = Port(dut, name), unit.depth
    ones = (1 << WIDTH) - 1
    words = [0 if name == "block_memory_of_zeros" else ones] * depth
    inverted = 0 if name == "written_memory" else ones
    shown: list[int | None] = [None, None]
    for _ in range(400):
        at, value, enable = random.randrange(depth), random.getrandbits(WIDTH), random.choice((0, 0, 1, 2, 3))
        port.write__addr.value, port.write__data.value, port.write__en.value = at, value, enable
        asked = []
        for number in range(2):
            address, enabled = random.randrange(depth), random.random() < 0.7
            getattr(port, f"read_{number}__addr").value = address
            getattr(port, f"read_{number}__en").value = int(enabled)
            asked.append((address, enabled))
        await port.edge
        for number, expected in enumerate(shown):
            found = int(getattr(port, f"read_{number}__data").value)
            assert expected is None or found == expected, (
                f"{name}: port {number} shows {found:b}, expected {expected:b}"
            )
        for number, (address, enabled) in enumerate(asked):
            if enabled:
                shown[number] = words[address] ^ (inverted if enable and address == at else 0)
        mask = sum((1 << GRANULARITY) - 1 << GRANULARITY * part for part in range(2) if enable >> part & 1)
        words[at] = words[at] & ~mask | value & mask
