"""Export of a board's logic as plain Verilog, for another tool flow."""

import os
import re
from dataclasses import dataclass

from amaranth.back import verilog

from nudge.boards.family import Family
from nudge.boards.fpga import Fpga
from nudge.golden.contract.protocol import PHASES, BuildFacts, Identity, window_for
from nudge.hw.lib.elaboration import fast_elaboration
from nudge.hw.system import System
from nudge.hw.top import Top

from .netlist import plain_names, plan
from .power_up import compacted
from .route import CONSTRAINTS

#: Interfaces of the exported module: the serial line, or its bytes as two streams.
LINKS = ("uart", "bytes")


#: Verilator's warnings about the style of Yosys' Verilog, which don't affect its meaning.
LINT_OFF = ("ASCRANGE", "CASEINCOMPLETE", "DECLFILENAME", "PROCASSINIT", "UNUSEDSIGNAL", "VARHIDDEN", "WIDTH")


#: Modules with a memory of frames. Each byte of a frame or of an answer is written after reset before it is
#: used, so the export leaves the memory's initial contents undefined. The exported bench starts with unknown
#: memories, and compares all answers.
FRAME_BUFFERS = ("deframer", "framer")


@dataclass(frozen=True)
class Port:
    """A port of the exported module `top`."""

    name: str
    direction: str
    width: int
    what: str


LIGHTS = (
    Port("busy", "output", 1, "the core is busy"),
    Port("phase", "output", len(PHASES), f"one hot: {', '.join(PHASES)}, or 0"),
    Port("error", "output", 1, "a frame or byte was refused since reset"),
)

PORTS = {
    "uart": (
        Port("clk", "input", 1, "the only clock"),
        Port("rst", "input", 1, "synchronous, active high; needed once"),
        Port("rx", "input", 1, "serial line from the host, 8N1, idle high"),
        Port("tx", "output", 1, "serial line to the host"),
        *LIGHTS,
    ),
    "bytes": (
        Port("clk", "input", 1, "the only clock"),
        Port("rst", "input", 1, "synchronous, active high; needed once"),
        Port("i__payload", "input", 8, "bytes of requests (docs/link.md)"),
        Port("i__valid", "input", 1, "a byte is there; it is taken in a cycle in which i__ready is 1 too"),
        Port("i__ready", "output", 1, "it may take some cycles"),
        Port("o__payload", "output", 8, "bytes of answers"),
        Port("o__valid", "output", 1, "a byte is there until o__ready is 1 too"),
        Port("o__ready", "input", 1, "whoever listens takes it"),
        Port("framing", "input", 1, "one cycle for each byte that was lost on the way here; else 0"),
        *LIGHTS,
    ),
}


def identity(fpga: Fpga, preset: str) -> Identity:
    """Return the HELLO answer of the exported module: network identity, clock, divisor, lanes and window."""
    facts, config = fpga.facts(preset), fpga.design(preset).config
    top = (config.spec.name, config.spec.identity, facts.clock_hz, facts.uart_divisor, config.lanes)
    return Identity(*top, window=window_for(config.spec, facts.window))


def synthesisable_verilog(fpga: Fpga, preset: str, link: str = "uart") -> str:
    """Return Verilog of a module `top` with `PORTS`, the logic of this board for a preset.

    link: one of `LINKS`: "uart" exports `hw.top.Top`, "bytes" `hw.system.System`, which has no serial line.
    The other flow adds the clock, the pins and their constraints. The registers with facts of a build read 0.
    Raises `DesignError` if the board has no design for the preset.

    The logic is elaborated for the board's platform, so that memories behave as on the part: a read of a word
    that is being written is undefined, and no logic uses it. `boards.virtual.verilator.to_verilog` returns a
    wrong word there on purpose.
    """
    # Amaranth's own Yosys, which is pinned, so that each machine writes the same text
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    facts, config = fpga.facts(preset), fpga.design(preset).config
    if link == "uart":
        top = Top(config, clock_hz=facts.clock_hz, divisor=facts.uart_divisor, window=facts.window)
    else:
        top = System(config, identity(fpga, preset))
    with fast_elaboration():
        text = verilog.convert(
            top, name="top", platform=fpga.platform(), emit_src=False, strip_internal_attrs=True
        )
    lint = "".join(f"/* verilator lint_off {name} */\n" for name in LINT_OFF)
    return lint + compacted(plain_names(str(text)), FRAME_BUFFERS)


def constraints(fpga: Fpga, preset: str) -> tuple[str, str]:
    """Return suffix and text of nextpnr's constraints file for the board's pins `rx`, `tx` and the clock.

    The clock's pin is included only if the core runs at the oscillator's rate; else the other flow must add a
    PLL.
    """
    made = plan(fpga, preset, BuildFacts())
    (name,) = (name for name in made.files if name in CONSTRAINTS)
    names = {"rx": rf"{fpga.uart[0]}_{fpga.uart[1]}__rx__io", "tx": rf"{fpga.uart[0]}_{fpga.uart[1]}__tx__io"}
    platform = fpga.platform()
    clock, rate = platform.default_clk, round(platform.default_clk_frequency)
    wanted = fpga.facts(preset).clock_hz
    if rate == wanted:
        names["clk"] = rf"{clock}_0__io"
    mark = "//" if fpga.family is Family.GOWIN else "#"
    lines = [f"{mark} {fpga.what}: clk must have {wanted} Hz; the oscillator {clock} has {rate} Hz"]
    for mine, theirs in names.items():
        pattern = re.compile(rf"\b{theirs}\b")
        lines += [pattern.sub(mine, line) for line in made.files[name].splitlines() if pattern.search(line)]
    return name.rpartition(".")[2], "\n".join(lines) + "\n"
