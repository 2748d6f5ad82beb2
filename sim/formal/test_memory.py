# amaranth: UnusedElaboratable=no
"""Proof that the SDRAM controller breaks no rule of the chip, for all traffic and all time."""

from dataclasses import replace

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal

from nudge.boards.virtual.sdram_rules import SdramRules
from nudge.hw.memory.controller import Controller
from nudge.hw.memory.interface import BANK_BITS, BURST, PRECHARGE_BIT, Command
from nudge.hw.memory.timing import REFRESHES, Cycles

from .prover import Opened, ProofError, past, prove

#: Times for which the proof is quick, with the fewest possible cycles between two refreshes.
TIGHT = Cycles(rcd=3, rp=3, ras=7, rc=11, rfc=9, wr=3, mrd=4, refresh=60, power_up=12)


def controller(made: Cycles, asked: Cycles) -> tuple[Module, Opened, Controller]:
    """Return a module with a controller for the times `made` and a chip's rules for the times `asked`."""
    m = Module()
    dut, rules = Controller(made), SdramRules(asked)
    opened, chip = Opened(m, dut), Opened(m, rules, "chip")
    for name in ("clock_enable", "command", "bank", "address", "mask", "data", "drive"):
        m.d.comb += getattr(rules.pins, name).eq(getattr(dut.pins, name))
    access = dut.port.access
    m.d.comb += Assume(~access.valid | ((access.payload.length != 0) & (access.payload.length <= BURST)))
    # an access stays offered until it is taken
    held, payload = past(m, access.valid & ~access.ready), access.payload.as_value()
    m.d.comb += Assume(~held | (access.valid & (payload == past(m, payload))))
    m.d.comb += Assert(rules.broken == 0)
    what_goes_through(m, made, opened, chip, dut)
    return m, opened, dut


def what_goes_through(m: Module, cycles: Cycles, opened: Opened, chip: Opened, dut: Controller) -> None:
    """Assert the invariants for the induction step: relations between the controller's state and the chip's
    view of it, which is a cycle behind."""
    command, pins = dut.pins.command, dut.pins
    hold, active, left, writing = (opened[name] for name in ("hold", "active", "left", "writing"))
    power, refreshing, mode, idle, columns = (
        opened.state(n) for n in ("POWER", "REFRESHES", "MODE", "IDLE", "COLUMNS")
    )
    chip_active, refreshed, was_set, closing = (
        chip[f"chip_{n}"] for n in ("active", "refreshed", "set", "closing")
    )
    m.d.comb += Assert(sum(command == known for known in Command) == 1)
    m.d.comb += Assert(power + refreshing + mode + idle + columns == 1)
    m.d.comb += Assert(opened["rested"] == (hold == 0))
    m.d.comb += Assert(~(idle & opened["possible"]) | dut.port.access.valid)
    # power-up
    counts = (command == Command.REFRESH) & (chip["chip_refreshes"] != REFRESHES)
    done = chip["chip_refreshes"] + counts
    early = power | (command == Command.PRECHARGE)
    m.d.comb += [
        Assert(hold < Mux(power, cycles.power_up, cycles.longest(1))),
        Assert(Mux(power, chip["chip_power"] == hold + 1, chip["chip_power"] == 0)),
        Assert(~power | (command == Command.NOP) & (opened["refreshes"] == 0)),
        Assert(pins.clock_enable | power & (hold == cycles.power_up - 1)),
        Assert(power | chip["chip_closed"] | (command == Command.PRECHARGE) & pins.address[PRECHARGE_BIT]),
        Assert((command != Command.PRECHARGE) | refreshing & (done == 0)),
        Assert(idle | columns | (opened["refreshes"] == done)),
        Assert(~power | (done == 0)),
        Assert(~refreshing | (done < REFRESHES)),
        Assert(~(mode | idle | columns) | (done == REFRESHES)),
        Assert((idle | columns) == (chip["chip_mode"] | (command == Command.MODE))),
        Assert((idle | columns) == dut.ready),
        Assert(~(early | refreshing | mode) | (chip_active == cycles.rc) & (active == cycles.rc)),
        Assert(~early | (chip["chip_written"] == cycles.wr)),
        Assert(~dut.ready | (pins.mask == 0) | (command == Command.MODE)),
        Assert(
            ~(refreshing | mode) | (command != Command.ACTIVATE) & (chip["chip_reading"] == 0) & ~pins.drive
        ),
    ]
    # rows
    column = (command == Command.READ) | (command == Command.WRITE)
    closes = column & pins.address[PRECHARGE_BIT]
    opens = columns & (command != Command.ACTIVATE) | closes
    for bank in range(1 << BANK_BITS):
        m.d.comb += Assert(chip[f"chip_open_{bank}"] == (opens & (pins.bank == bank)))
    m.d.comb += [
        Assert(~columns | (left != 0) & (left <= BURST)),
        Assert((command != Command.ACTIVATE) | columns),
        Assert(~column | (columns & ~closes | idle & closes)),
        Assert(~column | (writing == (command == Command.WRITE)) | idle),
        Assert(~pins.drive | (command == Command.WRITE)),
    ]
    # times since commands
    m.d.comb += [
        Assert((active != 0) & (active <= cycles.rc) & (chip_active <= cycles.rc)),
        Assert(
            (was_set <= cycles.mrd) & (chip["chip_written"] <= cycles.wr) & (refreshed <= cycles.refresh + 1)
        ),
        Assert((active == 1) == (command == Command.ACTIVATE)),
        Assert((active <= 1) | (active == cycles.rc) | (chip_active == active - 1)),
        Assert((active != cycles.rc) | (chip_active >= cycles.rc - 1)),
        Assert(closing <= hold + 1),
        Assert((command != Command.READ) | ~closes | (hold == cycles.rp)),
        Assert((command != Command.WRITE) | ~closes | (hold == cycles.wr + cycles.rp - 1)),
        Assert((command != Command.PRECHARGE) | (hold == cycles.rp - 1)),
        Assert((command != Command.REFRESH) | (hold == cycles.rfc - 1)),
        Assert((command != Command.MODE) | (hold == cycles.mrd - 1)),
        Assert((command != Command.ACTIVATE) | (hold == cycles.rcd - 1)),
        Assert(refreshed + hold + 1 >= cycles.rfc),
        Assert(was_set + hold + 1 >= cycles.mrd),
        Assert(~columns | (command == Command.ACTIVATE) | (chip_active + hold + 1 >= cycles.rcd)),
    ]
    comes_in_time(m, cycles, opened, chip, dut)


