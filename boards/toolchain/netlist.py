"""From a board and a preset to a netlist: Amaranth's build plan, mended for Yosys."""

import json
import os
import re
import zlib
from typing import Any

from amaranth.build import ResourceError

from boards.fpga import Fpga
from golden.contract.protocol import BuildFacts
from hw.compact.compact_core import check_compact
from hw.lib.block_memory import UNDEFINED
from hw.lib.elaboration import fast_elaboration
from plumbing.errors import DesignError

from .clock import pll
from .logic import BoardLogic


def build_id(fpga: Fpga, preset: str, facts: BuildFacts, versions: dict[str, str]) -> int:
    """The register `build`: CRC-32 of all that decides the bitstream: netlist, constraints, commands, tools, spacers.

    Not of the sources' text: the number is in the netlist, and another one moves the logic, by a tenth of fmax either way.
    """
    digest, share = plan(fpga, preset, facts).digest(), fpga.design(preset).spacers
    return zlib.crc32(digest + json.dumps(versions).encode() + (f"spacers {share}".encode() if share else b""))


def plan(fpga: Fpga, preset: str, facts: BuildFacts, seed: int = 1) -> Any:
    """Amaranth's build plan: netlist, pins, constraints and the commands. Needs no other tool.

    Raises what `check` does.
    """
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    platform = fpga.platform()
    check(fpga, preset, platform)
    with fast_elaboration():
        made = platform.prepare(
            BoardLogic(fpga, preset, facts),
            "top",
            emit_src=False,
            debug_verilog=False,
            synth_opts=fpga.synth_opts,
            nextpnr_opts=f"{fpga.nextpnr_opts} --seed {seed} --report report.json",
        )
    made.files["top.il"] = undefined_collisions(plain_names(made.files["top.il"]))
    return made


def synthesis(fpga: Fpga, top: str) -> str:
    """The command by which Yosys synthesises a module for a board in a build, as Amaranth's plan has it."""
    return f"synth_{fpga.family.name.lower()} {fpga.synth_opts} -top {top}"


def check(fpga: Fpga, preset: str, platform: Any) -> None:
    """Adds the board's pins to its platform.

    Raises `DesignError` if pins are missing, or the clock or the serial rate can't be made, `ConfigError` for a network
    that the compact core can't hold. Before anything is elaborated, since Amaranth warns of what it made in vain.
    """
    config = fpga.design(preset).config
    if config.compact:
        check_compact(config)
    pll(fpga.family, round(platform.default_clk_frequency), fpga.facts(preset).clock_hz)
    try:
        platform.add_resources(fpga.resources)
        for resource in (fpga.uart, fpga.button, *fpga.leds, fpga.sdram):
            if resource is not None:
                platform.lookup(*resource)
    except ResourceError as error:
        raise DesignError(f"{fpga.name}: {error}") from None


def commands(made: Any) -> list[list[str]]:
    """The commands of a plan: synthesise, place and route, pack, and perhaps more; each a tool and its arguments."""
    out: list[list[str]] = json.loads(made.files["build_top.json"])["commands"]
    return out


def plain_names(text: str) -> str:
    """The same netlist for Yosys' abc9, which takes `name[3]`, as Amaranth calls elements, for a bit of `name`, and stops.

    text: RTLIL or, where such names are as well escaped by a backslash and ended by a space, Verilog.
    """
    return re.sub(r"\\\S*\[\S*", lambda name: name[0].replace("[", "<").replace("]", ">"), text)


def undefined_collisions(rtlil: str) -> str:
    """The same netlist, in which read ports of a `BlockMemory` say what it promises; Yosys asks them, not its attribute."""
    marked = re.compile(rf"attribute \\{UNDEFINED} 1\n(?:\s*attribute .*\n)*\s*memory .* (\S+)\n")
    port = re.compile(r'(parameter \\MEMID "\\(\S+)"(?:\n.*){3}\n\s*parameter \\COLLISION_X_MASK \d+\')(0+)$', re.M)

    def in_module(module: re.Match[str]) -> str:
        names = set(marked.findall(module[0]))

        def masked(read: re.Match[str]) -> str:
            return read[1] + (read[3].replace("0", "1") if read[2] in names else read[3])

        return port.sub(masked, module[0])

    return re.sub(r"^module .*?^end$", in_module, rtlil, flags=re.M | re.S)
