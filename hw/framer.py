"""Answers to serial bytes: header, payload memory, checksum, COBS encoding."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .link_interface import Answer
from .protocol import ANSWER, ANSWER_BYTES, ANSWER_HEADER, CRC_BYTES, MAX_WINDOW, VERSION, WINDOW, check_window

#: A code byte of 0xFF stands for 254 bytes that no zero follows.
LONGEST_CODE = 0xFF


class Framer(wiring.Component):
    """Keeps the payloads of `window` answers and sends answers: COBS(header, payload, CRC-32), zero byte.

    An answer is read three times: for the CRC, for the next zero, and to send it.

    Latency: from the transfer on `i` to the first byte n + 3 cycles and one for each byte before the first zero, for n bytes
    before encoding without the CRC. Throughput: an answer takes n + 3 cycles, 2 for each encoded byte that isn't a code byte
    and 3 for each code byte, if `o` is always ready.

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

        # `byte` is always byte `index` of the answer; `target` is the index of the next cycle.
        index, target = Signal(range(ANSWER_BYTES + 1)), Signal(range(ANSWER_BYTES + 1))
        byte, crc_byte, header = Signal(8), Signal(8), Signal(8)
        at_end = Signal()
        payload_address = Signal(range(ANSWER_BYTES))
        m.d.sync += index.eq(target)
        m.d.comb += [
            body.eq(answer.length + ANSWER_HEADER),
            total.eq(body + CRC_BYTES),
            at_end.eq(index == total),
            target.eq(index),
            payload_address.eq(target - ANSWER_HEADER),
            read_port.addr.eq(Cat(payload_address, answer.slot[:slot_bits])),
            crc.data.eq(byte),
            crc_byte.eq(crc.crc.word_select((index - body)[:2], 8)),
            byte.eq(Mux(index < ANSWER_HEADER, header, Mux(index < body, read_port.data, crc_byte))),
        ]
        with m.Switch(index[:2]):
            for n, value in enumerate((VERSION, answer.sequence, answer.command | ANSWER, answer.status)):
                with m.Case(n):
                    m.d.comb += header.eq(value)

        start, left = Signal(range(ANSWER_BYTES + 1)), Signal(8)
        code, longest = Signal(8), Signal()
        m.d.comb += code.eq(left + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.i.ready.eq(1), target.eq(0), crc.start.eq(1)]
                m.d.sync += [answer.eq(self.i.payload), start.eq(0), left.eq(0)]
                with m.If(self.i.valid):
                    m.next = "SUM"
            with m.State("SUM"):
                with m.If(index == body):
                    m.d.comb += target.eq(0)
                    m.next = "SCAN"
                with m.Else():
                    m.d.comb += [target.eq(index + 1), crc.valid.eq(1)]
            with m.State("SCAN"):
                with m.If(at_end | (byte == 0) | (code == LONGEST_CODE)):
                    m.d.comb += target.eq(start)
                    m.next = "CODE"
                with m.Else():
                    m.d.comb += target.eq(index + 1)
                    m.d.sync += left.eq(left + 1)
            with m.State("CODE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(code)]
                with m.If(self.o.ready):
                    m.d.sync += longest.eq(code == LONGEST_CODE)
                    m.next = "BLOCK"
            with m.State("BLOCK"):
                with m.If(left != 0):
                    m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(byte)]
                    with m.If(self.o.ready):
                        m.d.comb += target.eq(index + 1)
                        m.d.sync += left.eq(left - 1)
                with m.Elif(at_end):
                    m.next = "END"
                with m.Else():
                    # the zero that ends a block is not sent; after a longest block there is none
                    m.d.comb += target.eq(Mux(longest, index, index + 1))
                    m.d.sync += start.eq(target)
                    m.next = "SCAN"
            with m.State("END"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m
