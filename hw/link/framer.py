"""Encodes answers as serial bytes: header, payload memory, CRC-32, COBS."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.protocol import (
    ANSWER,
    ANSWER_BYTES,
    ANSWER_HEADER,
    CRC_BYTES,
    MAX_WINDOW,
    VERSION,
    WINDOW,
    check_window,
)
from nudge.hw.lib.block_memory import WrittenMemory

from .interface import Answer

#: Code byte of the longest block: 254 bytes without a zero after them.
LONGEST_CODE = 0xFF


class Framer(wiring.Component):
    """Stores the payloads of `window` answers and sends answers: COBS(header, payload, CRC-32), then a zero
    byte.

    An answer is read three times: to compute the CRC, to find the next zero, and to send it.

    For an answer of n bytes before encoding, without the CRC: the latency from the transfer on `i` to the
    first byte is n + 7 cycles and one for each byte before the first zero. An answer takes n + 5 cycles, 4
    for each encoded byte and one more for each block without bytes, if `o` is always ready.

    Parameters
    ----------
    window : int
        Link window, the number of stored answers: a power of two, 1..MAX_WINDOW.

    Members
    -------
    i : In(stream.Signature(Answer))
        Ready when the last byte of the answer before has been taken from `o`. The answer's slot must not be
        written before `i` is ready again.
    write : In(1)
        Strobe that writes a byte of an answer's payload.
    slot : In
        Slot of the answer.
    address : In
        Number of the byte in the payload.
    data : In(8)
        Value of the byte.
    o : Out(stream.Signature(8))
        The encoded answer.
    """

    i: In(stream.Signature(Answer))
    write: In(1)
    slot: In(range(MAX_WINDOW))
    address: In(range(ANSWER_BYTES))
    data: In(8)
    o: Out(stream.Signature(8))

    def __init__(self, window: int = WINDOW):
        self.window = check_window(window)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(8).create()
        depth = self.window * ANSWER_BYTES
        m.submodules.memory = memory = WrittenMemory(shape=8, depth=depth)
        write_port, read_port = memory.write_port(), memory.read_port()
        slot_bits = self.window.bit_length() - 1
        m.d.comb += [
            write_port.addr.eq(Cat(self.address, self.slot[:slot_bits])),
            write_port.data.eq(self.data),
            write_port.en.eq(self.write),
        ]
        at = Reading()
        self._read(m, at, crc, read_port, slot_bits)
        self._send(m, at, crc)
        return m

    def _read(self, m, at, crc, read_port, slot_bits):
        """The read pipeline, block RAM and a register: ``byte`` is the byte of number ``at`` of the answer,
        two cycles after ``index`` had this number.
        """
        answer, index, read, body = at.answer, at.index, at.read, at.body
        crc_byte, header = at.crc_byte, at.header
        payload_address = Signal(range(ANSWER_BYTES))
        m.d.sync += [index.eq(at.target), read.eq(index), at.at.eq(read)]
        payload_or_crc = Mux(read < body, read_port.data, crc_byte)
        m.d.sync += at.byte.eq(Mux(read < ANSWER_HEADER, header, payload_or_crc))
        m.d.sync += body.eq(answer.length + ANSWER_HEADER)
        m.d.sync += at.total.eq(answer.length + (ANSWER_HEADER + CRC_BYTES))
        with m.If(at.jump):
            m.d.sync += at.age.eq(0)
        with m.Elif(~at.settled):
            m.d.sync += at.age.eq(at.age + 1)
        m.d.comb += [
            at.settled.eq(at.age == 2),
            at.target.eq(index),
            payload_address.eq(index - ANSWER_HEADER),
            read_port.addr.eq(Cat(payload_address, answer.slot[:slot_bits])),
            crc.data.eq(at.byte),
            crc_byte.eq(crc.crc.word_select((read - body)[:2], 8)),
        ]
        with m.Switch(read[:2]):
            fields = (VERSION, answer.sequence, answer.command | ANSWER, answer.status)
            for n, value in enumerate(fields):
                with m.Case(n):
                    m.d.comb += header.eq(value)

    def _send(self, m, at, crc):
        """Computes the CRC, then for each block finds the next zero, sends the code byte and the bytes."""

        def jump_to(place):
            m.d.comb += [at.target.eq(place), at.jump.eq(1)]

        start, left = Signal(range(ANSWER_BYTES + 1)), Signal(8)
        code, longest = Signal(8), Signal()
        m.d.comb += code.eq(left + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.i.ready.eq(1), crc.start.eq(1)]
                jump_to(0)
                m.d.sync += [at.answer.eq(self.i.payload), start.eq(0), left.eq(0)]
                with m.If(self.i.valid):
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += at.target.eq(at.index + 1)
                with m.If(at.settled & (at.at == at.body)):
                    jump_to(0)
                    m.next = "SCAN"
                with m.Elif(at.settled):
                    m.d.comb += crc.valid.eq(1)
            with m.State("SCAN"):
                m.d.comb += at.target.eq(at.index + 1)
                ends = (at.at == at.total) | (at.byte == 0) | (code == LONGEST_CODE)
                with m.If(at.settled & ends):
                    jump_to(start)
                    m.next = "CODE"
                with m.Elif(at.settled):
                    m.d.sync += left.eq(left + 1)
            with m.State("CODE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(code)]
                with m.If(self.o.ready):
                    m.d.sync += longest.eq(code == LONGEST_CODE)
                    m.next = "BLOCK"
            with m.State("BLOCK"):
                with m.If(left != 0):
                    m.d.comb += [self.o.valid.eq(at.settled), self.o.payload.eq(at.byte)]
                    with m.If(self.o.ready & at.settled):
                        jump_to(at.index + 1)
                        m.d.sync += left.eq(left - 1)
                with m.Elif(at.index == at.total):
                    m.next = "END"
                with m.Else():
                    # the zero that ends a block is not sent; the longest block has none
                    jump_to(Mux(longest, at.index, at.index + 1))
                    m.d.sync += start.eq(at.target)
                    m.next = "SCAN"
            with m.State("END"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"


class Reading:
    """The state of the read pipeline."""

    def __init__(self):
        #: The answer that is being sent.
        self.answer = Signal(Answer)
        #: Number of its bytes without the CRC, and with it.
        self.body = Signal(range(ANSWER_BYTES + 1))
        self.total = Signal(range(ANSWER_BYTES + 1))
        index = range(ANSWER_BYTES + 4)
        #: Number of the byte that is addressed in this cycle, and in the next one.
        self.index, self.target = Signal(index), Signal(index)
        #: Number of the byte at the memory's output, and of the one in ``byte``. Names are given explicitly
        #: where a tuple assignment hides them.
        self.read, self.at = Signal.like(self.index), Signal.like(self.index, name="at")
        self.byte, self.crc_byte, self.header = Signal(8), Signal(8), Signal(8, name="header")
        #: Strobe: the address doesn't just count on; cycles since the last such jump, at most 2; the pipeline
        #: holds no byte from before it.
        self.jump, self.age, self.settled = Signal(), Signal(range(3)), Signal()
