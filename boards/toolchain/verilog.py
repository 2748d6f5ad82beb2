"""A board's logic as plain Verilog, for a flow that isn't ours."""

import os
import re
from dataclasses import dataclass

from amaranth.back import verilog

from boards.fpga import Fpga
from golden.contract.protocol import PHASES, BuildFacts, Identity, window_for
from hw.lib.elaboration import fast_elaboration
from hw.system import System
from hw.top import Top

from .netlist import plain_names, plan
from .power_up import compacted

#: What the module speaks: the serial line, or the bytes inside it as two streams.
LINKS = ("uart", "bytes")


#: What Verilator says of text as Yosys writes it, and has no bearing on what it means.
LINT_OFF = ("ASCRANGE", "CASEINCOMPLETE", "DECLFILENAME", "PROCASSINIT", "UNUSEDSIGNAL", "VARHIDDEN", "WIDTH")


#: Modules whose memory holds frames: each byte of a frame or of an answer that is used was written since reset, so what the
#: memory holds at power-up is left open. The exported bench, whose memories then begin as unknown, compares all answers.
FRAME_BUFFERS = ("deframer", "framer")


@dataclass(frozen=True)
class Port:
    """Of the exported module `top`."""

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
    """What HELLO answers in the exported module."""
    facts, config = fpga.facts(preset), fpga.design(preset).config
    top = (config.spec.name, config.spec.identity, facts.clock_hz, facts.uart_divisor, config.lanes)
    return Identity(*top, window=window_for(config.spec, facts.window))


def synthesisable_verilog(fpga: Fpga, preset: str, link: str = "uart") -> str:
    """Verilog of a module `top`, with `PORTS`, as this board has it for a preset; `DesignError` if it has no design for that.

    link: of `LINKS`: `hw.top.Top` or, without the serial line, `hw.system.System`. The clock, the pins and their
    constraints are for the other flow to add. The registers that tell of a bitstream's making read 0.

    Elaborated for the board's platform, so that memories are what the part has: what is read at an address in the cycle in
    which it is written is undefined, and nothing uses it. `sim.board.verilator.to_verilog` makes it wrong on purpose.
    """
    # Amaranth's own, which is pinned: the same text on each machine
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    facts, config = fpga.facts(preset), fpga.design(preset).config
    if link == "uart":
        top = Top(config, clock_hz=facts.clock_hz, divisor=facts.uart_divisor, window=facts.window)
    else:
        top = System(config, identity(fpga, preset))
    with fast_elaboration():
        text = verilog.convert(top, name="top", platform=fpga.platform(), emit_src=False, strip_internal_attrs=True)
    lint = "".join(f"/* verilator lint_off {name} */\n" for name in LINT_OFF)
    return lint + compacted(plain_names(str(text)), FRAME_BUFFERS)


def constraints(fpga: Fpga, preset: str) -> tuple[str, str]:
    """Where the board has the pins `rx` and `tx`, and the clock: suffix and text of a file for nextpnr.

    The clock's pin is given where the core runs at the oscillator's rate; else it is for a PLL of the other flow to make.
    """
    made = plan(fpga, preset, BuildFacts())
    (name,) = (name for name in made.files if name.endswith((".lpf", ".pcf")))
    names = {"rx": rf"{fpga.uart[0]}_{fpga.uart[1]}__rx__io", "tx": rf"{fpga.uart[0]}_{fpga.uart[1]}__tx__io"}
    platform = fpga.platform()
    clock, rate = platform.default_clk, round(platform.default_clk_frequency)
    wanted = fpga.facts(preset).clock_hz
    if rate == wanted:
        names["clk"] = rf"{clock}_0__io"
    lines = [f"# {fpga.what}: clk must have {wanted} Hz; the oscillator {clock} has {rate} Hz"]
    for mine, theirs in names.items():
        pattern = re.compile(rf"\b{theirs}\b")
        lines += [pattern.sub(mine, line) for line in made.files[name].splitlines() if pattern.search(line)]
    return name.rpartition(".")[2], "\n".join(lines) + "\n"
