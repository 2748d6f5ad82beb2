"""Answers to serial bytes: header, payload memory, checksum, COBS encoding."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.contract.protocol import ANSWER, ANSWER_BYTES, ANSWER_HEADER, CRC_BYTES, MAX_WINDOW, VERSION, WINDOW, check_window

from .interface import Answer

#: A code byte of 0xFF stands for 254 bytes that no zero follows.
LONGEST_CODE = 0xFF


class Framer(wiring.Component):
    """Keeps the payloads of `window` answers and sends answers: COBS(header, payload, CRC-32), zero byte.

    An answer is read three times: for the CRC, for the next zero, and to send it.

    Latency: from the transfer on `i` to the first byte n + 7 cycles and one for each byte before the first zero, for n bytes
    before encoding without the CRC. Throughput: an answer takes n + 5 cycles, 4 for each encoded byte and one more for
    each block without bytes, if `o` is always ready.

    Parameters
    ----------
    window : int
        A power of two, 1..MAX_WINDOW.

    Members
    -------
    i : In(stream.Signature(Answer))
        Ready when the answer before has been handed to `o`. Its slot must not be written until `i` is ready again.
    write : In(1), slot : In, address : In, data : In(8)
        Writes the payload of an answer slot.
    o : Out(stream.Signature(8))
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
        m.submodules.memory = memory = Memory(shape=8, depth=self.window * ANSWER_BYTES, init=[])
        write_port, read_port = memory.write_port(), memory.read_port()
        slot_bits = self.window.bit_length() - 1
        m.d.comb += [
            write_port.addr.eq(Cat(self.address, self.slot[:slot_bits])),
            write_port.data.eq(self.data),
            write_port.en.eq(self.write),
        ]

        answer = Signal(Answer)
        body = Signal(range(ANSWER_BYTES + 1))  # bytes without the CRC
        total = Signal(range(ANSWER_BYTES + 1))

        # Two cycles after `index` comes `byte`, which is byte `at` of the answer: block RAM, then a register. `settled`: none
        # on the way there is from before a jump.
        index, target = Signal(range(ANSWER_BYTES + 4)), Signal(range(ANSWER_BYTES + 4))
        read, at = Signal.like(index), Signal.like(index)
        byte, crc_byte, header = Signal(8), Signal(8), Signal(8)
        jump, age, settled = Signal(), Signal(range(3)), Signal()
        payload_address = Signal(range(ANSWER_BYTES))
        m.d.sync += [index.eq(target), read.eq(index), at.eq(read)]
        m.d.sync += byte.eq(Mux(read < ANSWER_HEADER, header, Mux(read < body, read_port.data, crc_byte)))
        m.d.sync += [body.eq(answer.length + ANSWER_HEADER), total.eq(answer.length + (ANSWER_HEADER + CRC_BYTES))]
        with m.If(jump):
            m.d.sync += age.eq(0)
        with m.Elif(~settled):
            m.d.sync += age.eq(age + 1)
        m.d.comb += [
            settled.eq(age == 2),
            target.eq(index),
            payload_address.eq(index - ANSWER_HEADER),
            read_port.addr.eq(Cat(payload_address, answer.slot[:slot_bits])),
            crc.data.eq(byte),
            crc_byte.eq(crc.crc.word_select((read - body)[:2], 8)),
        ]
        with m.Switch(read[:2]):
            for n, value in enumerate((VERSION, answer.sequence, answer.command | ANSWER, answer.status)):
                with m.Case(n):
                    m.d.comb += header.eq(value)

        def jump_to(place):
            m.d.comb += [target.eq(place), jump.eq(1)]

        start, left = Signal(range(ANSWER_BYTES + 1)), Signal(8)
        code, longest = Signal(8), Signal()
        m.d.comb += code.eq(left + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.i.ready.eq(1), crc.start.eq(1)]
                jump_to(0)
                m.d.sync += [answer.eq(self.i.payload), start.eq(0), left.eq(0)]
                with m.If(self.i.valid):
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += target.eq(index + 1)
                with m.If(settled & (at == body)):
                    jump_to(0)
                    m.next = "SCAN"
                with m.Elif(settled):
                    m.d.comb += crc.valid.eq(1)
            with m.State("SCAN"):
                m.d.comb += target.eq(index + 1)
                with m.If(settled & ((at == total) | (byte == 0) | (code == LONGEST_CODE))):
                    jump_to(start)
                    m.next = "CODE"
                with m.Elif(settled):
                    m.d.sync += left.eq(left + 1)
            with m.State("CODE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(code)]
                with m.If(self.o.ready):
                    m.d.sync += longest.eq(code == LONGEST_CODE)
                    m.next = "BLOCK"
            with m.State("BLOCK"):
                with m.If(left != 0):
                    m.d.comb += [self.o.valid.eq(settled), self.o.payload.eq(byte)]
                    with m.If(self.o.ready & settled):
                        jump_to(index + 1)
                        m.d.sync += left.eq(left - 1)
                with m.Elif(index == total):
                    m.next = "END"
                with m.Else():
                    # the zero that ends a block is not sent; after a longest block there is none
                    jump_to(Mux(longest, index, index + 1))
                    m.d.sync += start.eq(target)
                    m.next = "SCAN"
            with m.State("END"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m
