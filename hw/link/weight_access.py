"""Executes READ_WEIGHTS, WRITE_WEIGHTS and DIGEST on the core's master memories."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.protocol import CRC_BYTES, REQUEST_BYTES, REQUEST_HEADER, Command, Status
from hw.core.interface import LANE_LATENCY, MASTER_BITS, READ_LATENCY, CoreSignature

from .digest import Digest
from .interface import ANSWER_PAYLOAD, Executor, ReadPort

#: Bytes of a lane on the link.
LANE_BYTES = MASTER_BITS // 8
# a byte leaves in each cycle, and meanwhile the next lane comes
assert LANE_BYTES == LANE_LATENCY

#: First weight byte in a WRITE_WEIGHTS frame: after bundle u8 and word u32.
WEIGHTS_AT = REQUEST_HEADER + 5


def word_bytes(config: Config, bundle) -> int:
    """Bytes of one master word on the link: `lanes` weights, s16 each."""
    return LANE_BYTES * config.lanes[bundle.index]


def max_words(config: Config, bundle) -> int:
    """Most words that one READ_WEIGHTS may ask for."""
    return ANSWER_PAYLOAD // word_bytes(config, bundle)


class WeightAccess(wiring.Component):
    """READ_WEIGHTS, WRITE_WEIGHTS and DIGEST. Bundles are numbered as `Bundle.index`, 1..N.

    BAD_ORDER: samples are pending. BAD_RANGE: no such bundle; words outside `layout.master_words`; a read of no word or of more
    than `max_words`; a write of no word or of a part of one. Nothing is read or written before all of it is checked.

    Throughput: a word of n bytes takes n + `READ_LATENCY` + 1 cycles to read or digest, 3 n to write and 1 to count.

    Members
    -------
    execute : In(Executor())
    buffer : Out(ReadPort())
        The frame buffer, for WRITE_WEIGHTS.
    pending : In(1)
        Samples are pending.
    written : Out(1)
        High in each cycle in which a word's last lane is written.
    bundle, address, lane, write, write_data : Out, read_data : In
        Master memory, as in `CoreSignature`.
    """

    def __init__(self, config: Config):
        self.config = config
        core = CoreSignature(config).members
        super().__init__(
            {
                "execute": In(Executor()),
                "buffer": Out(ReadPort()),
                "pending": In(1),
                "written": Out(1),
            }
            | {name: core[name].flip() for name in ("bundle", "address", "lane", "write", "write_data", "read_data")}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.digest = digest = Digest()
        config, bundles = self.config, self.config.spec.bundles
        request, o = self.execute.request, self.execute.o
        number, first_word, count = request.arguments[:8], request.arguments[8:40], request.arguments[40:48]

        largest, deepest = max(word_bytes(config, b) for b in bundles), max(layout.master_words(config, b) for b in bundles)
        depth = Signal(range(deepest + 1))
        size = Signal(range(largest + 1))
        readable = Signal(range(max(max_words(config, b) for b in bundles) + 1))
        known = Signal()
        with m.Switch(number):
            for n, b in enumerate(bundles):
                with m.Case(b.index):
                    m.d.comb += [
                        known.eq(1),
                        self.bundle.eq(n),
                        depth.eq(layout.master_words(config, b)),
                        size.eq(word_bytes(config, b)),
                        readable.eq(max_words(config, b)),
                    ]

        reading, digesting = Signal(), Signal()
        m.d.comb += [
            reading.eq(request.command == Command.READ_WEIGHTS),
            digesting.eq(request.command == Command.DIGEST),
        ]
        word = Signal(32)
        words = Signal(range(deepest + REQUEST_BYTES))  # still to do
        unread = Signal(range(REQUEST_BYTES + 1))  # weight bytes of the frame
        at = Signal(range(REQUEST_BYTES + 1))
        tail = Signal(8 * CRC_BYTES)
        left = Signal(range(max(largest, CRC_BYTES) + 1))  # bytes of the word at hand
        high = Signal()  # which byte of a lane
        fetched = Signal(8, reset_less=True)  # block RAM is slow, and far away
        low = Signal(8, reset_less=True)
        byte = Signal(8)
        outside = Signal()
        age = Signal(range(READ_LATENCY + 1))  # cycles since the address changed
        m.d.comb += [
            self.address.eq(word[: len(self.address)]),
            self.write_data.eq(Cat(low, fetched)),
            self.written.eq(self.write & (left == 1)),
            self.buffer.address.eq(at),
            byte.eq(self.read_data.word_select(high, 8)),
            o.payload.eq(byte),
            digest.i.payload.eq(byte),
        ]
        with m.If(age != READ_LATENCY):
            m.d.sync += age.eq(age + 1)

        def finish(status):
            m.d.comb += [self.execute.done.eq(1), self.execute.status.eq(status)]
            m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [word.eq(first_word), words.eq(count), at.eq(WEIGHTS_AT), self.lane.eq(0), high.eq(0)]
                m.d.sync += unread.eq(request.length - (WEIGHTS_AT + CRC_BYTES))
                with m.If(digesting):
                    m.d.sync += [word.eq(0), words.eq(depth)]
                with m.If(self.execute.start):
                    m.next = "MEASURE"
                    with m.If(request.command == Command.WRITE_WEIGHTS):
                        m.d.sync += words.eq(0)
                        m.next = "COUNT"
            with m.State("COUNT"):
                # words = unread / size, by subtraction; a rest is left in `unread`
                with m.If(known & (unread >= size)):
                    m.d.sync += [unread.eq(unread - size), words.eq(words + 1)]
                with m.Else():
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                m.d.sync += outside.eq(~known | (words == 0) | (word + words > depth))
                m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += digest.clear.eq(1)
                m.d.sync += [age.eq(0), left.eq(size)]
                with m.If(self.pending):
                    finish(Status.BAD_ORDER)
                with m.Elif(outside):
                    finish(Status.BAD_RANGE)
                with m.Elif(reading):
                    m.next = "LOAD"
                    with m.If(words > readable):
                        finish(Status.BAD_RANGE)
                with m.Elif(digesting):
                    m.next = "LOAD"
                with m.Elif(unread != 0):
                    finish(Status.BAD_RANGE)
                with m.Else():
                    m.next = "FETCH"

            with m.State("LOAD"):
                m.d.sync += left.eq(size)
                with m.If(age == READ_LATENCY):
                    m.d.sync += self.lane.eq(1)  # the next one, under way while this one leaves
                    m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += [o.valid.eq(reading), digest.i.valid.eq(1)]
                m.d.sync += [left.eq(left - 1), high.eq(~high)]
                with m.If(high):
                    m.d.sync += self.lane.eq(self.lane + 1)
                with m.If(left == 1):
                    m.d.sync += [words.eq(words - 1), word.eq(word + 1), age.eq(0), self.lane.eq(0)]
                    m.next = "LOAD"
                    with m.If(words == 1):
                        m.next = "DIGEST"
            with m.State("DIGEST"):
                m.d.sync += [tail.eq(digest.crc), left.eq(CRC_BYTES)]
                m.next = "TAIL"
                with m.If(reading):
                    finish(Status.OK)
            with m.State("TAIL"):
                m.d.comb += [o.valid.eq(1), o.payload.eq(tail[:8])]
                m.d.sync += [tail.eq(tail >> 8), left.eq(left - 1)]
                with m.If(left == 1):
                    m.next = "DONE"

            with m.State("FETCH"):
                m.d.sync += at.eq(at + 1)
                m.next = "WAIT"
            with m.State("WAIT"):
                m.d.sync += [fetched.eq(self.buffer.data), low.eq(fetched)]
                m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += self.write.eq(high)
                m.d.sync += [left.eq(left - 1), high.eq(~high)]
                m.next = "FETCH"
                with m.If(high):
                    m.d.sync += self.lane.eq(self.lane + 1)
                with m.If(left == 1):
                    m.d.sync += [word.eq(word + 1), words.eq(words - 1), left.eq(size), self.lane.eq(0)]
                    with m.If(words == 1):
                        m.next = "DONE"
            with m.State("DONE"):
                finish(Status.OK)
        return m
