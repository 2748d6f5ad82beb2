"""The rules of an SDR SDRAM, for benches, the virtual board and proofs."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.hw.memory.interface import BANK_BITS, PRECHARGE_BIT, Command, Pins
from nudge.hw.memory.timing import CAS_LATENCY, MODE, REFRESHES, Cycles
from nudge.plumbing.described import Described


class Rule(Described):
    """A rule that can be broken; the number is the value of `SdramRules.broken`."""

    TRCD = 1, "tRCD: READ or WRITE too soon after ACTIVATE"
    TRP = 2, "tRP: too soon after PRECHARGE, or after a READ with auto precharge"
    TRAS = 3, "tRAS: PRECHARGE too soon after ACTIVATE"
    TRC = 4, "tRC: ACTIVATE or REFRESH too soon after ACTIVATE"
    TRFC = 5, "tRFC: too soon after REFRESH"
    TWR = 6, "tWR: PRECHARGE too soon after WRITE, or tWR and tRP not over after one with auto precharge"
    TMRD = 7, "tMRD: too soon after MODE"
    TREFI = 8, "tREFI: no REFRESH in time"
    POWER_UP = 9, "power-up: a command before its time, or a step of the sequence left out"
    ROW = 10, "row: one is open that must not be, or none is"
    MODE = 11, "mode: another value than the controller was made for"
    BUS = 12, "bus: driven from both sides, or WRITE without a word"
    MASK = 13, "mask: a byte of a READ or WRITE is masked"


class SdramRules(wiring.Component):
    """Checks the commands at the pins of a chip.

    It assumes at most one open row, as with a controller that executes one access at a time: rules that a
    chip has for one bank are applied to all banks together.

    Members
    -------
    pins : In(Pins())
        As sampled by the chip; ``captured`` is 0, and isn't used.
    broken : Out(range(16))
        Number of the first `Rule` that the command of this cycle breaks, 0 if it breaks none.
    """

    pins: In(Pins())
    broken: Out(range(16))

    def __init__(self, cycles: Cycles):
        self.cycles = cycles
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        cycles, pins = self.cycles, self.pins
        command, automatic = pins.command, Signal()
        state = ChipState(cycles)
        some_open, is_open, column, writing = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            automatic.eq(pins.address[PRECHARGE_BIT]),
            some_open.eq(sum(state.open) != 0),
            is_open.eq(state.open[pins.bank]),
            writing.eq(command == Command.WRITE),
            column.eq(writing | (command == Command.READ)),
        ]
        m.d.sync += state.reading.eq((state.reading << 1) | (command == Command.READ))
        closes = column & automatic
        precharge = command == Command.PRECHARGE
        self._tick(m, state)
        self._obey(m, state, automatic)

        def rule(which, condition):
            """Reports this rule under that condition, unless an earlier one is broken."""
            with m.Elif(condition):
                m.d.comb += self.broken.eq(which)

        begins = (command == Command.ACTIVATE) | (command == Command.REFRESH) | (command == Command.MODE)
        started = begins | column | precharge
        powered = state.power == 0
        refreshed = state.refreshes == REFRESHES
        step = Mux(
            command == Command.ACTIVATE, state.mode, Mux(command == Command.MODE, refreshed, state.closed)
        )
        with m.If(started & ~(powered & pins.clock_enable)):
            m.d.comb += self.broken.eq(Rule.POWER_UP)
        rule(Rule.POWER_UP, begins & ~step)
        rule(Rule.TREFI, refreshed & (state.refreshed > cycles.refresh))
        rule(Rule.ROW, Mux(column, ~is_open, begins & some_open))
        rule(Rule.TWR, begins & (state.closing != 0) & state.wrote)
        rule(Rule.TRP, begins & (state.closing != 0))
        rule(Rule.TRC, begins & (state.active < cycles.rc))
        rule(Rule.TRFC, begins & (state.refreshed < cycles.rfc))
        rule(Rule.TMRD, begins & (state.set < cycles.mrd))
        rule(Rule.TRCD, column & (state.active < cycles.rcd))
        until = state.active + Mux(closes, Mux(writing, cycles.wr, 1), 0)
        rule(Rule.TRAS, (closes | precharge & some_open) & (until < cycles.ras))
        rule(Rule.TWR, precharge & (state.written < cycles.wr))
        rule(Rule.MODE, (command == Command.MODE) & ((pins.address != MODE) | (pins.bank != 0)))
        rule(Rule.MASK, column & (pins.mask != 0))
        rule(Rule.BUS, Mux(pins.drive, ~writing | state.reading[CAS_LATENCY - 1], writing))
        return m

    def _tick(self, m, state):
        """Advances the timers."""
        with m.If(state.power != 0):
            m.d.sync += state.power.eq(state.power - 1)
        with m.If(state.closing != 0):
            m.d.sync += state.closing.eq(state.closing - 1)
        for since, most in state.since:
            with m.If(since != most):
                m.d.sync += since.eq(since + 1)

    def _obey(self, m, state, automatic):
        """Updates the state by the current command."""
        cycles, pins = self.cycles, self.pins
        with m.Switch(pins.command):
            with m.Case(Command.ACTIVATE):
                m.d.sync += [state.open[pins.bank].eq(1), state.active.eq(1)]
            with m.Case(Command.READ, Command.WRITE):
                writing = pins.command == Command.WRITE
                with m.If(writing):
                    m.d.sync += state.written.eq(1)
                with m.If(automatic):
                    m.d.sync += [state.open[pins.bank].eq(0), state.wrote.eq(writing)]
                    m.d.sync += state.closing.eq(Mux(writing, cycles.wr - 1, 0) + cycles.rp)
            with m.Case(Command.PRECHARGE):
                with m.If(automatic):
                    m.d.sync += [*(bank.eq(0) for bank in state.open), state.closed.eq(1)]
                with m.Else():
                    m.d.sync += state.open[pins.bank].eq(0)
                m.d.sync += [state.closing.eq(cycles.rp - 1), state.wrote.eq(0)]
            with m.Case(Command.REFRESH):
                m.d.sync += state.refreshed.eq(1)
                with m.If(state.refreshes != REFRESHES):
                    m.d.sync += state.refreshes.eq(state.refreshes + 1)
            with m.Case(Command.MODE):
                m.d.sync += [state.set.eq(1), state.mode.eq(1)]


class ChipState:
    """The state of the chip, derived from the commands so far."""

    def __init__(self, cycles: Cycles):
        def since(name, most):
            """A counter of cycles since a command, saturated at ``most``, where it also begins."""
            return Signal(range(most + 1), name=name, init=most), most

        #: Cycles until the first command is allowed.
        self.power = Signal(range(cycles.power_up + 1), init=cycles.power_up, name="chip_power")
        #: All banks were precharged; the mode register was set; REFRESH commands so far, at most `REFRESHES`.
        self.closed, self.mode = Signal(name="chip_closed"), Signal(name="chip_mode")
        self.refreshes = Signal(range(REFRESHES + 1), name="chip_refreshes")
        #: Whether each bank has an open row.
        self.open = Array(Signal(name=f"chip_open_{bank}") for bank in range(1 << BANK_BITS))
        #: Cycles until the banks are closed, and whether a WRITE with auto precharge closes them.
        self.closing = Signal(range(cycles.wr + cycles.rp + 1), name="chip_closing")
        self.wrote = Signal(name="chip_wrote")
        #: READ commands of the last `CAS_LATENCY` cycles, the latest in bit 0.
        self.reading = Signal(CAS_LATENCY, name="chip_reading")
        self.since = [
            since("chip_active", max(cycles.rc, cycles.ras, cycles.rcd)),
            since("chip_refreshed", cycles.refresh + 1),
            since("chip_set", cycles.mrd),
            since("chip_written", cycles.wr),
        ]
        #: Cycles since ACTIVATE, REFRESH, MODE, WRITE.
        self.active, self.refreshed, self.set, self.written = (signal for signal, _ in self.since)
