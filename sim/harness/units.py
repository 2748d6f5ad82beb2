"""Helpers for benches of units: plan the halves of sweeps, start, wait, run in parallel, compare."""

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, gather

from nudge.golden.contract.config import SLOTS
from nudge.golden.model.difference import first_difference
from nudge.hw.synapse.interface import Step

from .streams import PATIENCE
from .testbench import CLOCK


class Planned(NamedTuple):
    """Plan of the odd or the even layers in one half of a sweep.

    Sample, phase, number of the sweep in the phase, and fields of `hw.synapse.interface.Step`; without a
    sample, ``idle`` is set.
    """

    sample: int
    phase: str
    t: int
    fields: dict[str, int]

    @property
    def idle(self) -> bool:
        return bool(self.fields["idle"])

    @property
    def slot(self) -> int:
        return self.fields["slot"]

    @property
    def bits(self) -> int:
        """The fields as the bits of a `Step`."""
        return Step.const(self.fields).as_bits()


def sweeps(window: int, free: int, nudged: int) -> list[tuple[str, int, dict[str, int]]]:
    """(phase, number, fields common to odd and even layers) of each sweep of a sample."""
    return [
        (
            phase,
            t,
            {
                "first": int(phase == "free" and t == 0),
                "state_read": int(phase != "free" and t > 0),
                "state_write": int(phase != "free"),
                "nudge": int(phase != "free"),
                "negative": int(phase == "minus"),
                "sum": int(t >= steps - window),
                "sum_first": int(t == steps - window),
                "sum_last": int(t == steps - 1),
            },
        )
        for phase, steps in (("free", free), ("plus", nudged), ("minus", nudged))
        for t in range(steps)
    ]


def sides(odd: bool, phase: str, t: int, fields: dict[str, int], *, fine: bool = False) -> dict[str, int]:
    """The fields of a sweep that differ between odd and even layers. fine: nudged phases with fine spikes."""
    begins = odd and phase != "free" and t == 0
    ends = not odd and phase == "free" and fields["sum_last"]
    silent = odd and fields["first"]
    if fine:
        return {"silent": int(silent or begins), "kept": 0, "keep": 0}
    return {"silent": int(silent), "kept": int(begins), "keep": int(ends)}


def annealing(halvings: tuple[int, ...], phase: str, t: int, free: int) -> dict[str, int]:
    """Fields of `hw.core.interface.annealing` in a sweep. Nudged phases keep the free phase's last lambda."""
    last = t if phase == "free" else free - 1
    return {
        "halved": sum(at <= last for at in halvings),
        "falls": int(phase == "free" and t + 1 < free and t + 1 in halvings),
    }


def halves(
    window: int, samples: list[tuple[int, int]], first: int = 0, *, fine: bool = False, slots: int = SLOTS
) -> Iterator[dict[int, Planned]]:
    """Plans of odd layers (key 1) and even layers (key 0) in each half; samples alternate between two slots.

    samples: (free, nudged) numbers of sweeps. first: number of the first sample; its parity is the slot.
    fine: as in `sides`. slots: with 1 either the odd or the even layers are idle.
    """
    ways = {first + n: sweeps(window, *sample) for n, sample in enumerate(samples)}
    waiting, at, turn = list(ways), dict.fromkeys(range(slots), (-1, 0)), first % slots

    def planned(slot: int, odd: bool) -> Planned:
        if slot not in at:
            return Planned(-1, "idle", 0, {"slot": 0, "idle": 1, "first": 1, "silent": 1})
        sample, number = at[slot]
        if sample < 0:
            noise = {
                name: random.getrandbits(1) for name in ("first", "nudge", "negative", "sum", "sum_last")
            }
            return Planned(-1, "idle", 0, {"slot": slot, "idle": 1, **noise})
        phase, t, fields = ways[sample][number]
        own = {"slot": slot, "idle": 0} | sides(odd, phase, t, fields, fine=fine)
        return Planned(sample, phase, t, fields | own)

    while waiting or any(sample >= 0 for sample, _ in at.values()):
        other = 1 - turn
        if turn in at and at[turn][0] < 0 and waiting and waiting[0] % slots == turn:
            at[turn] = (waiting.pop(0), 0)
        yield {1: planned(turn, True), 0: planned(other, False)}
        sample, number = at.get(other, (-1, 0))
        if sample >= 0:
            at[other] = (sample, number + 1) if number + 1 < len(ways[sample]) else (-1, 0)
        turn = other


class Recorder:
    """Records the cycles in which all these signals are high, counted from creation like `Monitor.cycle`."""

    def __init__(self, dut, *names: str):
        self.cycles: list[int] = []
        cocotb.start_soon(
            self._watch(RisingEdge(getattr(dut, CLOCK)), [getattr(dut, name) for name in names])
        )

    async def _watch(self, edge, signals) -> None:
        for cycle in itertools.count():
            await edge
            if all(signal.value for signal in signals):
                self.cycles.append(cycle)


async def pulse(signal, edge) -> None:
    """Sets a signal high for one cycle."""
    signal.value = 1
    await edge
    signal.value = 0


async def run_part(port, signal=None) -> int:
    """Starts a unit by `start` or another signal and waits for its end; returns the number of busy cycles."""
    await pulse(port.start if signal is None else signal, port.edge)
    for cycle in range(PATIENCE):
        await port.edge
        if not port.busy.value:
            return cycle
    raise AssertionError(f"{port.name}: busy for {PATIENCE} cycles")


#: Names of the units that `each` runs, or None for all; `sim.rigs.mutants` chooses one.
chosen: set[str] | None = None


async def each(dut, units: dict, check, *arguments) -> None:
    """Runs `check(dut, name, unit, *arguments)` for all units in parallel; they share only the clock."""
    await gather(
        *(
            check(dut, name, unit, *arguments)
            for name, unit in units.items()
            if chosen is None or name in chosen
        )
    )


def expect(where: str, got, expected, names: tuple[str, ...] = ("word", "lane")) -> None:
    """Asserts that integer arrays are equal; the message names the first difference and both values."""
    got, expected = (np.asarray(x, dtype=object) for x in (got, expected))
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, expected {expected.shape}"
    difference = first_difference([(where, got, expected)])
    assert difference is None, difference.text("got", "expected", names)
