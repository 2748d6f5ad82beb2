"""Controller of a 16-bit SDR SDRAM: closed page, one access at a time, refresh in time under any traffic."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from .interface import BURST, COLUMN_BITS, PRECHARGE_BIT, WORD_BITS, Command, Pins, Port
from .timing import CAS_LATENCY, MODE, REFRESHES, Cycles

#: Number of selectable read delays.
DELAYS = 8


class Controller(wiring.Component):
    """Executes accesses on the pins: ACTIVATE, a READ or WRITE for each word, the last one with auto
    precharge.

    An access begins when it can be executed without waiting: all words of a write have arrived, or the FIFO
    has room for all words of a read. So it takes at most `Cycles.longest`, and an access that would end too
    late for the next REFRESH isn't begun. Rows are closed between accesses, so the timing doesn't depend on
    the bank.

    Throughput: n words in n + rcd + wr + rp cycles; 16 words in 22 cycles at 48 MHz. Latency: at rest an
    access is taken one cycle after it is offered; the first word of a read comes rcd + 6 + `delay` cycles
    after that, if no REFRESH comes between.

    Parameters
    ----------
    cycles : Cycles
        Timing of the chip in cycles of `sync`.

    Members
    -------
    port : In(Port())
    pins : Out(Pins())
        From registers, except ``captured``, which is an input.
    delay : In(range(DELAYS))
        Round-trip delay in cycles of the registers in the pins and the wires to the chip. May change while no
        read is in progress.
    ready : Out(1)
        The power-up sequence is over. No access is taken before.
    """

    port: In(Port())
    pins: Out(Pins())
    delay: In(range(DELAYS))
    ready: Out(1)

    def __init__(self, cycles: Cycles):
        self.cycles = cycles
        #: Number of cycles after a REFRESH during which an access may begin.
        self.begin = cycles.refresh - cycles.longest(BURST)
        if self.begin < 1:
            raise ValueError(
                f"too slow a clock: {cycles.refresh} cycles between two REFRESHes are too few for an access"
            )
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        timers = Timers(self.cycles)
        m.submodules.writes = writes = SyncFIFO(width=WORD_BITS, depth=BURST)
        m.submodules.reads = reads = SyncFIFOBuffered(width=WORD_BITS, depth=2 * BURST)
        connect(m, flipped(self.port.write), writes.w_stream)
        connect(m, reads.r_stream, flipped(self.port.read))
        m.d.sync += [
            self.pins.clock_enable.eq(1),
            self.pins.command.eq(Command.NOP),
            self.pins.mask.eq(Mux(self.ready, 0, 3)),
            self.pins.drive.eq(0),
            self.pins.data.eq(writes.r_data),
        ]
        self._count(m, timers)
        owed = self._owed(m, reads)
        self._capture(m, reads)
        self._run(m, timers, writes, owed)
        return m

    def _count(self, m, timers):
        """Advances the timers, unless a command sets them."""
        with m.If(~timers.rested):
            m.d.sync += [timers.hold.eq(timers.hold - 1), timers.rested.eq(timers.hold == 1)]
        with m.If(timers.active != self.cycles.rc):
            m.d.sync += timers.active.eq(timers.active + 1)
        with m.If(timers.age != self.begin + 1):
            m.d.sync += timers.age.eq(timers.age + 1)

    def _owed(self, m, reads):
        """Number of words of reads in progress that the user hasn't taken yet."""
        owed, begun = Signal(range(2 * BURST + 1)), Signal(bits_for(BURST), name="begun")
        access = self.port.access
        with m.If(access.valid & access.ready & ~access.payload.write):
            m.d.comb += begun.eq(access.payload.length)
        m.d.sync += owed.eq(owed + begun - (self.port.read.valid & self.port.read.ready))
        return owed

    def _capture(self, m, reads):
        """Writes words from the pins to the read FIFO in the cycles in which they are due."""
        coming = Signal(CAS_LATENCY + DELAYS)
        due = coming[CAS_LATENCY:]
        m.d.sync += coming.eq(Cat(self.pins.command == Command.READ, coming)[: len(coming)])
        m.d.comb += [reads.w_data.eq(self.pins.captured), reads.w_en.eq(due.bit_select(self.delay, 1))]

    def _run(self, m, timers, writes, owed):
        """The state machine: power-up, then REFRESH and accesses."""
        cycles, access, pins = self.cycles, self.port.access, self.pins
        asked = access.payload
        left = Signal(bits_for(BURST))
        writing = Signal()
        column = Signal(COLUMN_BITS)
        refreshes = Signal(range(REFRESHES + 1))
        rested, possible, last = timers.rested, Signal(name="possible"), Signal(name="last")
        row = asked.address[COLUMN_BITS:]

        def command(which, hold):
            """Gives a command in the next cycle, then none for `hold` - 1 cycles."""
            m.d.sync += [pins.command.eq(which), timers.hold.eq(hold - 1), rested.eq(hold == 1)]

        m.d.comb += [
            last.eq(left == 1),
        ]
        # true of the access offered in the cycle before, and until it is taken
        m.d.sync += possible.eq(access.valid & Mux(asked.write, writes.level >= asked.length, owed <= BURST))
        with m.FSM():
            with m.State("POWER"):
                m.d.sync += pins.address.eq(1 << PRECHARGE_BIT)
                with m.If(rested):
                    command(Command.PRECHARGE, cycles.rp)
                    m.next = "REFRESHES"
            with m.State("REFRESHES"):
                with m.If(rested):
                    command(Command.REFRESH, cycles.rfc)
                    m.d.sync += [refreshes.eq(refreshes + 1), timers.age.eq(1)]
                    with m.If(refreshes == REFRESHES - 1):
                        m.next = "MODE"
            with m.State("MODE"):
                m.d.sync += [pins.address.eq(MODE), pins.bank.eq(0)]
                with m.If(rested):
                    command(Command.MODE, cycles.mrd)
                    m.d.sync += self.ready.eq(1)
                    m.next = "IDLE"
            with m.State("IDLE"):
                m.d.sync += [pins.address.eq(row), pins.bank.eq(row[len(pins.address) :])]
                m.d.sync += [left.eq(asked.length), writing.eq(asked.write), column.eq(asked.address)]
                with m.If(rested & (timers.active == cycles.rc)):
                    with m.If(timers.age == self.begin + 1):
                        command(Command.REFRESH, cycles.rfc)
                        m.d.sync += timers.age.eq(1)
                    with m.Elif(possible):
                        command(Command.ACTIVATE, cycles.rcd)
                        m.d.comb += access.ready.eq(1)
                        m.d.sync += timers.active.eq(1)
                        m.next = "COLUMNS"
            with m.State("COLUMNS"):
                # the last command, which closes the row, waits until the row has been open long enough
                enough = timers.active >= Mux(writing, max(cycles.ras - cycles.wr, 0), cycles.ras - 1)
                m.d.sync += pins.address.eq(Cat(column, Const(0, PRECHARGE_BIT - COLUMN_BITS), last))
                with m.If(rested & (~last | enough)):
                    m.d.sync += [left.eq(left - 1), column.eq(column + 1), pins.drive.eq(writing)]
                    m.d.comb += writes.r_en.eq(writing)
                    m.d.sync += pins.command.eq(Mux(writing, Command.WRITE, Command.READ))
                    with m.If(last):
                        m.d.sync += [
                            timers.hold.eq(Mux(writing, cycles.wr + cycles.rp - 1, cycles.rp)),
                            rested.eq(0),
                        ]
                        m.next = "IDLE"


class Timers:
    """Cycles since the last commands, and until the next one is allowed."""

    def __init__(self, cycles: Cycles):
        longest = max(cycles.power_up, cycles.rfc, cycles.mrd, cycles.rcd, cycles.wr + cycles.rp)
        #: Cycles left in which no command may be given.
        self.hold = Signal(range(longest + 1), init=cycles.power_up - 1)
        #: There are none.
        self.rested = Signal(init=cycles.power_up == 1)
        #: Cycles since ACTIVATE, at most rc.
        self.active = Signal(range(cycles.rc + 1), init=cycles.rc)
        #: Cycles since REFRESH, until the next one is due.
        self.age = Signal(range(cycles.refresh + 1))
