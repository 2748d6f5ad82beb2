"""Asynchronous serial, 8 data bits, no parity, one stop bit (8N1), least significant bit first."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

#: Start bit, 8 data bits, stop bit.
FRAME_BITS = 10


def check_divisor(divisor: int) -> int:
    """Returns the divisor; raises `ValueError` unless it is an integer in 1..65535."""
    if not (isinstance(divisor, int) and 1 <= divisor <= 0xFFFF):
        raise ValueError(f"divisor must be 1..65535 clock cycles per bit, not {divisor!r}")
    return divisor


class Receiver(wiring.Component):
    """Receives bytes from a pin.

    Each bit is sampled at its middle, timed from the start bit's falling edge. A byte with a low stop bit
    (framing error, break) is dropped; reception continues once the line has been high again. A start bit
    shorter than half a bit is ignored.

    Latency: 3 cycles from the middle of the stop bit to `o.valid`, 2 of them in the synchroniser. Throughput:
    back-to-back bytes.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, 1..65535. With 1, both ends must share a clock; for two clocks it should be 8 or
        more.

    Members
    -------
    rx : In(1)
        Asynchronous; idles high.
    o : Out(stream.Signature(8))
        Holds one byte; a byte that ends while the one before hasn't been taken is dropped.
    error : Out(1)
        Strobe for each byte that is dropped because of its stop bit.
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
                    # with divisor 1 this cycle is the middle of the start bit
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
    """Sends bytes to a pin.

    Latency: the start bit begins in the cycle after the transfer. Throughput: one byte in 10 bit times,
    without gaps.

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
