"""Digest of a bundle's master memory, to compare weights without reading them."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from nudge.hw.lib.flow import Flow


class Digest(wiring.Component):
    """CRC-32 (zlib's) of the bytes since `clear`: a bundle's master words in order, lanes in order, s16
    little endian.

    Latency: one cycle. Throughput: one byte a cycle.

    Members
    -------
    clear : In(1)
        Restarts the CRC; a byte in the same cycle is the first one.
    i : In(Flow(8))
    crc : Out(32)
    """

    clear: In(1)
    i: In(Flow(8))
    crc: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(8).create()
        m.d.comb += [
            crc.start.eq(self.clear),
            crc.valid.eq(self.i.valid),
            crc.data.eq(self.i.payload),
            self.crc.eq(crc.crc),
        ]
        return m
