"""Draw mutants of the benches' components, and compile the benches with them."""

import random
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.boards.virtual import verilator
from nudge.plumbing.errors import ToolError
from sim.harness import testbench
from sim.harness.instance import connections
from sim.harness.testbench import CompiledBench

from .netlist import SELECT, SELECT_BITS, Netlist, mutated, source
from .subjects import Bench

#: Serialises elaboration: `hw.lib.elaboration.fast_elaboration` handles one design at a time.
CONVERTING = threading.Lock()

#: Smallest number of mutants of a whole core: a core takes two minutes to build, and each mutant a
#: quarter of a minute.
TOGETHER = 6


@dataclass(frozen=True)
class Mutant:
    """One change of one unit."""

    #: Folder and unit; for a build of a single component, its module.
    subject: str
    unit: str
    #: Value of the unit's input `mutant` that selects this mutant.
    number: int
    #: The Yosys command that makes the change.
    change: str
    #: The healthy unit in RTLIL, and the name of its top module.
    text: str = field(compare=False, repr=False)
    top: str = field(compare=False, repr=False)

    @property
    def input(self) -> str:
        """Name of the build's input that selects the mutant."""
        return f"{self.unit}__{SELECT}" if self.unit else SELECT

    @property
    def key(self) -> tuple[str, str]:
        """Key of the mutant in files: equal for equal sources and changes, in any draw."""
        return self.subject, self.change


class MutatedUnits(wiring.Component):
    """A `Testbench` with netlists in place of units, each with an input that selects a mutant.

    Units that aren't `kept` have ports only. The ports stay because tests draw random values for every input,
    and so draw the same values as in the full bench.
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
    """Return the module name of a unit's netlist."""
    return f"mutated_{unit}"


def shares(sizes: list[float], count: int) -> list[int]:
    """Divide `count` in proportion to the sizes, at least one for each if there are enough.

    The units that remain after rounding down go to the largest fractions.
    """
    least = min(1, count // len(sizes))
    rest, total = count - least * len(sizes), sum(sizes)
    parts = [rest * size / total for size in sizes]
    out = [least + int(part) for part in parts]
    order = sorted(range(len(sizes)), key=lambda n: int(parts[n]) - parts[n])
    for n in order[: count - sum(out)]:
        out[n] += 1
    return out


#: The benches, in the worker processes of `draw`.
_BENCHES: list[Bench] = []


def _texts(number: int) -> dict[tuple[str, str], str]:
    """Return the RTLIL of each unit of bench `number`, by bench and unit."""
    bench = _BENCHES[number]
    units = bench.units.items()
    return {
        (bench.name, name): source(unit, module_of(name) if name else top_of(bench)) for name, unit in units
    }


def draw(benches: list[Bench], count: int, seed: int) -> dict[tuple[str, str], tuple[str, int]]:
    """Return RTLIL and number of mutants of each unit, by bench and unit.

    The number is proportional to the square root of the RTLIL's length, so an engine of a thousand
    cells has more mutants than a counter, and a counter has some. Units in `not_mutated` have none.
    The share of components with a build of their own (whole cores) goes to a few of them, drawn from
    the seed, so that each has at least `TOGETHER`.
    """
    texts: dict[tuple[str, str], str] = {}
    # worker processes, one per processor core, inherit the benches by forking, because benches
    # can't be pickled
    with ProcessPoolExecutor(
        mp_context=get_context("fork"), initializer=_BENCHES.extend, initargs=(benches,)
    ) as pool:
        # whole cores are last in the list and take longest, so they start first
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
    """Return the name of the build's top module."""
    return "top" if bench.single else f"mutants_{bench.name.replace('.', '_')}"


def build(
    bench: Bench, drawn: dict[tuple[str, str], tuple[str, int]], seed: int
) -> tuple[CompiledBench, list[Mutant]]:
    """Compile a bench with the mutants from `draw`. `ToolError` if Yosys, Verilator or the compiler fails."""
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
    return CompiledBench(testbench.build_verilator(text, top, "-O1"), top, "verilator", inputs), mutants
