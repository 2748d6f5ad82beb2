"""Executes STORE and STORE_DIGEST on the store of samples."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.golden.contract.protocol import (
    CRC_BYTES,
    LABELS,
    MAX_DIGESTED,
    REQUEST_BYTES,
    REQUEST_HEADER,
    VALUE_BYTES,
    Command,
    SampleNumber,
    SampleRange,
    Status,
)
from nudge.golden.contract.stored import HEADER_WORDS, MAX_CODED, MAX_SAMPLES, WORD_BYTES
from nudge.hw.memory.interface import ADDRESS_BITS, Store

from .frame_bytes import FrameBytes
from .interface import Executor, ReadPort

#: Address of the first record in a STORE frame.
RECORDS_AT = REQUEST_HEADER + SampleNumber.size()


class RecordAccess(wiring.Component):
    """Executes STORE and STORE_DIGEST.

    STORE: BAD_RANGE for a payload that isn't a sequence of whole records, a label above 9, or no room in the
    memory or the table; NOT_STORED for an index above the number of stored samples. STORE_DIGEST: BAD_RANGE
    for a count of 0 or above `MAX_DIGESTED`; NOT_STORED if one of the samples isn't stored. A request is
    checked completely before the first record is stored.

    Latency of a STORE: about 25 cycles for each record, and 3 for each byte; of a digest: see `ImageStore`.

    Members
    -------
    execute : In(Executor())
    buffer : Out(ReadPort())
    record, data, range, digest, count, end
        The other side of the members of `Store`.
    """

    def __init__(self):
        store = Store().members
        names = ("record", "data", "range", "digest", "count", "end")
        super().__init__(
            {"execute": In(Executor()), "buffer": Out(ReadPort())}
            | {name: store[name].flip() for name in names}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bytes = frame = FrameBytes()
        connect(m, frame.buffer, flipped(self.buffer))
        request, execute = self.execute.request, self.execute
        at = Records()
        number = SampleNumber.size() * 8
        first, wanted = request.arguments[:number], request.arguments[number : 8 * SampleRange.size()]
        words, record = Signal(range(REQUEST_BYTES)), self.record.payload
        reach, beyond, outside = Signal(number + 1), Signal(), Signal()
        tail = Signal(8 * VALUE_BYTES)
        m.d.comb += [
            words.eq(HEADER_WORDS + ((at.coded + WORD_BYTES - 1) >> 1)),
            record.index.eq(at.index),
            record.words.eq(words),
            self.data.payload.eq(Cat(at.low, frame.o.payload)),
            self.range.payload.first.eq(first),
            self.range.payload.count.eq(wanted),
            execute.o.payload.eq(tail[:8]),
        ]
        m.d.sync += [
            at.following.eq(at.place + words * WORD_BYTES),
            at.end.eq(request.length - CRC_BYTES),
            at.last.eq(at.following == at.end),
            at.whole.eq(
                (at.coded != 0) & (at.coded <= MAX_CODED) & (at.label < LABELS) & (at.following <= at.end)
            ),
            reach.eq(Mux(request.command == Command.STORE, first, first + wanted)),
            beyond.eq(reach > self.count),
            outside.eq((first + at.records > MAX_SAMPLES) | (self.end + at.words > 1 << ADDRESS_BITS)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [at.place.eq(RECORDS_AT), at.records.eq(0), at.words.eq(0), at.storing.eq(0)]
                m.d.sync += at.left.eq(VALUE_BYTES)
                with m.If(execute.start):
                    m.next = "RANGE"
                    with m.If(request.command == Command.STORE):
                        m.next = "SEEK"
            self._header(m, frame, at)
            self._judge(m, frame, at, words)
            self._all(m, at, first, beyond, outside)
            self._copy(m, frame, at)
            self._digest(m, at, wanted, beyond, tail)
            with m.State("DONE"):
                self._finish(m, Status.OK)
        return m

    def _finish(self, m, status):
        m.d.comb += [self.execute.done.eq(1), self.execute.status.eq(status)]
        m.next = "IDLE"

    def _header(self, m, frame, at):
        """Reads the record's length and label, then waits two cycles for values derived from them."""
        with m.State("SEEK"):
            m.d.comb += [frame.seek.eq(1), frame.place.eq(at.place)]
            m.d.sync += at.read.eq(0)
            m.next = "HEADER"
        with m.State("HEADER"):
            m.d.comb += frame.o.ready.eq(1)
            with m.If(frame.o.valid):
                m.d.sync += [at.header.eq(Cat(at.header[8:], frame.o.payload)), at.read.eq(at.read + 1)]
                with m.If(at.read == 2):
                    m.next = "MEASURE"
        with m.State("MEASURE"):
            m.next = "COMPARE"
        with m.State("COMPARE"):
            m.next = "JUDGE"

    def _judge(self, m, frame, at, words):
        """First pass: refuses an incomplete record, or goes to the next. Second pass: stores the record."""
        with m.State("JUDGE"):
            m.d.comb += [frame.seek.eq(1), frame.place.eq(at.place)]
            m.d.sync += [at.left.eq(words), at.high.eq(0)]
            with m.If(at.storing):
                m.next = "COPY"
            with m.Elif(~at.whole):
                self._finish(m, Status.BAD_RANGE)
            with m.Else():
                m.d.sync += [
                    at.place.eq(at.following),
                    at.records.eq(at.records + 1),
                    at.words.eq(at.words + words),
                ]
                m.next = "SEEK"
                with m.If(at.last):
                    m.next = "ADD"

    def _all(self, m, at, first, beyond, outside):
        """Refuses the request if there is a gap or no room for all records; else begins the second pass."""
        with m.State("ADD"):
            m.d.sync += [at.index.eq(first), at.place.eq(RECORDS_AT), at.storing.eq(1)]
            m.next = "ALL"
        with m.State("ALL"):
            m.next = "SEEK"
            with m.If(beyond):
                self._finish(m, Status.NOT_STORED)
            with m.Elif(outside):
                self._finish(m, Status.BAD_RANGE)

    def _copy(self, m, frame, at):
        """Sends the words of the current record, two bytes each, to the store."""
        with m.State("COPY"):
            m.d.comb += [
                self.record.valid.eq(1),
                self.data.valid.eq(frame.o.valid & at.high & (at.left != 0)),
                frame.o.ready.eq(~at.high | (self.data.ready & (at.left != 0))),
            ]
            with m.If(frame.o.valid & frame.o.ready):
                m.d.sync += [at.low.eq(frame.o.payload), at.high.eq(~at.high)]
            with m.If(self.data.valid & self.data.ready):
                m.d.sync += at.left.eq(at.left - 1)
            with m.If(self.record.ready):
                m.d.sync += [at.place.eq(at.following), at.index.eq(at.index + 1)]
                m.next = "SEEK"
                with m.If(at.last):
                    m.next = "DONE"

    def _digest(self, m, at, wanted, beyond, tail):
        """STORE_DIGEST: requests the digest from the store, and answers its bytes."""
        with m.State("RANGE"):
            m.next = "DIGEST"
            with m.If((wanted == 0) | (wanted > MAX_DIGESTED)):
                self._finish(m, Status.BAD_RANGE)
        with m.State("DIGEST"):
            m.d.comb += self.range.valid.eq(~beyond)
            m.d.sync += tail.eq(self.digest)
            with m.If(beyond):
                self._finish(m, Status.NOT_STORED)
            with m.Elif(self.range.ready):
                m.next = "TAIL"
        with m.State("TAIL"):
            m.d.comb += self.execute.o.valid.eq(1)
            m.d.sync += [tail.eq(tail >> 8), at.left.eq(at.left - 1)]
            with m.If(at.left == 1):
                m.next = "DONE"


class Records:
    """Progress of a STORE or STORE_DIGEST."""

    def __init__(self):
        place = range(2 * REQUEST_BYTES)
        #: Addresses in the frame: of the current record, of the next one, and of the end of the records.
        self.place, self.following, self.end = (
            Signal(place),
            Signal(place, name="following"),
            Signal(place, name="end_at"),
        )
        #: The current record ends at the end of the records; it is one that may be stored.
        self.last, self.whole = Signal(name="last"), Signal(name="whole")
        #: Whole records so far and their words; high in the second pass; index of the current record.
        self.records, self.words = Signal(range(REQUEST_BYTES)), Signal(range(REQUEST_BYTES), name="words")
        self.storing, self.index = Signal(), Signal(range(MAX_SAMPLES + REQUEST_BYTES), name="index")
        #: The first three bytes of its header, length and label; number of bytes read.
        self.header, self.read = Signal(24), Signal(2, name="read")
        self.coded, self.label = self.header[:16], self.header[16:]
        #: Words still to copy, or bytes of the digest still to answer; the low byte of a word, and whether it
        #: was read.
        self.left, self.low, self.high = (
            Signal(range(REQUEST_BYTES)),
            Signal(8, name="low"),
            Signal(name="high"),
        )
