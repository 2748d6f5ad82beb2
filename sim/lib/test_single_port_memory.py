# amaranth: UnusedElaboratable=no
"""The single-port memory against a list of words: masked writes, and reads of written words."""

import random

import cocotb

from nudge.hw.lib.single_port_memory import DEPTH, NIBBLES, SinglePortMemory
from sim.harness.streams import Port, start

UNITS = {"single_port_memory": SinglePortMemory()}


@cocotb.test()
async def equals_a_list(dut):
    await start(dut)
    port = Port(dut, "single_port_memory")
    addresses = [0, 1, DEPTH - 1, *(random.randrange(DEPTH) for _ in range(20))]
    words, expected = {}, None
    for address in addresses:
        words[address] = random.getrandbits(16)
        port.address.value, port.write.value, port.mask.value, port.write_data.value = (
            address,
            1,
            0xF,
            words[address],
        )
        await port.edge
    for _ in range(2000):
        address, write = random.choice(addresses), random.random() < 0.5
        mask, value = random.getrandbits(NIBBLES), random.getrandbits(16)
        port.address.value, port.write.value, port.mask.value, port.write_data.value = (
            address,
            int(write),
            mask,
            value,
        )
        await port.edge
        if expected is not None:
            got = port.read_data.value.to_unsigned()
            assert got == expected[1], f"word {expected[0]}: {got:#06x}, expected {expected[1]:#06x}"
        # the read data of a write cycle is undefined
        expected = None if write else (address, words[address])
        if write:
            bits = sum(0xF << 4 * n for n in range(NIBBLES) if mask >> n & 1)
            words[address] = words[address] & ~bits | value & bits
