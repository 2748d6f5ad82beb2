"""Serial bytes to request frames: COBS with zero runs, checksum, frame buffers."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.protocol import (
    CRC_BYTES,
    FULL_BLOCK,
    LONGEST_RUN,
    REQUEST_BYTES,
    REQUEST_HEADER,
    WINDOW,
    Status,
    check_window,
)
from nudge.hw.lib.block_memory import WrittenMemory

from .interface import ARGUMENT_BYTES, ReadPort, request_shape

#: Maximum number of cycles from the transfer of a byte until the next one is taken.
MAX_BYTE_CYCLES = LONGEST_RUN + 2

#: Bytes of a frame that are kept in registers: header and arguments.
HEAD_BYTES = REQUEST_HEADER + ARGUMENT_BYTES


class Deframer(wiring.Component):
    """Decodes frames into `window` buffers.

    A zero byte ends a frame, whatever came before it, and resets all decoding state, so no sequence of bytes
    can block reception. Zero bytes that follow a zero byte are ignored. A frame's status is the first that
    applies: BAD_FRAME (its last block is cut short), BAD_LENGTH (it decodes to fewer bytes than header and
    CRC, or to more than `frame_bytes`), BAD_CRC, OK. Frames of every status are passed on, because each gets
    an answer. A frame that begins while all buffers are taken is dropped as a whole, and counted.

    Latency: `o.valid` rises three cycles after the zero byte, or three after the transfer of the frame
    before. Throughput: one byte in two cycles; a code byte for n zeros takes n more cycles, if they are
    stored.

    Parameters
    ----------
    window : int
        Link window, the number of frame buffers: a power of two, 1..MAX_WINDOW.
    frame_bytes : int
        Maximum bytes of a decoded frame: a power of two.

    Members
    -------
    i : In(stream.Signature(8))
        Ready again at most `MAX_BYTE_CYCLES` after a byte, independently of backpressure at `o`.
    o : Out(stream.Signature(request_shape(frame_bytes)))
        The oldest frame. Its buffer can be read while it is offered, and is free again two cycles after the
        transfer.
    buffer : In(ReadPort())
        Read port of the buffer of the frame offered in `o`.
    good : Out(1)
        Strobe for each frame received with status OK.
    overrun : Out(1)
        Strobe for each dropped frame.
    """

    def __init__(self, window: int = WINDOW, frame_bytes: int = REQUEST_BYTES):
        self.window, self.frame_bytes = check_window(window), frame_bytes
        self.request = request_shape(frame_bytes)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(self.request)),
                "buffer": In(ReadPort(frame_bytes)),
                "good": Out(1),
                "overrun": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(8).create()
        depth = self.window * self.frame_bytes
        m.submodules.memory = memory = WrittenMemory(shape=8, depth=depth)
        write_port, read_port = memory.write_port(), memory.read_port()

        slots = Slots(self.window)
        # asynchronous read port: distributed RAM where the part has it
        m.submodules.frames = frames = WrittenMemory(shape=self.request, depth=self.window)
        self._offer(m, slots, frames.read_port(domain="comb"), read_port)

        frame = Frame(self.frame_bytes)
        self._store(m, frame, slots.write, crc, write_port)
        status = self._status(m, frame, crc)
        finished = self._unstuff(m, frame, slots.full, crc)
        self._finish(m, frame, slots, status, finished, frames.write_port())
        return m

    def _offer(self, m, slots, frame_read, read_port):
        """Offers the oldest frame, and connects the read port to its buffer."""
        offered = Mux(self.o.valid, ~self.o.ready, (slots.full != 0) & ~slots.freed)
        m.d.sync += [self.o.valid.eq(offered), slots.freed.eq(slots.released)]
        with m.If(~self.o.valid):
            m.d.sync += self.o.payload.eq(frame_read.data)
        m.d.comb += [
            slots.released.eq(self.o.valid & self.o.ready),
            frame_read.addr.eq(slots.read),
            read_port.addr.eq(Cat(self.buffer.address, slots.read)),
            self.buffer.data.eq(read_port.data),
        ]

    def _store(self, m, frame, slot, crc, port):
        """Stores decoded bytes, from the input or a run of zeros."""
        left, length, run, too_long = frame.left, frame.length, frame.run, frame.too_long
        byte, emit, put = Signal(8), Signal(), Signal()
        stored = frame.taken & ~frame.ends & frame.inside & ~frame.dropping
        m.d.sync += [
            frame.taken.eq(self.i.valid & self.i.ready),
            frame.byte.eq(self.i.payload),
            frame.ends.eq(self.i.payload == 0),
        ]
        m.d.comb += [
            self.i.ready.eq(~frame.taken & (run == 0)),
            too_long.eq(length > self.frame_bytes),
            byte.eq(Mux(left == 0, 0, frame.byte)),
            emit.eq((run != 0) | (stored & ((left != 0) | frame.zero))),
            put.eq(emit & (length < self.frame_bytes)),
            crc.data.eq(byte),
            crc.valid.eq(emit),
            port.addr.eq(Cat(length[: bits_for(self.frame_bytes - 1)], slot)),
            port.data.eq(byte),
            port.en.eq(put),
        ]
        with m.If(emit & ~too_long):
            m.d.sync += length.eq(length + 1)
        for n in range(HEAD_BYTES):
            with m.If(put & (length == n)):
                m.d.sync += frame.head[n].eq(byte)

    def _status(self, m, frame, crc):
        """Status of the frame if it ends now; a register, since the cycle before decoded no byte."""
        status = Signal(Status)
        m.d.sync += status.eq(Status.OK)
        with m.If(frame.left != 0):
            m.d.sync += status.eq(Status.BAD_FRAME)
        with m.Elif((frame.length < REQUEST_HEADER + CRC_BYTES) | frame.too_long):
            m.d.sync += status.eq(Status.BAD_LENGTH)
        with m.Elif(~crc.match_detected):
            m.d.sync += status.eq(Status.BAD_CRC)
        return status

    def _unstuff(self, m, frame, full, crc):
        """Decodes code bytes and zero bytes; returns the strobe at the end of a frame."""
        finished, byte = Signal(name="finished"), frame.byte
        with m.If(frame.run != 0):
            m.d.sync += frame.run.eq(frame.run - 1)
        with m.If(frame.taken):
            with m.If(frame.ends):
                m.d.sync += [frame.inside.eq(0), frame.dropping.eq(0), frame.left.eq(0)]
                m.d.sync += [frame.zero.eq(0), frame.length.eq(0), frame.head.eq(0)]
                m.d.comb += [crc.start.eq(1), finished.eq(frame.inside & ~frame.dropping)]
            with m.Else():
                m.d.sync += frame.inside.eq(1)
                with m.If(~frame.inside & (full == self.window)):
                    m.d.sync += frame.dropping.eq(1)
                    m.d.comb += self.overrun.eq(1)
                with m.If(frame.left != 0):
                    m.d.sync += frame.left.eq(frame.left - 1)
                with m.Elif(byte <= FULL_BLOCK):
                    m.d.sync += [frame.left.eq(byte - 1), frame.zero.eq(byte != FULL_BLOCK)]
                with m.Else():
                    m.d.sync += frame.zero.eq(0)
                    with m.If(~frame.dropping & ~self.overrun & ~frame.too_long):
                        m.d.sync += frame.run.eq(byte - (FULL_BLOCK - 1))
        return finished

    def _finish(self, m, frame, slots, status, finished, frame_write):
        """Stores a frame's header and status, and counts the buffers in use."""
        head = frame.head
        with m.If(finished):
            m.d.comb += self.good.eq(status == Status.OK)
            fields = {
                "version": head[0],
                "sequence": head[1],
                "command": head[2],
                "status": status,
                "length": frame.length,
                "arguments": Cat(head[n] for n in range(REQUEST_HEADER, HEAD_BYTES)),
            }
            m.d.comb += [frame_write.data[name].eq(value) for name, value in fields.items()]
            m.d.comb += [frame_write.addr.eq(slots.write), frame_write.en.eq(1)]
            m.d.sync += slots.write.eq(slots.write + 1)
        with m.If(slots.freed):
            m.d.sync += slots.read.eq(slots.read + 1)
        m.d.sync += slots.full.eq(slots.full + finished - slots.freed)


