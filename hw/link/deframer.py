"""Serial bytes to request frames: COBS with zero runs, checksum, frame buffers."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract.protocol import (
    CRC_BYTES,
    FULL_BLOCK,
    LONGEST_RUN,
    REQUEST_BYTES,
    REQUEST_HEADER,
    WINDOW,
    Status,
    check_window,
)

from .interface import ARGUMENT_BYTES, ReadPort, Request


class Deframer(wiring.Component):
    """Collects frames in `window` buffers.

    A zero byte ends a frame, whatever came before it, and no other state outlives it: no sequence of bytes can wedge this.
    Zero bytes that follow a zero byte are ignored. A frame's status is the first that holds: BAD_FRAME (its last block
    is cut short), BAD_LENGTH (it decodes to fewer bytes than header and CRC, or to more than `REQUEST_BYTES`), BAD_CRC, OK.
    Each of them is handed on, as each gets an answer. A frame that begins while all buffers are taken is dropped whole, and
    counted.

    Latency: `o.valid` rises two cycles after the zero byte, or three after the transfer of the frame before. Throughput: one
    byte a cycle, but a byte that stands for n zeros keeps it for n cycles more, as long as they are stored.

    Parameters
    ----------
    window : int
        A power of two, 1..MAX_WINDOW.

    Members
    -------
    i : In(stream.Signature(8))
        Ready again at most `LONGEST_RUN` + 1 cycles after a byte, whatever waits at `o`.
    o : Out(stream.Signature(Request))
        The oldest frame; its buffer can be read while it is offered, and is free again two cycles after the transfer.
    buffer : In(ReadPort())
        Buffer of the frame offered in `o`.
    good : Out(1), overrun : Out(1)
        One cycle for each frame received with status OK, and for each dropped one.
    """

    i: In(stream.Signature(8))
    o: Out(stream.Signature(Request))
    buffer: In(ReadPort())
    good: Out(1)
    overrun: Out(1)

    def __init__(self, window: int = WINDOW):
        self.window = check_window(window)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(8).create()
        m.submodules.memory = memory = Memory(shape=8, depth=self.window * REQUEST_BYTES, init=[])
        write_port, read_port = memory.write_port(), memory.read_port()

        # read without a clock: distributed RAM where the device has it
        m.submodules.frames = frames = Memory(shape=Request, depth=self.window, init=[])
        frame_write, frame_read = frames.write_port(), frames.read_port(domain="comb")
        write_slot = Signal(range(self.window))
        read_slot = Signal(range(self.window))
        full = Signal(range(self.window + 1))
        released = Signal()
        freed = Signal()
        m.d.sync += [self.o.valid.eq(Mux(self.o.valid, ~self.o.ready, (full != 0) & ~freed)), freed.eq(released)]
        with m.If(~self.o.valid):
            m.d.sync += self.o.payload.eq(frame_read.data)
        m.d.comb += [
            released.eq(self.o.valid & self.o.ready),
            frame_read.addr.eq(read_slot),
            read_port.addr.eq(Cat(self.buffer.address, read_slot)),
            self.buffer.data.eq(read_port.data),
        ]

        inside = Signal()  # a byte other than zero came after the last zero
        dropping = Signal()
        left = Signal(8)  # bytes before the next code byte
        pending_zero = Signal()  # the next code byte stands for a zero as well
        run = Signal(range(LONGEST_RUN + 1))  # zeros still to store
        length = Signal(bits_for(REQUEST_BYTES + 1))
        too_long = Signal()
        head_bytes = REQUEST_HEADER + ARGUMENT_BYTES
        head = Signal(data.ArrayLayout(8, head_bytes))

        taken, byte, emit, put = Signal(), Signal(8), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(run == 0),
            taken.eq(self.i.valid & self.i.ready),
            too_long.eq(length > REQUEST_BYTES),
            byte.eq(Mux(left == 0, 0, self.i.payload)),
            emit.eq((run != 0) | (taken & (self.i.payload != 0) & inside & ~dropping & ((left != 0) | pending_zero))),
            put.eq(emit & (length < REQUEST_BYTES)),
            crc.data.eq(byte),
            crc.valid.eq(emit),
            write_port.addr.eq(Cat(length[: bits_for(REQUEST_BYTES - 1)], write_slot)),
            write_port.data.eq(byte),
            write_port.en.eq(put),
        ]
        with m.If(emit & ~too_long):
            m.d.sync += length.eq(length + 1)
        for n in range(head_bytes):
            with m.If(put & (length == n)):
                m.d.sync += head[n].eq(byte)

        status = Signal(Status)
        with m.If(left != 0):
            m.d.comb += status.eq(Status.BAD_FRAME)
        with m.Elif((length < REQUEST_HEADER + CRC_BYTES) | too_long):
            m.d.comb += status.eq(Status.BAD_LENGTH)
        with m.Elif(~crc.match_detected):
            m.d.comb += status.eq(Status.BAD_CRC)

        finished = Signal()
        with m.If(run != 0):
            m.d.sync += run.eq(run - 1)
        with m.If(taken):
            with m.If(self.i.payload == 0):
                m.d.sync += [inside.eq(0), dropping.eq(0), left.eq(0), pending_zero.eq(0), length.eq(0), head.eq(0)]
                m.d.comb += [crc.start.eq(1), finished.eq(inside & ~dropping)]
            with m.Else():
                m.d.sync += inside.eq(1)
                with m.If(~inside & (full == self.window)):
                    m.d.sync += dropping.eq(1)
                    m.d.comb += self.overrun.eq(1)
                with m.If(left != 0):
                    m.d.sync += left.eq(left - 1)
                with m.Elif(self.i.payload <= FULL_BLOCK):
                    m.d.sync += [left.eq(self.i.payload - 1), pending_zero.eq(self.i.payload != FULL_BLOCK)]
                with m.Else():
                    m.d.sync += pending_zero.eq(0)
                    with m.If(~dropping & ~self.overrun & ~too_long):
                        m.d.sync += run.eq(self.i.payload - (FULL_BLOCK - 1))

        with m.If(finished):
            m.d.comb += self.good.eq(status == Status.OK)
            fields = {"version": head[0], "sequence": head[1], "command": head[2]}
            fields |= {"status": status, "length": length, "arguments": Cat(head[n] for n in range(REQUEST_HEADER, head_bytes))}
            m.d.comb += [frame_write.data[name].eq(value) for name, value in fields.items()]
            m.d.comb += [frame_write.addr.eq(write_slot), frame_write.en.eq(1)]
            m.d.sync += write_slot.eq(write_slot + 1)
        with m.If(freed):
            m.d.sync += read_slot.eq(read_slot + 1)
        m.d.sync += full.eq(full + finished - freed)
        return m
