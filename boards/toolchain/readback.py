"""What is in a bitstream: unpacked again, and compared with what was asked for.

That finds what the packer lost or changed, and a bitstream of another build. Compared are the number of the build, the PLL,
the initial contents of all block RAMs, and what was placed and routed: for an iCE40 all of it; for an ECP5, whose unpacker
leaves out what has its default value, every word, which all lookup tables are among.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards.family import Family
from plumbing.errors import ToolError

from . import dfu, tools
from .clock import ANALOGUE, Ecp5Pll, Ice40Pll

#: Seconds for unpacking, which takes some of them.
UNPACK_SECONDS = 1800

#: Names of files in a build's folder: bitstream without suffix, what is in it, and what the unpacker says.
BARE, UNPACKED, LOG = "readback.bits", "readback.config", "readback.log"

#: What nextpnr leaves for the packer, and the same with the build's number.
ROUTED, NUMBERED = "top.asc", "numbered.asc"

COMMENT = "nudge build {:08x}"

#: Words of 9 bits in a DP16KD, words of 256 bits in an SB_RAM40_4K.
ECP5_WORDS, ICE40_ROWS = 2048, 16


@dataclass(frozen=True)
class Found:
    """What was found to be as asked."""

    #: Block RAMs, those of them that don't begin as zeros, and words or sections of all else.
    memories: int
    initialised: int
    words: int


def numbered(family: Family, command: list[str], place: Path, build: int) -> list[str]:
    """The packer's command, such that the bitstream has the build's number: an ECP5's USERCODE, an iCE40's comment."""
    if family is Family.ECP5:
        return [*command, "--usercode", str(build)]
    routed = re.sub(r"^\.comment.*\n([^.].*\n)*", "", (place / ROUTED).read_text(), flags=re.MULTILINE)
    (place / NUMBERED).write_text(f".comment\n{COMMENT.format(build)}\n{routed}")
    return [NUMBERED if word == ROUTED else word for word in command]


def read_back(
    bitstream: Path, folder: Path, place: Path, family: Family, build: int, pll: Ecp5Pll | Ice40Pll | None, kind: str
) -> Found:
    """Unpack a bitstream and compare it. folder: of the build, with its netlist. place: of the seed, with what was routed.

    Raises `ToolError` for the first difference, and where the unpacker fails.
    """
    (place / BARE).write_bytes(dfu.bare(bitstream.read_bytes()))
    words = ["ecpunpack", "--input", BARE, "--textcfg", UNPACKED]
    if family is Family.ICE40:
        words = ["icepack", "-u", BARE, UNPACKED]
    failure = tools.run(words, kind, place, Path(LOG), UNPACK_SECONDS)
    if failure or not (place / UNPACKED).is_file():
        raise ToolError(f"{words[0]} can't unpack {bitstream}: {failure.reason if failure else 'nothing made'}")
    unpacked, said = (place / UNPACKED).read_text(), (place / LOG).read_text(errors="replace")
    cells = json.loads((folder / "top.json").read_text())["modules"]["top"]["cells"].values()
    try:
        if family is Family.ECP5:
            return _ecp5(unpacked, said, (place / "top.config").read_text(), cells, build, pll)
        return _ice40(unpacked, (place / ROUTED).read_text(), cells, build)
    except DifferentError as why:
        raise ToolError(f"{bitstream} isn't what was asked for: {why}") from None


class DifferentError(Exception):
    """What is in the bitstream, and what was asked for."""


def sections(text: str) -> dict[str, list[str]]:
    """Lines of a configuration in words, by the line above that begins with a dot."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in filter(None, text.splitlines()):
        if line.startswith("."):
            lines = found.setdefault(line, [])
        else:
            lines.append(line)
    return found


def _same(what: str, found: Any, asked: Any) -> None:
    if found != asked:
        raise DifferentError(f"{what} {found}, not {asked}")


def _memories(found: Counter[Any], asked: Counter[Any]) -> tuple[int, int]:
    """How many block RAMs there are, and with other contents than zeros: an unpacker may list those that aren't used."""
    initialised, inside = (Counter({key: n for key, n in each.items() if any(key)}) for each in (asked, found))
    if other := max((initialised - inside).total(), (inside - initialised).total()):
        raise DifferentError(f"{other} of {asked.total()} block RAMs have other initial contents")
    return asked.total(), initialised.total()


# -- ECP5