def comes_in_time(m: Module, cycles: Cycles, opened: Opened, chip: Opened, dut: Controller) -> None:
    """Assert the invariants of the next REFRESH: the present access ends within `rest` cycles."""
    command = dut.pins.command
    hold, active, age, left, writing = (opened[name] for name in ("hold", "active", "age", "left", "writing"))
    mode, idle, columns, refreshing = (opened.state(n) for n in ("MODE", "IDLE", "COLUMNS", "REFRESHES"))
    refreshed = chip["chip_refreshed"]
    done = chip["chip_refreshes"] + ((command == Command.REFRESH) & (chip["chip_refreshes"] != REFRESHES))
    rest, last, back = (
        Signal(range(2 * cycles.refresh)),
        Signal(range(cycles.refresh)),
        Signal(range(cycles.refresh)),
    )
    need = Mux(writing, max(cycles.ras - cycles.wr, 0), cycles.ras - 1)
    open_for = cycles.rc - active
    m.d.comb += last.eq(hold + left - 1)
    with m.If((need > active) & (need - active > (hold + left - 1))):
        m.d.comb += last.eq(need - active)
    m.d.comb += back.eq(Mux(writing, cycles.wr + cycles.rp, 1 + cycles.rp))
    m.d.comb += rest.eq(Mux(hold > open_for, hold, open_for))
    with m.If(mode):
        m.d.comb += rest.eq(hold + cycles.mrd)
    with m.If(columns):
        m.d.comb += rest.eq(Mux(last + back > open_for, last + back, open_for))
    known = mode | idle | columns
    m.d.comb += [
        Assert(age <= dut.begin + 1),
        Assert(~(known | refreshing & (done != 0)) | (age != 0)),
        Assert(~known | ((age == 1) == (command == Command.REFRESH))),
        Assert(~known | (age <= 1) | (age == dut.begin + 1) | (refreshed == age - 1)),
        Assert(~known | (age != dut.begin + 1) | (refreshed >= dut.begin)),
        Assert(~known | (command == Command.REFRESH) | (refreshed + rest < cycles.refresh)),
    ]


@pytest.mark.parametrize("cycles", [TIGHT, Cycles.of(48_000_000)], ids=["tight", "48 MHz"])
def test_controller(cycles):
    """The controller keeps power-up sequence, spacing of commands, state of rows, use of the bus and time of
    refreshes, for any accesses."""
    m, opened, _ = controller(cycles, cycles)
    prove(m, opened.inputs, depth=4, free=("writes", "reads"))


def test_a_controller_that_is_off_by_one_is_not_proved():
    """A controller that ends power-up a cycle early fails; `sim/memory/test_rules.py` covers each rule."""
    m, opened, _ = controller(replace(TIGHT, power_up=TIGHT.power_up - 1), TIGHT)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=20, free=("writes", "reads"))
