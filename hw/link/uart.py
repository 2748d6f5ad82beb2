"""Asynchronous serial, 8 data bits, no parity, one stop bit (8N1), least significant bit first."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

#: Start bit, 8 data bits, stop bit.
FRAME_BITS = 10


def check_divisor(divisor: int) -> int:
    """The divisor, if it is one."""
    if not (isinstance(divisor, int) and 1 <= divisor <= 0xFFFF):
        raise ValueError(f"divisor must be 1..65535 clock cycles per bit, not {divisor!r}")
    return divisor


class Receiver(wiring.Component):
    """Pin to bytes.

    Each bit is sampled at its middle, counted from the start bit's falling edge. A low stop bit (frame error, break)
    drops the byte; reception goes on after the line was high again. A start bit shorter than half a bit is ignored.

    Latency: from the middle of the stop bit to `o.valid` 3 cycles, 2 of them synchroniser. Throughput: back-to-back bytes.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, 1..65535. With 1, both ends must share a clock; between two clocks take 8 or more.

    Members
    -------
    rx : In(1)
        Asynchronous; idles high.
    o : Out(stream.Signature(8))
        One byte is held; a byte that ends while the one before still waits is dropped.
    error : Out(1)
        One cycle for each byte that is dropped for its stop bit.
    """

    def __init__(self, divisor):
        self.divisor = check_divisor(divisor)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8)), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)

        timer = Signal(range(2 * self.divisor))
        bits = Signal(8)
        left = Signal(range(9))
        half = self.divisor // 2

        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += left.eq(8)
                with m.If(~rx):
                    # divisor 1: this very cycle is the middle of the start bit
                    m.d.sync += timer.eq(half - 1 if half else 0)
                    m.next = "START" if half else "DATA"
            with m.State("START"):
                with m.If(rx):
                    m.next = "IDLE"
                with m.Elif(timer == 0):
                    m.d.sync += timer.eq(self.divisor - 1)
                    m.next = "DATA"
            with m.State("DATA"):
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(self.divisor - 1), bits.eq(Cat(bits[1:], rx)), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(timer == 0):
                    with m.If(~rx):
                        m.d.comb += self.error.eq(1)
                        m.next = "ERROR"
                    with m.Else():
                        with m.If(~self.o.valid | self.o.ready):
                            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(bits)]
                        m.next = "IDLE"
            with m.State("ERROR"):
                with m.If(rx):
                    m.next = "IDLE"
        return m


class Transmitter(wiring.Component):
    """Bytes to pin.

    Latency: the start bit begins in the cycle after the transfer. Throughput: one byte in 10 bit times, without a gap.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, 1..65535.

    Members
    -------
    i : In(stream.Signature(8))
    tx : Out(1)
        From a register; high when idle and in reset.
    """

    def __init__(self, divisor):
        self.divisor = check_divisor(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1)})

    def elaborate(self, platform):
        m = Module()
        shift = Signal(FRAME_BITS, init=-1)
        left = Signal(range(FRAME_BITS + 1))
        timer = Signal(range(self.divisor))

        last = Signal()
        m.d.comb += [
            self.tx.eq(shift[0]),
            last.eq((left == 1) & (timer == 0)),
            self.i.ready.eq((left == 0) | last),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += shift.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1)))
            m.d.sync += [left.eq(FRAME_BITS), timer.eq(self.divisor - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [shift.eq(Cat(shift[1:], Const(1, 1))), left.eq(left - 1), timer.eq(self.divisor - 1)]
        return m
