"""Benches whose components have mutants, compiled."""

import random
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from plumbing.errors import ToolError
from sim.board import verilator
from sim.harness import testbench
from sim.harness.instance import connections
from sim.harness.testbench import CompiledBench

from .netlist import SELECT, SELECT_BITS, Netlist, mutated, source
from .subjects import Bench

#: Amaranth makes the RTLIL of one design at a time (`hw.lib.elaboration.fast_elaboration`).
CONVERTING = threading.Lock()

#: Mutants of a whole core, at least: one takes two minutes to build, and each mutant a quarter of one.
TOGETHER = 6


@dataclass(frozen=True)
class Mutant:
    """One change of one unit."""

    #: Folder and unit, or module of a build of one component.
    subject: str
    unit: str
    #: Value of the unit's input that chooses it.
    number: int
    #: The command of Yosys that makes it.
    change: str
    #: The healthy unit in RTLIL, and its top module.
    text: str = field(compare=False, repr=False)
    top: str = field(compare=False, repr=False)

    @property
    def input(self) -> str:
        """Of the build, which chooses it."""
        return f"{self.unit}__{SELECT}" if self.unit else SELECT

    @property
    def key(self) -> tuple[str, str]:
        """The same for the same sources, wherever it was drawn."""
        return self.subject, self.change


class MutatedUnits(wiring.Component):
    """Netlists side by side, as `Testbench` has units, each with its input that chooses a mutant.

    Of `units` that aren't `kept` there are only the ports: tests draw something for each input, and draw the same so.
    """

    def __init__(self, units: dict[str, wiring.Component], netlists: dict[str, Netlist], kept: set[str]):
        self.units, self.netlists, self.kept = units, netlists, kept
        choosers = {f"{name}__{SELECT}": In(SELECT_BITS) for name in netlists}
        super().__init__({name: Out(unit.signature) for name, unit in units.items()} | choosers)

    def elaborate(self, platform):
        m = Module()
        for name, unit in self.units.items():
            if name not in self.kept:
                continue
            if name not in self.netlists:
                m.submodules[name] = unit
                wiring.connect(m, wiring.flipped(getattr(self, name)), unit)
                continue
            ports = connections(getattr(self, name), unit, self.netlists[name].verilog)
            ports[f"i_{SELECT}"] = getattr(self, f"{name}__{SELECT}")
            m.submodules[name] = Instance(module_of(name), **ports)
        return m


def module_of(unit: str) -> str:
    """Of its netlist."""
    return f"mutated_{unit}"


def shares(sizes: list[float], count: int) -> list[int]:
    """`count` divided by size; the remainders go to the largest of them. One to each, where there are enough."""
    least = min(1, count // len(sizes))
    rest, total = count - least * len(sizes), sum(sizes)
    parts = [rest * size / total for size in sizes]
    out = [least + int(part) for part in parts]
    order = sorted(range(len(sizes)), key=lambda n: int(parts[n]) - parts[n])
    for n in order[: count - sum(out)]:
        out[n] += 1
    return out


#: In a process of `draw`.
_BENCHES: list[Bench] = []


def _texts(number: int) -> dict[tuple[str, str], str]:
    """RTLIL of the units of one bench."""
    bench = _BENCHES[number]
    units = bench.units.items()
    return {(bench.name, name): source(unit, module_of(name) if name else top_of(bench)) for name, unit in units}


def draw(benches: list[Bench], count: int, seed: int) -> dict[tuple[str, str], tuple[str, int]]:
    """RTLIL and number of mutants of each unit, by bench and unit: in proportion to the square root of the text's length.

    So an engine of a thousand cells has more than a counter, and a counter has some. Those in `not_mutated` have none.
    What falls to components with a build of their own, whole cores, is given to so many of them that each has `TOGETHER`,
    drawn from the seed.
    """
    texts: dict[tuple[str, str], str] = {}
    # processes that have the benches by forking, for these can't be sent; as many as there are cores
    with ProcessPoolExecutor(mp_context=get_context("fork"), initializer=_BENCHES.extend, initargs=(benches,)) as pool:
        # the longest first: whole cores
        for part in pool.map(_texts, range(len(benches) - 1, -1, -1)):
            texts |= part
    right = [(bench.name, name) for bench in benches for name in bench.units if name not in bench.not_mutated]
    numbers = dict(zip(right, shares([len(texts[key]) ** 0.5 for key in right], count), strict=True))
    alone = [key for key in right if not key[1]]
    if total := sum(numbers[key] for key in alone):
        drawn = random.Random(seed).sample(alone, min(len(alone), max(1, total // TOGETHER)))
        numbers.update(dict.fromkeys(alone, 0))
        numbers.update(zip(drawn, shares([len(texts[key]) ** 0.5 for key in drawn], total), strict=True))
    return {key: (text, numbers.get(key, 0)) for key, text in texts.items()}


def top_of(bench: Bench) -> str:
    """Name of the build's top module."""
    return "top" if bench.single else f"mutants_{bench.name.replace('.', '_')}"


def build(bench: Bench, drawn: dict[tuple[str, str], tuple[str, int]], seed: int) -> tuple[CompiledBench, list[Mutant]]:
    """A bench with the mutants that `draw` gave it. `ToolError` if Yosys, Verilator or the compiler fails."""
    netlists, mutants, top = {}, [], top_of(bench)
    for unit in bench.units:
        text, number = drawn[bench.name, unit]
        if number:
            module = module_of(unit) if unit else top
            netlists[unit] = mutated(text, module, number, seed)
            changes = enumerate(netlists[unit].changes, 1)
            mutants += [Mutant(bench.subject(unit), unit, n, change, text, module) for n, change in changes]
    if not mutants:
        raise ToolError(f"{bench.name} has no cells to change")
    if bench.single:
        inputs, parts = testbench.inputs(bench.units[""]), []
    else:
        modules = [bench.modules[unit] for unit in netlists]
        kept = {unit for unit in bench.units if bench.modules[unit] in modules}
        units, choosers = MutatedUnits(bench.units, netlists, kept), {mutant.input for mutant in mutants}
        inputs = tuple(name for name in testbench.inputs(units) if name not in choosers)
        with CONVERTING:
            parts = [verilator.converted(units, top)]
    parts += [netlist.verilog for netlist in netlists.values()]
    text = verilator.with_modules("".join([*parts, testbench.verilog_of(bench.units.values())]))
    return CompiledBench(testbench.build_verilator(text, top), top, "verilator", inputs), mutants