def _ecp5(unpacked: str, said: str, routed: str, cells: Any, build: int, pll: Any) -> Found:
    usercode = re.search(r"set USERCODE to 0x([0-9a-fA-F]+)", said)
    _same("build (USERCODE)", f"{int(usercode[1], 16) if usercode else 0:08x}", f"{build:08x}")
    inside, asked = sections(unpacked), sections(routed)
    there = _words_by_tile(inside)
    clocks = [words for words in there.values() if "CLKOP_DIV" in words or "CLKI_DIV" in words]
    settings = {name: value for words in clocks for name, value in words.items()}
    for name, value in pll_words(pll).items() if pll else ():
        _same(f"PLL: {name}", int(settings.get(name, "0"), 2), value)
    _same("number of PLLs", sum("enum: MODE EHXPLLL" in lines for lines in inside.values()), int(bool(pll)))
    wanted = Counter(dp16kd(cell["parameters"]) for cell in cells if cell["type"] == "DP16KD")
    _same("number of block RAMs", sum(name.startswith(".bram_init") for name in inside), wanted.total())
    return Found(*_memories(Counter(_contents(inside)), wanted), _all_words(there, asked))


def pll_words(pll: Ecp5Pll) -> dict[str, int]:
    """What a PLL's words have to be: dividers count from 0."""
    dividers = {"CLKI_DIV": pll.reference, "CLKFB_DIV": pll.feedback, "CLKOP_DIV": pll.inner, "CLKOS_DIV": pll.output}
    phases = {"CLKOP_CPHASE": pll.inner, "CLKOS_CPHASE": pll.output}
    return {name: value - 1 for name, value in (dividers | phases).items()} | ANALOGUE


def dp16kd(parameters: dict[str, str]) -> tuple[int, ...]:
    """The 2,048 words of 9 bits that a DP16KD of a netlist begins with.

    Its rows have 16 words of 18 bits with 2 unused ones each (Lattice's TN-02204, memory usage guide).
    """
    content = []
    for row in range(64):
        bits = parameters.get(f"INITVAL_{row:02X}", "").replace("x", "0").rjust(320, "0")[::-1]
        for word in range(16):
            content += [int(bits[at : at + 9][::-1], 2) for at in (20 * word, 20 * word + 9)]
    return tuple(content)


def _contents(inside: dict[str, list[str]]) -> Iterator[tuple[int, ...]]:
    for name, lines in inside.items():
        if name.startswith(".bram_init"):
            content = tuple(int(word, 16) for line in lines for word in line.split())
            _same(f"{name}: words", len(content), ECP5_WORDS)
            yield content


def _words_by_tile(config: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """Words of each tile that has any."""
    found: dict[str, dict[str, str]] = {}
    for name, lines in config.items():
        kind, _, tile = name.partition(" ")
        if kind in (".tile", ".tile_group"):
            words = dict(line.split()[1:3] for line in lines if line.startswith("word: "))
            if words:
                found.setdefault(tile, {}).update(words)
    return found


def _all_words(there: dict[str, dict[str, str]], asked: dict[str, list[str]]) -> int:
    """How many words are as asked. One that isn't said has its default, which is the same for all of its name."""
    defaults: dict[str, str] = {}
    count = 0
    for tile, words in _words_by_tile(asked).items():
        if " " in tile:
            continue  # settings of several tiles, which the unpacker reads tile by tile
        for name, value in words.items():
            last = name.rpartition(".")[2]
            found = there.get(tile, {}).get(name)
            if found is None:
                found = defaults.setdefault(last, value if len(set(value)) == 1 else "its default")
            _same(f"{tile}: {name}", found, value)
            count += 1
    said = {(name.rpartition(".")[2], value) for words in there.values() for name, value in words.items()}
    for default in said & defaults.items():
        raise DifferentError(f"{default[0]} {default[1]} is said here, left out there")
    return count


# -- iCE40


def _ice40(unpacked: str, routed: str, cells: Any, build: int) -> Found:
    inside, asked = sections(unpacked), sections(routed)
    _same("build (comment)", inside.get(".comment"), [COMMENT.format(build)])
    memories = Counter(
        tuple(int(line, 16) for line in lines) for name, lines in inside.items() if name.startswith(".ram_data")
    )
    wanted = Counter(ram40(cell["parameters"]) for cell in cells if cell["type"].startswith("SB_RAM40_4K"))
    counts = _memories(memories, wanted)
    left, right = ({name: lines for name, lines in of.items() if _configures(name)} for of in (inside, asked))
    for name in left.keys() | right.keys():
        _same(name, left.get(name, _zeros(right.get(name))), right.get(name, _zeros(left.get(name))))
    return Found(*counts, len(right))


def ram40(parameters: dict[str, str]) -> tuple[int, ...]:
    """The 16 rows of 256 bits that a block RAM of a netlist begins with."""
    return tuple(int(parameters.get(f"INIT_{row:X}", "0").replace("x", "0"), 2) for row in range(ICE40_ROWS))


def _configures(name: str) -> bool:
    """Whether a section is part of a bitstream: names and comments for people aren't."""
    return not name.startswith((".comment", ".sym"))


def _zeros(lines: list[str] | None) -> list[str]:
    """What a section has that isn't said."""
    return [re.sub(r"[0-9a-f]", "0", line) for line in lines or []]
