"""Fetches, checks and moves stored images into two image buffers."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.golden.contract.messages import CRC_BYTES
from nudge.golden.contract.stored import Header, ImageStatus
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.skid_buffer import SkidBuffer

from .interface import INDEX_BITS, PIXEL_ADDRESS, WORD_BITS, Found, Move
from .placer import Placer
from .unstuffer import Unstuffer

#: Number of image buffers.
BANKS = 2

#: Bytes of index and label, over which a record's CRC begins.
SEAL_BYTES = 5


class ImageFetcher(wiring.Component):
    """Fetches the requested images in order. Of a damaged image only the status is valid.

    Integer model: `golden.model.image_store.judged`.

    Throughput: a cycle for each pixel and each coded byte that isn't a run, and about 60 cycles of latency.

    Members
    -------
    move : In(stream.Signature(Move))
        Requested samples, which must be stored.
    index : Out(stream.Signature(INDEX_BITS)), header, known, follow : In, coded : In(stream.Signature(16))
        The other side of the members of `RecordReader`.
    found : Out(stream.Signature(Found))
        Status and label of the oldest image; the transfer releases its buffer.
    address : In(range(784)), pixel : Out(8)
        Synchronous read of that image.
    """

    def __init__(self):
        super().__init__(
            {
                "move": In(stream.Signature(Move)),
                "index": Out(stream.Signature(INDEX_BITS)),
                "header": In(8 * Header.size()),
                "known": In(1),
                "follow": In(1),
                "coded": In(stream.Signature(WORD_BITS)),
                "found": Out(stream.Signature(Found)),
                "address": In(PIXEL_ADDRESS),
                "pixel": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.unstuffer = unstuffer = Unstuffer()
        m.submodules.placer = placer = Placer()
        m.submodules.results = results = SkidBuffer(Found)
        assert BANKS == 2, "a skid buffer holds the results of two images"
        connect(m, results.o, flipped(self.found))
        m.submodules.crc = crc = CRC32_ISO_HDLC(8).create()
        connect(m, flipped(self.coded), unstuffer.coded)
        move, status = Signal(Move), Signal(ImageStatus)
        filled, shown = Signal(), Signal()
        self._images(m, placer, filled, shown)

        def field(name, size):
            return self.header[8 * Header.at(name) :][: 8 * size]

        seal, sealing = Signal(8 * SEAL_BYTES), Signal(range(SEAL_BYTES + 1))
        found = results.i.payload
        intact = crc.crc == field("crc", CRC_BYTES)
        m.d.comb += [
            self.index.payload.eq(self.move.payload.index),
            unstuffer.length.eq(field("coded", 2)),
            placer.move.eq(move),
            placer.pixel.valid.eq(unstuffer.pixel.valid),
            placer.pixel.payload.eq(unstuffer.pixel.payload),
            crc.valid.eq((sealing != 0) | unstuffer.pixel.valid),
            crc.data.eq(Mux(sealing != 0, seal[:8], unstuffer.pixel.payload)),
            found.status.eq(Mux((status == ImageStatus.OK) & ~intact, ImageStatus.BAD_CRC, status)),
            found.label.eq(field("label", 1)),
        ]
        with m.If(self.found.valid & self.found.ready):
            m.d.sync += shown.eq(~shown)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += move.eq(self.move.payload)
                m.d.comb += [self.index.valid.eq(self.move.valid & results.i.ready), crc.start.eq(1)]
                with m.If(self.index.valid & self.index.ready):
                    m.d.comb += self.move.ready.eq(1)
                    m.next = "HEADER"
            with m.State("HEADER"):
                index = Cat(move.index, Const(0, 32 - INDEX_BITS))
                m.d.sync += [seal.eq(Cat(index, field("label", 1))), sealing.eq(0)]
                m.d.comb += placer.start.eq(1)
                with m.If(self.known):
                    m.d.sync += [status.eq(ImageStatus.TOO_LONG), sealing.eq(SEAL_BYTES)]
                    m.next = "SEAL"
                    with m.If(~self.follow):
                        m.next = "RESULT"
                        with m.If(unstuffer.length == 0):
                            m.d.sync += status.eq(ImageStatus.TRUNCATED)
            with m.State("SEAL"):
                m.d.sync += [seal.eq(seal >> 8), sealing.eq(sealing - 1)]
                with m.If(sealing == 1):
                    m.d.comb += unstuffer.start.eq(1)
                    m.next = "IMAGE"
            with m.State("IMAGE"):
                m.d.sync += status.eq(unstuffer.status)
                with m.If(unstuffer.done):
                    m.next = "LAST"
            with m.State("LAST"):
                # the last pixel is being written to the buffer
                m.next = "RESULT"
            with m.State("RESULT"):
                m.d.comb += results.i.valid.eq(1)
                m.d.sync += [filled.eq(~filled), sealing.eq(0)]
                m.next = "IDLE"
        return m

    def _images(self, m, placer, filled, shown):
        """Adds the two image buffers: number ``filled`` is written, number ``shown`` is read."""
        m.submodules.images = images = BlockMemory(shape=8, depth=BANKS << len(self.address))
        write, read = images.write_port(), images.read_port()
        m.d.comb += [
            write.addr.eq(Cat(placer.address, filled)),
            write.data.eq(placer.value),
            write.en.eq(placer.valid),
            read.addr.eq(Cat(self.address, shown)),
            self.pixel.eq(read.data),
        ]
