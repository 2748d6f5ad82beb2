# amaranth: UnusedElaboratable=no
"""The controller keeps every rule of the chip; the chip notices each rule broken by a single cycle."""

from dataclasses import replace

import cocotb
from cocotb.triggers import ClockCycles

from nudge.hw.memory.timing import Cycles
from sim.harness.streams import start
from sim.harness.testbench import CLOCK

from .chip import verdict
from .exerciser import Exerciser

#: Times for which each rule can be broken alone; at 48 MHz some rules imply others.
EACH = Cycles(rcd=3, rp=3, ras=7, rc=15, rfc=9, wr=3, mrd=4, refresh=150, power_up=40)

#: Time that a controller gets wrong by a cycle (a minimum less 1, a maximum plus 1) -> the rule that it
#: breaks, the traffic in which it does, the chip's times.
CAUGHT = {
    "rcd": ("tRCD", "reads", EACH),
    "rp": ("tRP", "reads", replace(EACH, rc=7)),
    "ras": ("tRAS", "reads", replace(EACH, ras=9)),
    "rc": ("tRC", "reads", EACH),
    "rfc": ("tRFC", "reads", replace(EACH, rc=7)),
    "wr": ("tWR", "writes", replace(EACH, rc=7)),
    "mrd": ("tMRD", "reads", EACH),
    "refresh": ("tREFI", "writes", EACH),
    "power_up": ("power-up", "reads", EACH),
}


def spoiled(cycles: Cycles, name: str) -> Cycles:
    """Return times with one wrong by a cycle: a minimum too small, the maximum (refresh) too large."""
    return replace(cycles, **{name: getattr(cycles, name) + (1 if name == "refresh" else -1)})


UNITS = {
    f"without_{name}": Exerciser(spoiled(cycles, name), cycles) for name, (_, _, cycles) in CAUGHT.items()
}
WRONG = tuple(UNITS)
#: Clocks, from slow to the fastest, for controllers as built for a board.
CLOCKS = (12_000_000, 48_000_000, 66_000_000, 100_000_000)
UNITS |= {f"at_{hz}": Exerciser(Cycles.of(hz), Cycles.of(hz), way=hz // 20_000_000) for hz in CLOCKS}
UNITS |= {f"kept_{name}": Exerciser(CAUGHT[name][2], CAUGHT[name][2]) for name in ("rcd", "rp", "ras")}
#: This bench checks rules alone, some of them broken on purpose; `test_memory` checks rules and words.
NOT_MUTATED = tuple(UNITS)


async def run(dut, names, cycles: int, *, reads: int, writes: int, hurry: int) -> None:
    for name in names:
        for what, value in (("reads", reads), ("writes", writes), ("hurry", hurry)):
            getattr(dut, f"{name}__{what}").value = value
    await ClockCycles(getattr(dut, CLOCK), cycles)


@cocotb.test()
async def each_rule_is_caught_by_name(dut):
    await start(dut)
    for name, (_, traffic, _) in CAUGHT.items():
        getattr(dut, f"without_{name}__{traffic}").value = 1
    await ClockCycles(getattr(dut, CLOCK), 20_000)
    for name, (rule, _, _) in CAUGHT.items():
        found = verdict(dut, f"without_{name}")
        dut._log.info("%s: %s", name, found)
        assert (found or "nothing").startswith(f"{rule}:"), f"{name} off by one: {found}"


@cocotb.test()
@cocotb.parametrize(traffic=[(1, 1, 0), (1, 1, 1), (0, 1, 1), (1, 0, 1), (0, 0, 0)])
async def no_rule_is_broken(dut, traffic):
    names = [name for name in UNITS if name not in WRONG]
    await start(dut)
    await run(dut, names, 30_000, **dict(zip(("reads", "writes", "hurry"), traffic, strict=True)))
    for name in names:
        assert verdict(dut, name) is None, f"{name}: {verdict(dut, name)}"
        if any(traffic):
            assert int(getattr(dut, f"{name}__accesses").value) > 200
