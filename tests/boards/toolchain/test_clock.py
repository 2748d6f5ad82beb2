# amaranth: UnusedElaboratable=no
"""PLLs make each clock to the nearest Hz; reset lasts from a loss of lock until 20 us after the next lock."""

import re
from itertools import product

import pytest
from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.sim import Simulator

from nudge.boards.catalog import BOARDS, board
from nudge.boards.family import Family
from nudge.boards.toolchain.clock import CoreClock, Ecp5Pll, GowinPll, Ice40Pll, unstable
from nudge.plumbing.errors import DesignError

#: (oscillator, core clock) of each design that needs an ECP5's PLL.
IN_USE = sorted(
    {
        (round(platform.default_clk_frequency), design.clock_hz)
        for fpga in BOARDS.values()
        for platform in [fpga.platform()]
        for design in fpga.designs.values()
        if fpga.family is Family.ECP5 and platform.default_clk_frequency != design.clock_hz
    }
)
OTHERS = [24_000_000, 50_000_000, 57_142_857, 75_000_000, 100_000_000]


def makes(source_hz: int, hz: int, reference: int) -> bool:
    """Return whether any dividers make this clock with a phase detector at source_hz / reference."""
    return any(
        400e6 <= source_hz * feedback * inner / reference <= 800e6
        and any(round(source_hz * feedback * inner / (reference * output)) == hz for output in range(1, 129))
        for feedback, inner in product(range(1, 81), range(1, 129))
    )


@pytest.mark.parametrize(
    ("source", "hz"), [*IN_USE, *((25_000_000, hz) for hz in OTHERS), (48_000_000, 66_000_000)]
)
def test_ecp5_pll_is_exact_with_the_fastest_phase_detector(source, hz):
    pll = Ecp5Pll.of(source, hz)
    vco = source * pll.feedback * pll.inner / pll.reference
    assert round(vco / pll.output) == hz
    assert 400e6 <= vco <= 800e6
    assert source / pll.reference >= 10e6
    assert 1 <= pll.feedback <= 80
    assert all(1 <= divider <= 128 for divider in (pll.reference, pll.inner, pll.output))
    assert makes(source, hz, pll.reference)
    assert not any(makes(source, hz, faster) for faster in range(1, pll.reference))


def test_clocks_in_use_are_found():
    assert (25_000_000, 60_000_000) in IN_USE


@pytest.mark.parametrize("hz", [15_000_000, 18_000_000, 24_000_000])
def test_ice40_pll(hz):
    pll = Ice40Pll.of(12_000_000, hz)
    assert 12_000_000 * (pll.feedback + 1) == hz * (pll.reference + 1) << pll.output
    assert 533e6 <= hz << pll.output <= 1066e6


@pytest.mark.parametrize(
    "hz", [4_500_000, 18_000_000, 36_000_000, 48_000_000, 54_000_000, 60_000_000, 81_000_000]
)
def test_gowin_pll_is_exact_with_the_fastest_phase_detector(hz):
    source = 27_000_000
    pll = GowinPll.of(source, hz)
    assert source * pll.feedback == hz * pll.reference
    assert 500e6 < hz * pll.output < 1250e6
    assert pll.output in GowinPll.OUTPUTS
    assert 1 <= pll.feedback <= 64
    assert 3e6 <= source / pll.reference <= 500e6
    assert not any(hz * faster % source == 0 for faster in range(1, pll.reference))


def test_gowin_pll_has_its_own_loop_and_fixed_dividers(monkeypatch):
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "builtin")
    [(_, body)] = cells(clocked("tang-nano-20k", 36_000_000), "rPLL")
    settings = dict(re.findall(r'parameter (?:signed )?\\(\w+) "?(\w+)"?', body))
    dividers = {"IDIV_SEL": "2", "FBDIV_SEL": "3", "ODIV_SEL": "16"}
    fixed = {f"DYN_{name}": "false" for name in ("DA_EN", "IDIV_SEL", "FBDIV_SEL", "ODIV_SEL")}
    assert (dividers | fixed | {"FCLKIN": "27", "CLKFB_SEL": "internal"}).items() <= settings.items()


