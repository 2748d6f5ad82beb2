"""The store of samples, between the link and the memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import Out, connect, flipped

from .image_fetcher import ImageFetcher
from .interface import INDEX_BITS, WORD_BITS, Port, Store
from .record_reader import RecordReader
from .record_writer import RecordWriter


class ImageStore(wiring.Component):
    """Stores records, fetches images, computes digests. Integer model: `golden.model.image_store`.

    A record may be stored while images are fetched, since the memory executes accesses in order. While a
    digest is computed, no image may be fetched. Only stored samples may be requested: the requester has
    already refused an unknown index, a record that isn't valid, or one without room in the memory.

    A digest takes a cycle for each word, and about 60 for each record.

    Members
    -------
    record, data, forget, count, end, move, found, address, pixel, range, digest
        As in `Store`.
    port : Out(Port())
        The memory.
    """

    def __init__(self):
        super().__init__(dict(Store().members.items()) | {"port": Out(Port())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.writer = writer = RecordWriter()
        m.submodules.reader = reader = RecordReader()
        m.submodules.fetcher = fetcher = ImageFetcher()
        port = self.port
        for name in ("record", "data"):
            connect(m, flipped(getattr(self, name)), getattr(writer, name))
        connect(m, writer.write, flipped(port.write))
        connect(m, flipped(port.read), reader.read)
        connect(m, flipped(self.move), fetcher.move)
        connect(m, fetcher.found, flipped(self.found))
        # registered once more: the strobe of a write to a register already has a long path
        m.d.sync += writer.forget.eq(self.forget)
        m.d.comb += [
            self.count.eq(writer.count),
            self.end.eq(writer.end),
            fetcher.address.eq(self.address),
            self.pixel.eq(fetcher.pixel),
            fetcher.header.eq(reader.header),
            fetcher.known.eq(reader.known),
            fetcher.follow.eq(reader.follow),
        ]
        self._access(m, writer, reader)
        self._digest(m, reader, fetcher)
        return m

    def _access(self, m, writer, reader):
        """Arbitrates between writer and reader: the writer first, but an offered access stays until taken."""
        access, writing, held = self.port.access, Signal(), Signal()
        was_writing = Signal()
        m.d.comb += writing.eq(writer.access.valid)
        m.d.sync += [held.eq(access.valid & ~access.ready), was_writing.eq(writing)]
        with m.If(held):
            m.d.comb += writing.eq(was_writing)
        with m.If(writing):
            connect(m, writer.access, flipped(access))
        with m.Else():
            connect(m, reader.access, flipped(access))

    def _digest(self, m, reader, fetcher):
        """Computes a digest while one is requested; otherwise connects the reader to the fetcher."""
        m.submodules.crc = crc = CRC32_ISO_HDLC(WORD_BITS).create()
        read, wanted = Signal(INDEX_BITS + 1), self.range.payload
        digesting, last = Signal(), Signal()
        m.d.comb += [
            last.eq(read == wanted.count),
            crc.data.eq(reader.seen.payload),
            crc.valid.eq(reader.seen.valid),
            self.digest.eq(crc.crc),
        ]
        m.d.sync += digesting.eq(self.range.valid & ~self.range.ready)
        with m.If(digesting):
            m.d.comb += [
                reader.index.payload.eq(wanted.first + read),
                reader.index.valid.eq(~last),
                reader.coded.ready.eq(1),
                # the reader is ready for the next index when the record before is complete
                self.range.ready.eq(last & reader.index.ready),
            ]
            with m.If(reader.index.valid & reader.index.ready):
                m.d.sync += read.eq(read + 1)
        with m.Else():
            m.d.comb += crc.start.eq(1)
            m.d.sync += read.eq(0)
            m.d.comb += [
                reader.index.payload.eq(fetcher.index.payload),
                # `digesting` begins a cycle after the request
                reader.index.valid.eq(fetcher.index.valid & ~self.range.valid),
                fetcher.index.ready.eq(reader.index.ready & ~self.range.valid),
            ]
            connect(m, reader.coded, fetcher.coded)
