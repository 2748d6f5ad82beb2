"""Executes READ_WEIGHTS, WRITE_WEIGHTS and DIGEST on the core's master memories."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    CRC_BYTES,
    MASTER_BYTES,
    REQUEST_HEADER,
    Command,
    Status,
    WordAddress,
    readable_words,
    request_bytes,
)
from nudge.hw.core.interface import LANE_LATENCY, READ_LATENCY, CoreSignature

from .digest import Digest
from .interface import Executor, ReadPort

#: Bytes of a lane on the link.
LANE_BYTES = MASTER_BYTES
# one byte is sent in each cycle, while the next lane is read
assert LANE_BYTES == LANE_LATENCY

#: First weight byte in a WRITE_WEIGHTS frame.
WEIGHTS_AT = REQUEST_HEADER + WordAddress.size()


def word_bytes(config: Config, bundle) -> int:
    """Bytes of one master word on the link."""
    return LANE_BYTES * config.lanes[bundle.index]


def max_words(config: Config, bundle) -> int:
    """Maximum number of words of one READ_WEIGHTS."""
    return readable_words(config.lanes[bundle.index])


class WeightAccess(wiring.Component):
    """Executes READ_WEIGHTS, WRITE_WEIGHTS and DIGEST. Bundles are numbered as `Bundle.index`, 1..N.

    BAD_ORDER: samples are pending. BAD_RANGE: an unknown bundle; words outside `layout.image_words`; a read
    of 0 words or of more than `max_words`; a write of 0 words, of a part of a word, or of a running mean
    outside `Spec.mean_range`. A request is checked completely before a word is read or written, so a write
    makes two passes over the frame if the network has running means.

    Latency from `start` to `done`: a read takes 3 cycles, and n + `READ_LATENCY` + 1 for each word of n
    bytes; a digest 5 more; a write 4 cycles, and 3 n + 1 for each word, all that twice if there are running
    means.

    Members
    -------
    execute : In(Executor(request_bytes(config.spec)))
        Commands from the decoder.
    buffer : Out(ReadPort(request_bytes(config.spec)))
        The frame buffer, for WRITE_WEIGHTS.
    pending : In(1)
        Trained samples aren't committed yet.
    written : Out(1)
        Strobe in each cycle in which a word's last lane is written.
    bundle, address, lane, write, write_data : Out, read_data : In
        Master memory, as in `CoreSignature`.
    """

    def __init__(self, config: Config):
        self.config = config
        bundles = config.spec.bundles
        #: Bytes of the widest word, words of the deepest memory.
        self.widest = max(word_bytes(config, b) for b in bundles)
        self.deepest = max(layout.image_words(config, b) for b in bundles)
        self.frame_bytes = request_bytes(config.spec)
        #: Writes may contain running means, which a first pass checks.
        self.checks = config.spec.schedule.centred
        core = CoreSignature(config).members
        ports = ("bundle", "address", "lane", "write", "write_data", "read_data")
        super().__init__(
            {
                "execute": In(Executor(self.frame_bytes)),
                "buffer": Out(ReadPort(self.frame_bytes)),
                "pending": In(1),
                "written": Out(1),
            }
            | {name: core[name].flip() for name in ports}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.digest = digest = Digest()
        request = self.execute.request
        bundle = self._bundle(m, request.arguments[:8])
        reading, digesting = Signal(), Signal()
        m.d.comb += [
            reading.eq(request.command == Command.READ_WEIGHTS),
            digesting.eq(request.command == Command.DIGEST),
        ]
        at = Progress(self.widest, self.deepest, self.frame_bytes)
        self._data_path(m, at, digest)
        with m.If(at.age != READ_LATENCY):
            m.d.sync += at.age.eq(at.age + 1)

        with m.FSM():
            self._begin(m, at, bundle, digesting)
            self._check(m, at, bundle, reading, digesting, digest)
            self._read(m, at, bundle, reading, digest)
            self._write(m, at, bundle)
            with m.State("DONE"):
                self._finish(m, Status.OK)
        return m

    def _bundle(self, m, number):
        """Facts of the bundle of this number of the cycle before, as a `NamedBundle`."""
        config, bundles = self.config, self.config.spec.bundles
        depth = Signal(range(self.deepest + 1))
        size = Signal(range(self.widest + 1))
        readable = Signal(range(max(max_words(config, b) for b in bundles) + 1))
        known = Signal()
        m.d.sync += known.eq(0)
        with m.Switch(number):
            for n, b in enumerate(bundles):
                with m.Case(b.index):
                    m.d.sync += [
                        known.eq(1),
                        self.bundle.eq(n),
                        depth.eq(layout.image_words(config, b)),
                        size.eq(word_bytes(config, b)),
                        readable.eq(max_words(config, b)),
                    ]
        return NamedBundle(known, depth, size, readable)

    def _data_path(self, m, at, digest):
        """Connects frame buffer, master memories, answer and digest."""
        byte = Signal(8)
        m.d.comb += [
            self.address.eq(at.word[: len(self.address)]),
            self.write_data.eq(Cat(at.low, at.fetched)),
            self.written.eq(self.write & (at.left == 1)),
            self.buffer.address.eq(at.byte),
            byte.eq(self.read_data.word_select(at.high, 8)),
            self.execute.o.payload.eq(byte),
            digest.i.payload.eq(byte),
        ]

    def _finish(self, m, status):
        m.d.comb += [self.execute.done.eq(1), self.execute.status.eq(status)]
        m.next = "IDLE"

    def _begin(self, m, at, bundle, digesting):
        """Loads the arguments of a request; counts the words of a write."""
        request = self.execute.request
        first_word, count = request.arguments[8:40], request.arguments[40:48]

        def take():
            m.d.sync += [at.word.eq(first_word), at.words.eq(count), at.byte.eq(WEIGHTS_AT)]
            m.d.sync += [self.lane.eq(0), at.high.eq(0)]
            m.d.sync += at.unread.eq(request.length - (WEIGHTS_AT + CRC_BYTES))

        with m.State("IDLE"):
            take()
            if self.checks:
                m.d.sync += at.checked.eq(0)
            with m.If(digesting):
                m.d.sync += at.word.eq(0)
            with m.If(self.execute.start):
                m.next = "MEASURE"
                with m.If(request.command == Command.WRITE_WEIGHTS):
                    m.d.sync += at.words.eq(0)
                    m.next = "COUNT"
        if self.checks:
            with m.State("AGAIN"):
                take()
                m.d.sync += [at.words.eq(0), at.checked.eq(1)]
                m.next = "COUNT"
        with m.State("COUNT"):
            # words = unread / size by repeated subtraction; the remainder is left in `unread`
            with m.If(bundle.known & (at.unread >= bundle.size)):
                m.d.sync += [at.unread.eq(at.unread - bundle.size), at.words.eq(at.words + 1)]
            with m.Else():
                m.next = "MEASURE"

    def _check(self, m, at, bundle, reading, digesting, digest):
        """Refuses the request, or goes on to its first word."""
        outside = Signal()
        with m.State("MEASURE"):
            beyond = at.word + at.words > bundle.depth
            unlike = Mux(reading, at.words > bundle.readable, at.unread != 0)
            m.d.sync += outside.eq(~bundle.known | (~digesting & ((at.words == 0) | beyond | unlike)))
            with m.If(digesting):
                m.d.sync += at.words.eq(bundle.depth)
            m.next = "CHECK"
        with m.State("CHECK"):
            m.d.comb += digest.clear.eq(1)
            m.d.sync += [at.age.eq(0), at.left.eq(bundle.size)]
            with m.If(self.pending):
                self._finish(m, Status.BAD_ORDER)
            with m.Elif(outside):
                self._finish(m, Status.BAD_RANGE)
            with m.Elif(reading | digesting):
                m.next = "LOAD"
            with m.Else():
                m.next = "FETCH"

    def _read(self, m, at, bundle, reading, digest):
        """Sends words to the answer and the digest; after the last word of a DIGEST, answers the digest."""
        o = self.execute.o
        tail = Signal(8 * CRC_BYTES)
        with m.State("LOAD"):
            m.d.sync += at.left.eq(bundle.size)
            with m.If(at.age == READ_LATENCY):
                m.d.sync += self.lane.eq(1)  # the next lane, read while this one is sent
                m.next = "EMIT"
        with m.State("EMIT"):
            m.d.comb += [o.valid.eq(reading), digest.i.valid.eq(1)]
            m.d.sync += [at.left.eq(at.left - 1), at.high.eq(~at.high)]
            with m.If(at.high):
                m.d.sync += self.lane.eq(self.lane + 1)
            with m.If(at.left == 1):
                m.d.sync += [at.words.eq(at.words - 1), at.word.eq(at.word + 1)]
                m.d.sync += [at.age.eq(0), self.lane.eq(0)]
                m.next = "LOAD"
                with m.If(at.words == 1):
                    m.next = "DIGEST"
        with m.State("DIGEST"):
            m.d.sync += [tail.eq(digest.crc), at.left.eq(CRC_BYTES)]
            m.next = "TAIL"
            with m.If(reading):
                self._finish(m, Status.OK)
        with m.State("TAIL"):
            m.d.comb += [o.valid.eq(1), o.payload.eq(tail[:8])]
            m.d.sync += [tail.eq(tail >> 8), at.left.eq(at.left - 1)]
            with m.If(at.left == 1):
                m.next = "DONE"

    def _write(self, m, at, bundle):
        """Copies words from the frame buffer to the master memory, a byte in three cycles."""
        with m.State("FETCH"):
            m.d.sync += at.byte.eq(at.byte + 1)
            m.next = "WAIT"
        with m.State("WAIT"):
            m.d.sync += [at.fetched.eq(self.buffer.data), at.low.eq(at.fetched)]
            m.next = "TAKE"
        with m.State("TAKE"):
            m.d.comb += self.write.eq(at.high & at.checked if self.checks else at.high)
            m.d.sync += [at.left.eq(at.left - 1), at.high.eq(~at.high)]
            m.next = "FETCH"
            with m.If(at.high):
                m.d.sync += self.lane.eq(self.lane + 1)
            with m.If(at.left == 1):
                m.d.sync += [at.word.eq(at.word + 1), at.words.eq(at.words - 1)]
                m.d.sync += [at.left.eq(bundle.size), self.lane.eq(0)]
                with m.If(at.words == 1):
                    m.next = "DONE"
            if self.checks:
                self._check_means(m, at)

    def _check_means(self, m, at):
        """First pass: refuses running means out of range in `write_data`, then starts the second pass."""
        low, high = layout.mean_halves(self.config)
        outside = Signal(name="mean_outside")
        with m.Switch(self.bundle):
            for n, b in enumerate(self.config.spec.bundles):
                means = layout.master_words(self.config, b)
                with m.Case(n):
                    over = Mux(
                        at.word[0] ^ (means & 1), self.write_data[high:].any(), self.write_data[low:].any()
                    )
                    m.d.comb += outside.eq((self.address >= means) & over)
        with m.If(~at.checked):
            with m.If(at.high & outside):
                self._finish(m, Status.BAD_RANGE)
            with m.Elif((at.left == 1) & (at.words == 1)):
                m.next = "AGAIN"


class NamedBundle(NamedTuple):
    """Facts of the bundle that a request addresses."""

    #: A bundle of this number exists.
    known: Signal
    #: Number of its master words.
    depth: Signal
    #: Bytes of a word.
    size: Signal
    #: Maximum number of words of one READ_WEIGHTS.
    readable: Signal


class Progress:
    """Progress of a request."""

    def __init__(self, widest: int, deepest: int, frame_bytes: int):
        #: Address of the current word.
        self.word = Signal(32)
        #: Words left to transfer.
        self.words = Signal(range(deepest + frame_bytes))
        #: Weight bytes of the frame that aren't counted as words yet.
        self.unread = Signal(range(frame_bytes + 1))
        #: Address in the frame buffer.
        self.byte = Signal(range(frame_bytes + 1), name="at")
        #: Bytes left of the current word, or of the digest.
        self.left = Signal(range(max(widest, CRC_BYTES) + 1))
        #: Second pass over the frame, in which words are written.
        self.checked = Signal()
        #: The next byte is the second one of its lane.
        self.high = Signal()
        #: Byte from the frame buffer, registered because the block RAM is slow and its wires are long.
        self.fetched = Signal(8, reset_less=True)
        #: The byte before.
        self.low = Signal(8, reset_less=True)
        #: Cycles since the address changed, at most `READ_LATENCY`.
        self.age = Signal(range(READ_LATENCY + 1))