def test_clock_that_cannot_be_made():
    with pytest.raises(
        DesignError, match=re.escape("48 MHz can't be made from 25 MHz: choose 48076923 Hz, the nearest")
    ):
        Ecp5Pll.of(25_000_000, 48_000_000)
    assert Ecp5Pll.of(25_000_000, 48_076_923)
    with pytest.raises(DesignError, match=re.escape("17.1 MHz can't be made from 12 MHz")):
        Ice40Pll.of(12_000_000, 17_100_000)
    with pytest.raises(DesignError, match=re.escape("50 MHz can't be made from 27 MHz: take 27 * n / m")):
        GowinPll.of(27_000_000, 50_000_000)


def clocked(name: str, hz: int) -> str:
    """Return the RTLIL of one flip-flop on a board, with this clock."""
    top, kept = Module(), Signal()
    top.domains.sync = ClockDomain("sync")
    top.submodules.clock = CoreClock(hz, board(name).family, board(name).reset_buffer)
    top.d.sync += kept.eq(~kept)
    return board(name).platform().prepare(top, "top", emit_src=False).files["top.il"]


def cells(rtlil: str, kind: str) -> list[tuple[str, str]]:
    """Return attributes and body of each cell of a kind."""
    return re.findall(
        rf"((?:^ *attribute [^\n]*\n)*)^ *cell \\{kind} [^\n]*\n(.*?)^ *end$", rtlil, re.M | re.S
    )


def test_ecp5_pll_has_what_it_needs_to_lock_and_says_when_it_lost_it(monkeypatch):
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "builtin")
    [(attributes, body)] = cells(clocked("ulx3s", 60_000_000), "EHXPLLL")
    settings = dict(re.findall(r'attribute \\(\w+) "?(\w+)"?', attributes))
    wanted = {"ICP_CURRENT": "12", "LPF_RESISTOR": "8", "MFG_ENABLE_FILTEROPAMP": "1", "MFG_GMCREF_SEL": "2"}
    assert wanted.items() <= settings.items(), "as in every instance that Project Trellis' ecppll writes"
    assert 'parameter \\INT_LOCK_STICKY "DISABLED"' in body


@pytest.mark.parametrize(
    ("name", "hz", "buffers"),
    [
        ("ulx3s", 60_000_000, 1),
        ("orangecrab", 48_000_000, 1),
        ("icepi-zero", 60_000_000, 1),
        ("icebreaker", 12_000_000, 0),
        ("tang-nano-20k", 36_000_000, 0),
    ],
)
def test_reset_is_a_global_net(monkeypatch, name, hz, buffers):
    """An ECP5's reset is driven by a DCCA with CE unconnected, which nextpnr would turn into a gate."""
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "builtin")
    found = cells(clocked(name, hz), "DCCA")
    assert len(found) == buffers
    for attributes, body in found:
        assert re.findall(r'attribute \\BEL "(\S+)"', attributes) == [
            place for place in [board(name).reset_buffer] if place
        ]
        assert re.search(r"connect \\CLKO \\rst$", body, re.M)
        assert r"connect \CE" not in body


HZ = 1_000_000
#: Cycles that `sync` stays in reset after lock: 20 us; synchronisers add a few.
HELD = HZ // 50_000


def reset_of(steps):
    """Run `steps`, each (locked, number of clock cycles); return for each step the reset before the first and
    after each cycle."""
    m = Module()
    clock, locked, wanted = Signal(), Signal(), Signal()
    m.domains.sync = ClockDomain("sync")
    m.d.comb += [ClockSignal("sync").eq(clock), wanted.eq(unstable(m, HZ, clock, locked) | ~locked)]
    m.submodules.reset = ResetSynchronizer(wanted)
    reset = Signal()
    m.d.comb += reset.eq(ResetSignal("sync"))
    seen: list[list[int]] = []

    async def drive(ctx):
        for level, cycles in steps:
            ctx.set(locked, level)
            await ctx.delay(1e-9)
            found = [ctx.get(reset)]
            for _, edge in product(range(cycles), (1, 0)):
                ctx.set(clock, edge)
                await ctx.delay(1e-7)
                if not edge:
                    found.append(ctx.get(reset))
            seen.append(found)

    simulator = Simulator(m)
    simulator.add_testbench(drive)
    simulator.run()
    return seen


def test_a_loss_of_lock_is_a_clean_reset():
    unlocked, first, lost, again = reset_of([(0, 50), (1, 50), (0, 0), (1, 50)])
    assert all(unlocked)
    for locked in (first, again):
        assert HELD <= locked.index(0) <= HELD + 6
        assert not any(locked[locked.index(0) :]), "and not again"
    assert lost == [1], "without an edge of the clock"
