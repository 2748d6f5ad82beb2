"""Decodes stored images: words in, pixels out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.messages import FULL_BLOCK, LONGEST_RUN, PIXELS
from nudge.golden.contract.stored import MAX_CODED, ImageStatus
from nudge.hw.lib.flow import Flow

from .interface import WORD_BITS


class Unstuffer(wiring.Component):
    """Inverse of `golden.contract.stuffing.stuff`, for one image after the other.

    Throughput: one coded byte a cycle, or one pixel a cycle of a run of zeros: 784 pixels of n coded bytes
    take less than 784 + n cycles.

    Members
    -------
    start : In(1)
        Strobe: an image of ``length`` coded bytes begins.
    length : In
        Number of coded bytes, 1..`MAX_CODED`.
    coded : In(stream.Signature(16))
        The words of the coded image; all are taken.
    pixel : Out(Flow(8))
        At most `PIXELS` pixels.
    done : Out(1)
        Strobe at the end, not before the last pixel's cycle.
    status : Out(ImageStatus)
        Valid with ``done``: OK, TOO_LONG or TRUNCATED.
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "length": In(range(MAX_CODED + 1)),
                "coded": In(stream.Signature(WORD_BITS)),
                "pixel": Out(Flow(8)),
                "done": Out(1),
                "status": Out(ImageStatus),
            }
        )

    def elaborate(self, platform):
        m = Module()
        busy, high, zero, emit, byte_there = Signal(), Signal(), Signal(), Signal(), Signal()
        # bytes left of the image, bytes left of the block, zeros left of a run; pixels so far, or PIXELS + 1
        unread, left = Signal.like(self.length), Signal(8)
        run, count = Signal(range(LONGEST_RUN + 1)), Signal(range(PIXELS + 2))
        byte, value = Signal(8), Signal(8)
        too_long = count == PIXELS + 1
        m.d.comb += [
            byte.eq(self.coded.payload.word_select(high, 8)),
            byte_there.eq(busy & (run == 0) & (unread != 0) & self.coded.valid),
            # the last word is also taken if only its low byte is used
            self.coded.ready.eq(byte_there & (high | (unread == 1))),
            emit.eq((run != 0) | (byte_there & ((left != 0) | zero))),
            value.eq(Mux((run == 0) & (left != 0), byte, 0)),
            self.done.eq(busy & (run == 0) & (unread == 0)),
        ]
        m.d.sync += [self.pixel.valid.eq(emit & (count < PIXELS)), self.pixel.payload.eq(value)]
        with m.If(emit & ~too_long):
            m.d.sync += count.eq(count + 1)
        with m.If(run != 0):
            m.d.sync += run.eq(run - 1)
        with m.If(byte_there):
            m.d.sync += [unread.eq(unread - 1), high.eq(~high)]
            with m.If(left != 0):
                m.d.sync += left.eq(left - 1)
            with m.Elif(byte <= FULL_BLOCK):
                m.d.sync += [left.eq(Mux(byte == 0, 0, byte - 1)), zero.eq(byte != FULL_BLOCK)]
            with m.Else():
                m.d.sync += zero.eq(0)
                with m.If(~too_long):
                    m.d.sync += run.eq(byte - (FULL_BLOCK - 1))
        with m.If(too_long):
            m.d.comb += self.status.eq(ImageStatus.TOO_LONG)
        with m.Elif((left != 0) | (count != PIXELS)):
            m.d.comb += self.status.eq(ImageStatus.TRUNCATED)
        with m.If(self.done):
            m.d.sync += busy.eq(0)
        with m.If(self.start):
            m.d.sync += [busy.eq(1), unread.eq(self.length), high.eq(0), left.eq(0), zero.eq(0), count.eq(0)]
        return m
