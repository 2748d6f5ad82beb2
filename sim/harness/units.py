"""What benches do with units: plan the steps of a sample, start, wait, run side by side, compare."""

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, gather

from golden.model.difference import first_difference
from hw.synapse.interface import SPIKE_BANKS

from .streams import PATIENCE
from .testbench import CLOCK


class Planned(NamedTuple):
    """One step of a sample: its phase, its number in the phase, and the fields of `hw.synapse.interface.Step`."""

    phase: str
    t: int
    fields: dict[str, int]


def plan(window: int, free: int, nudged: int = 0) -> Iterator[Planned]:
    """The steps of a sample with any legal banks: each reads what the step before wrote, a nudged phase starts from the free
    phase's last, and spikes are written to a bank that neither is read nor still needed."""
    last = random.randrange(SPIKE_BANKS)
    for phase, steps in (("free", free), ("plus", nudged), ("minus", nudged)):
        read, nudge = last, int(phase != "free")
        for t in range(steps):
            needed = {read, last} if phase == "plus" else {read}
            write = random.choice([bank for bank in range(SPIKE_BANKS) if bank not in needed])
            yield Planned(
                phase,
                t,
                {
                    "first": int(phase == "free" and t == 0),
                    "spike_read": read,
                    "spike_write": write,
                    "state_read": int(nudge and t > 0),
                    "state_write": nudge,
                    "nudge": nudge,
                    "negative": int(phase == "minus"),
                    "sum": int(t >= steps - window),
                    "sum_first": int(t == steps - window),
                },
            )
            read = write
        if phase == "free":
            last = read


class Recorder:
    """Cycles, counted like `Monitor.cycle` from the moment of creation, in which all these signals are high."""

    def __init__(self, dut, *names: str):
        self.cycles: list[int] = []
        cocotb.start_soon(self._watch(RisingEdge(getattr(dut, CLOCK)), [getattr(dut, name) for name in names]))

    async def _watch(self, edge, signals) -> None:
        for cycle in itertools.count():
            await edge
            if all(signal.value for signal in signals):
                self.cycles.append(cycle)


async def pulse(signal, edge) -> None:
    """High for one cycle."""
    signal.value = 1
    await edge
    signal.value = 0


async def run_part(port, signal=None) -> int:
    """Starts what has `busy` by `start` or another signal; returns after its end: the number of cycles it was busy."""
    await pulse(port.start if signal is None else signal, port.edge)
    for cycle in range(PATIENCE):
        await port.edge
        if not port.busy.value:
            return cycle
    raise AssertionError(f"{port.name}: busy for {PATIENCE} cycles")


async def each(dut, units: dict, check, *arguments) -> None:
    """Runs `check(dut, name, unit, *arguments)` for all units of a bench at once: they share the clock, not more."""
    await gather(*(check(dut, name, unit, *arguments) for name, unit in units.items()))


def expect(where: str, got, expected, names: tuple[str, ...] = ("word", "lane")) -> None:
    """Integer arrays are equal; otherwise the assertion names the place of the first difference, and both values."""
    got, expected = (np.asarray(x, dtype=object) for x in (got, expected))
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, expected {expected.shape}"
    difference = first_difference([(where, got, expected)])
    assert difference is None, difference.text("got", "expected", names)
