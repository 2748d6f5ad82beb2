# amaranth: UnusedElaboratable=no
"""The digest against zlib's CRC-32 after every byte."""

import random
import zlib

import cocotb

from nudge.hw.link.digest import Digest
from sim.harness.streams import Port, start

UNITS = {"digest": Digest()}


@cocotb.test()
async def equals_zlib_in_every_cycle(dut):
    await start(dut)
    port, seen = Port(dut, "digest"), b""
    for cycle in range(3000):
        clear, valid, byte = random.random() < 0.02, random.random() < 0.7, random.randrange(256)
        port.clear.value, port.i__valid.value, port.i__payload.value = int(clear), int(valid), byte
        await port.edge
        assert port.crc.value == zlib.crc32(seen), f"cycle {cycle}, {len(seen)} bytes"
        seen = (b"" if clear else seen) + (bytes((byte,)) if valid else b"")