class Slots:
    """Numbers of the frame buffers being filled and offered."""

    def __init__(self, window: int):
        #: Buffer that is being filled.
        self.write = Signal(range(window), name="write_slot")
        #: Buffer of the frame that is offered.
        self.read = Signal(range(window), name="read_slot")
        #: Frames in buffers.
        self.full = Signal(range(window + 1))
        #: Strobe: the frame offered is taken.
        self.released = Signal()
        #: Strobe one cycle later: its buffer is free.
        self.freed = Signal()


class Frame:
    """Decoding state of the frame that is being received."""

    def __init__(self, frame_bytes: int):
        #: A byte was taken in the cycle before, and is decoded in this one; its value; it is 0.
        self.taken, self.byte, self.ends = (
            Signal(name="taken"),
            Signal(8, name="taken_byte"),
            Signal(name="ends"),
        )
        #: A nonzero byte came after the last zero byte.
        self.inside = Signal()
        #: No buffer was free when the frame began.
        self.dropping = Signal()
        #: Bytes before the next code byte.
        self.left = Signal(8)
        #: The current block ends with a zero, which is stored when the next code byte arrives.
        self.zero = Signal(name="pending_zero")
        #: Zeros of a run that are still to be stored.
        self.run = Signal(range(LONGEST_RUN + 1))
        #: Bytes decoded, at most `frame_bytes` + 1.
        self.length = Signal(bits_for(frame_bytes + 1))
        #: `length` exceeds `frame_bytes`.
        self.too_long = Signal()
        #: Header and arguments.
        self.head = Signal(data.ArrayLayout(8, HEAD_BYTES))
