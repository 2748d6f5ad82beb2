"""Netlist of a board and a preset: Amaranth's build plan, with fixes for Yosys."""

import json
import os
import re
import zlib
from typing import Any

from amaranth.build import ResourceError

from nudge.boards.family import Family
from nudge.boards.fpga import Fpga
from nudge.golden.contract.protocol import BuildFacts
from nudge.hw.compact.compact_core import check_compact
from nudge.hw.lib.block_memory import UNDEFINED
from nudge.hw.lib.elaboration import fast_elaboration
from nudge.plumbing.errors import DesignError

from .clock import pll
from .logic import BoardLogic
from .router import SLOW


def build_id(fpga: Fpga, preset: str, facts: BuildFacts, versions: dict[str, str]) -> int:
    """Return the value of the register `build`: CRC-32 of netlist, constraints, commands, versions of tools,
    spacers and settings of the router.

    The text of the sources is not included. The number is part of the netlist, so a new one changes
    placement, which moves fmax by up to 10 % either way.
    """
    digest, design = plan(fpga, preset, facts).digest(), fpga.design(preset)
    spaced = f"spacers {design.spacers}" if design.spacers else ""
    slow = f"router {SLOW}" if design.slow else ""
    return zlib.crc32(digest + (json.dumps(versions) + spaced + slow).encode())


def plan(fpga: Fpga, preset: str, facts: BuildFacts, seed: int = 1) -> Any:
    """Return Amaranth's build plan: netlist, pins, constraints and commands. It needs no other tool.

    Raises the errors of `check`.
    """
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    platform = fpga.platform()
    check(fpga, preset, platform)
    # without it nextpnr aims at 12 MHz: the file with a Gowin part's pins can't hold a clock's frequency
    clock = f" --freq {fpga.design(preset).clock_hz / 1e6:g}" if fpga.family is Family.GOWIN else ""
    with fast_elaboration():
        made = platform.prepare(
            BoardLogic(fpga, preset, facts),
            "top",
            emit_src=False,
            debug_verilog=False,
            synth_opts=fpga.synth_opts,
            nextpnr_opts=f"{fpga.nextpnr_opts}{clock} --seed {seed} --report report.json",
        )
    made.files["top.il"] = undefined_collisions(plain_names(made.files["top.il"]))
    return made


def synthesis(fpga: Fpga, top: str) -> str:
    """Return the Yosys command of Amaranth's build plan that synthesises a module for a board."""
    return f"synth_{fpga.family.name.lower()} {fpga.synth_opts} -top {top}"


def check(fpga: Fpga, preset: str, platform: Any) -> None:
    """Adds the board's pins to its platform, and checks the design.

    Raises `DesignError` if pins are missing, or the clock or the serial rate can't be made, `ConfigError` for
    a network that the compact core can't hold. It is called before elaboration, since Amaranth warns about
    components that are never used.
    """
    config = fpga.design(preset).config
    if config.compact:
        check_compact(config)
    pll(fpga.family, round(platform.default_clk_frequency), fpga.facts(preset).clock_hz)
    try:
        platform.add_resources(fpga.resources)
        for resource in (fpga.uart, fpga.button, *fpga.leds, *fpga.high, fpga.sdram):
            if resource is not None:
                platform.lookup(*resource)
    except ResourceError as error:
        raise DesignError(f"{fpga.name}: {error}") from None


def commands(made: Any) -> list[list[str]]:
    """Return a plan's commands, each a tool with arguments: synthesis, place and route, packing, others."""
    out: list[list[str]] = json.loads(made.files["build_top.json"])["commands"]
    return out


def plain_names(text: str) -> str:
    """Replace brackets in escaped names by angle brackets: `name[3]` becomes `name<3>`.

    Amaranth calls elements of an array `name[3]`; Yosys' abc9 takes that for a bit of `name`, and stops.
    text: RTLIL or Verilog; in both, such names begin with a backslash and end at a space.
    """
    return re.sub(r"\\\S*\[\S*", lambda name: name[0].replace("[", "<").replace("]", ">"), text)


def undefined_collisions(rtlil: str) -> str:
    """Set COLLISION_X_MASK of the read ports of each `BlockMemory`: a read of a word that is being written is
    undefined.

    Yosys looks at this parameter, not at the attribute of the memory.
    """
    marked = re.compile(rf"attribute \\{UNDEFINED} 1\n(?:\s*attribute .*\n)*\s*memory .* (\S+)\n")
    port = re.compile(
        r'(parameter \\MEMID "\\(\S+)"(?:\n.*){3}\n\s*parameter \\COLLISION_X_MASK \d+\')(0+)$', re.M
    )

    def in_module(module: re.Match[str]) -> str:
        names = set(marked.findall(module[0]))

        def masked(read: re.Match[str]) -> str:
            return read[1] + (read[3].replace("0", "1") if read[2] in names else read[3])

        return port.sub(masked, module[0])

    return re.sub(r"^module .*?^end$", in_module, rtlil, flags=re.M | re.S)
