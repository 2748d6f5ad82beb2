"""Clock and reset of the core, from a board's oscillator through the part's PLL."""

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import io
from amaranth.lib.cdc import AsyncFFSynchronizer, ResetSynchronizer

from nudge.boards.family import Family
from nudge.plumbing.errors import DesignError

#: Lowest frequency of the phase detector in the ECP5's PLL (Lattice FPGA-DS-02012, sysCLOCK PLL timing).
PFD_MIN_HZ = 10_000_000

#: Analogue settings that `ecppll` always uses, as attributes of an EHXPLLL; nextpnr sets attributes that
#: aren't given to 0.
ANALOGUE = {"ICP_CURRENT": 12, "LPF_RESISTOR": 8, "MFG_ENABLE_FILTEROPAMP": 1, "MFG_GMCREF_SEL": 2}


@dataclass(frozen=True)
class Ecp5Pll:
    """Dividers of an EHXPLLL whose first output is the feedback, and whose second output is the clock.

    vco = in * feedback * inner / reference, out = vco / output. Limits (Lattice FPGA-DS-02012; Project
    Trellis, `ecppll`): phase detector 10..400 MHz, vco 400..800 MHz, `feedback` 1..80, the other dividers
    1..128.
    """

    #: CLKI_DIV: the phase detector runs at in / reference.
    reference: int
    #: CLKFB_DIV, of the first output.
    feedback: int
    #: CLKOP_DIV, from the vco to the first output.
    inner: int
    #: CLKOS_DIV, from the vco to the clock.
    output: int

    @classmethod
    def of(cls, source_hz: int, hz: int) -> "Ecp5Pll":
        """Return dividers that make `hz`, to the nearest whole Hz; `DesignError` if there are none.

        Among all solutions the fastest phase detector is chosen, with which the PLL locks sooner and has less
        jitter.
        """
        made = [
            (
                abs(round(vco / output) - hz),
                reference,
                abs(vco - 600_000_000),
                cls(reference, total // inner, inner, output),
            )
            for reference in range(1, source_hz // PFD_MIN_HZ + 1)
            for total in range(
                -(-400_000_000 * reference // source_hz), 800_000_000 * reference // source_hz + 1
            )
            for vco in [source_hz * total / reference]
            for output in [min(round(vco / hz), 128)]
            for inner in [next((n for n in range(128, 0, -1) if total % n == 0 and total // n <= 80), None)]
            if inner
        ]
        wrong, *_, dividers = min(made, key=lambda one: one[:3])
        if wrong:
            nearest = source_hz * dividers.feedback * dividers.inner / (dividers.reference * dividers.output)
            said = f"{hz / 1e6:g} MHz can't be made from {source_hz / 1e6:g} MHz"
            raise DesignError(f"{said}: choose {round(nearest)} Hz, the nearest")
        return dividers

    def instance(self, source: Signal, out: Signal, locked: Signal) -> Instance:
        """Return the EHXPLLL primitive."""
        looped = Signal(name="pll_loop")
        return Instance(
            "EHXPLLL",
            p_CLKI_DIV=self.reference,
            p_CLKFB_DIV=self.feedback,
            p_CLKOP_DIV=self.inner,
            p_CLKOP_ENABLE="ENABLED",
            # a phase of 0 degrees is CPHASE = divider - 1
            p_CLKOP_CPHASE=self.inner - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_DIV=self.output,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_CPHASE=self.output - 1,
            p_CLKOS_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            # LOCK follows the lock, instead of staying high after the first one
            p_INT_LOCK_STICKY="DISABLED",
            **{f"a_{name}": str(value) for name, value in ANALOGUE.items()},
            i_CLKI=source,
            i_CLKFB=looped,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PHASELOADREG=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_ENCLKOS=Const(0),
            o_CLKOP=looped,
            o_CLKOS=out,
            o_LOCK=locked,
        )


@dataclass(frozen=True)
class Ice40Pll:
    """Dividers of an SB_PLL40 in simple feedback: out = in * (feedback + 1) / (reference + 1) / 2^output.

    Limits (Lattice iCE40 sysCLOCK guide): phase detector 10..133 MHz, vco (out * 2^output) 533..1066 MHz.
    """

    reference: int
    feedback: int
    output: int
    filter: int

    @classmethod
    def of(cls, source_hz: int, hz: int) -> "Ice40Pll":
        """Return dividers that make exactly `hz`; `DesignError` if there are none."""
        found = None
        for reference, output in product(range(16), range(1, 7)):
            detector, vco = source_hz / (reference + 1), hz << output
            feedback = vco * (reference + 1) / source_hz
            if (
                10e6 <= detector <= 133e6
                and 533e6 <= vco <= 1066e6
                and feedback.is_integer()
                and feedback <= 128
            ):
                filter_range = sum(detector >= limit for limit in (0, 17e6, 26e6, 44e6, 66e6, 101e6))
                found = found or cls(reference, int(feedback) - 1, output, filter_range)
        if found is None:
            raise DesignError(
                f"{hz / 1e6:g} MHz can't be made from {source_hz / 1e6:g} MHz: take a multiple of 0.75 from 9"
            )
        return found

    def instance(self, source: Signal, out: Signal, locked: Signal) -> Instance:
        """Return the primitive whose input is a clock pad."""
        return Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(self.reference, 4),
            p_DIVF=Const(self.feedback, 7),
            p_DIVQ=Const(self.output, 3),
            p_FILTER_RANGE=Const(self.filter, 3),
            i_PACKAGEPIN=source,
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=out,
            o_LOCK=locked,
        )


@dataclass(frozen=True)
class GowinPll:
    """Dividers of an rPLL with internal feedback: out = in * feedback / reference, vco = out * output.

    Limits of a GW2A-18 of grade 8 (apycula 0.32, `gowin_pll`): phase detector 3..500 MHz, vco 500..1250 MHz,
    out 3.90625..625 MHz, `reference` and `feedback` 1..64, `output` one of `OUTPUTS`.
    """

    reference: int
    feedback: int
    output: int
    #: Frequency of the input, of which the packer derives the filter's settings.
    source_hz: int

    #: Values of ODIV_SEL.
    OUTPUTS: ClassVar = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)

    @classmethod
    def of(cls, source_hz: int, hz: int) -> "GowinPll":
        """Return dividers for exactly `hz` with the fastest phase detector; `DesignError` if none exist."""
        for reference in range(1, min(64, source_hz // 3_000_000) + 1):
            feedback, rest = divmod(hz * reference, source_hz)
            outputs = [output for output in cls.OUTPUTS if 500_000_000 < hz * output < 1_250_000_000]
            if not rest and feedback <= 64 and outputs and hz < 625_000_000:
                return cls(reference, feedback, outputs[0], source_hz)
        raise DesignError(
            f"{hz / 1e6:g} MHz can't be made from {source_hz / 1e6:g} MHz: take {source_hz / 1e6:g} * n / m"
        )

    def instance(self, source: Signal, out: Signal, locked: Signal) -> Instance:
        """Return the rPLL primitive."""
        return Instance(
            "rPLL",
            p_FCLKIN=f"{self.source_hz / 1e6:g}",
            p_IDIV_SEL=self.reference - 1,
            p_FBDIV_SEL=self.feedback - 1,
            p_ODIV_SEL=self.output,
            p_DYN_IDIV_SEL="false",
            p_DYN_FBDIV_SEL="false",
            p_DYN_ODIV_SEL="false",
            p_DYN_DA_EN="false",
            p_CLKFB_SEL="internal",
            i_CLKIN=source,
            **{f"i_{name}": Const(0) for name in ("CLKFB", "RESET", "RESET_P")},
            **{f"i_{name}": Const(0, 6) for name in ("IDSEL", "FBDSEL", "ODSEL")},
            **{f"i_{name}": Const(0, 4) for name in ("PSDA", "DUTYDA", "FDLY")},
            o_CLKOUT=out,
            o_LOCK=locked,
        )


Pll = Ecp5Pll | Ice40Pll | GowinPll

#: Kind of PLL of each family.
PLLS: dict[Family, type[Ecp5Pll] | type[Ice40Pll] | type[GowinPll]] = {
    Family.ICE40: Ice40Pll,
    Family.ECP5: Ecp5Pll,
    Family.GOWIN: GowinPll,
}


def pll(family: Family, source_hz: int, hz: int) -> Pll | None:
    """Return the PLL that makes `hz` from `source_hz`, None if they are equal; `DesignError` if none can."""
    return None if hz == source_hz else PLLS[family].of(source_hz, hz)


def unstable(m: Module, hz: int, clock: Signal, locked: Signal) -> Value:
    """Adds a lock monitor to `m`; returns its output, which is low once `locked` has been high for 20 us.

    The output changes only at an edge of `clock`. A rising `locked` reaches the timer through a two-stage
    synchroniser.
    """
    m.domains.waiting = waiting = ClockDomain("waiting", local=True)
    m.d.comb += waiting.clk.eq(clock)
    m.submodules.unlocked = ResetSynchronizer(~locked, domain="waiting")
    timer, ready = Signal(range(hz // 50_000 + 1)), Signal()
    with m.If(timer == hz // 50_000):
        m.d.waiting += ready.eq(1)
    with m.Else():
        m.d.waiting += timer.eq(timer + 1)
    return ~ready


class CoreClock(Elaboratable):
    """Clock and reset of the domain `sync`, which the parent defines: `hz` from the board's oscillator, by
    the part's PLL if they differ.

    `sync` is in reset until 20 us after the PLL has locked (an iCE40's block RAMs read as zero for the first
    3 us), again from a loss of lock until 20 us after the next lock, and as long as `reset` is high. Reset is
    asserted asynchronously and released synchronously. reset_buffer: as in `Fpga`.
    """

    def __init__(self, hz: int, family: Family, reset_buffer: str | None = None):
        self.hz, self.family, self.reset_buffer, self.reset = hz, family, reset_buffer, Signal()

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        ice40 = self.family is Family.ICE40
        multiplier = pll(self.family, round(platform.default_clk_frequency), self.hz)
        clock, locked = Signal(name="core_clock"), Signal()
        port = platform.request(platform.default_clk, dir="-")
        if multiplier is not None and ice40:
            # SB_PLL40_PAD includes the pin's input buffer
            m.submodules.pll = multiplier.instance(port.io, clock, locked)
        else:
            m.submodules.oscillator = oscillator = io.Buffer("i", port)
            if multiplier is None:
                m.d.comb += [clock.eq(oscillator.i), locked.eq(1)]
            else:
                m.submodules.pll = multiplier.instance(oscillator.i, clock, locked)

        wanted = unstable(m, self.hz, clock, locked) | self.reset
        if multiplier is not None:
            # asserts reset at once: the output of `unstable` needs an edge of a clock that may have stopped
            wanted |= ~locked
        m.d.comb += ClockSignal("sync").eq(clock)
        if self.family is not Family.ECP5:
            # nextpnr routes this reset over global wires by itself
            m.submodules.reset = ResetSynchronizer(wanted)
        else:
            # Over general routing a register takes 22 ns to reach 4,950 flip-flops. nextpnr routes the output
            # of a DCCA over the global network, but counts that delay as 0: keep a margin between fmax and
            # the clock for a path as long as the clock's own. With CE unconnected the DCCA is a buffer that
            # is always enabled.
            released = Signal()
            m.submodules.reset = AsyncFFSynchronizer(wanted, released)
            place = {"a_BEL": self.reset_buffer} if self.reset_buffer else {}
            m.submodules.reset_buffer = Instance("DCCA", i_CLKI=released, o_CLKO=ResetSignal("sync"), **place)
        return m
