"""Check of a bitstream: it is unpacked and compared with the routed design.

The check finds settings that the packer lost or changed, and a bitstream of another build. It compares the
build's number, the PLL, the initial contents of all block RAMs, and the placed and routed design: all of it
for an iCE40; for an ECP5, whose unpacker omits settings with their default values, every configuration word,
among them all lookup tables.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nudge.boards.family import Family
from nudge.plumbing.errors import ToolError

from . import dfu, tools
from .clock import ANALOGUE, Ecp5Pll, Pll

#: Time limit of unpacking in seconds; it usually takes a few.
UNPACK_SECONDS = 1800

#: Files in the folder of a seed: bitstream without DFU suffix, unpacked bitstream, log of the unpacker.
BARE, UNPACKED, LOG = "readback.bits", "readback.config", "readback.log"

#: Families whose bitstreams can be read back. apycula's unpacker restores neither multipliers nor what block
#: RAMs hold.
FAMILIES = (Family.ICE40, Family.ECP5)

#: nextpnr's output for an iCE40's packer, and the same with the build's number as its comment.
ROUTED, NUMBERED = "top.asc", "numbered.asc"

COMMENT = "nudge build {:08x}"

#: Words of 9 bits in a DP16KD; rows of 256 bits in an SB_RAM40_4K.
ECP5_WORDS, ICE40_ROWS = 2048, 16


@dataclass(frozen=True)
class Found:
    """Counts of the settings that were compared and are equal."""

    #: Block RAMs.
    memories: int
    #: Block RAMs whose initial contents aren't all zero.
    initialised: int
    #: Configuration words (ECP5) or sections (iCE40) of all else.
    words: int


def numbered(family: Family, command: list[str], place: Path, build: int) -> list[str]:
    """Return the packer's command that puts the build's number into the bitstream: an ECP5's USERCODE, an
    iCE40's comment. A Gowin part's bitstream gets it afterwards, by `comment`.

    For an iCE40 it writes the numbered copy of nextpnr's output to `place`.
    """
    if family is Family.GOWIN:
        return command
    if family is Family.ECP5:
        return [*command, "--usercode", str(build)]
    routed = re.sub(r"^\.comment.*\n([^.].*\n)*", "", (place / ROUTED).read_text(), flags=re.MULTILINE)
    (place / NUMBERED).write_text(f".comment\n{COMMENT.format(build)}\n{routed}")
    return [NUMBERED if word == ROUTED else word for word in command]


def comment(bitstream: Path, build: int) -> None:
    """Put the build's number into a comment at the start of a Gowin part's bitstream, which is text."""
    bitstream.write_text(f"//{COMMENT.format(build)}\n{bitstream.read_text()}")


def read_back(
    bitstream: Path, folder: Path, place: Path, family: Family, build: int, pll: Pll | None, kind: str
) -> Found:
    """Unpack a bitstream and compare it. folder: of the build, with the netlist. place: of the seed, with the
    routed design.

    Raises `ToolError` for the first difference, and if the unpacker fails.
    """
    (place / BARE).write_bytes(dfu.bare(bitstream.read_bytes()))
    words = ["ecpunpack", "--input", BARE, "--textcfg", UNPACKED]
    if family is Family.ICE40:
        words = ["icepack", "-u", BARE, UNPACKED]
    failure = tools.run(words, kind, place, Path(LOG), UNPACK_SECONDS)
    if failure or not (place / UNPACKED).is_file():
        raise ToolError(
            f"{words[0]} can't unpack {bitstream}: {failure.reason if failure else 'nothing made'}"
        )
    unpacked, said = (place / UNPACKED).read_text(), (place / LOG).read_text(errors="replace")
    cells = json.loads((folder / "top.json").read_text())["modules"]["top"]["cells"].values()
    try:
        if family is Family.ECP5:
            return _ecp5(unpacked, said, (place / "top.config").read_text(), cells, build, pll)
        return _ice40(unpacked, (place / ROUTED).read_text(), cells, build)
    except DifferentError as why:
        raise ToolError(f"{bitstream} isn't what was asked for: {why}") from None


class DifferentError(Exception):
    """A setting of the bitstream differs from the routed design; the message has both."""


def sections(text: str) -> dict[str, list[str]]:
    """Split a configuration into sections: each line that begins with a dot -> the lines below it."""
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
    """Compare initial contents; return the number of block RAMs, and of those whose contents aren't all zero.

    Contents of zeros aren't compared, since an unpacker may list block RAMs that aren't used.
    """
    initialised, inside = (
        Counter({key: n for key, n in each.items() if any(key)}) for each in (asked, found)
    )
    if other := max((initialised - inside).total(), (inside - initialised).total()):
        raise DifferentError(f"{other} of {asked.total()} block RAMs have other initial contents")
    return asked.total(), initialised.total()


# -- ECP5


def _ecp5(unpacked: str, said: str, routed: str, cells: Any, build: int, pll: Any) -> Found:
    usercode = re.search(r"set USERCODE to 0x([0-9a-fA-F]+)", said)
    _same("build (USERCODE)", f"{int(usercode[1], 16) if usercode else 0:08x}", f"{build:08x}")
    inside, asked = sections(unpacked), sections(routed)
    there = _words_by_tile(inside)
    asked_of_pll = pll_words(pll) if pll else {}
    # a PLL's words are in several tiles; the unpacker omits those that are 0
    settings = {
        name: value for words in there.values() for name, value in words.items() if name in asked_of_pll
    }
    for name, value in asked_of_pll.items():
        _same(f"PLL: {name}", int(settings.get(name, "0"), 2), value)
    _same("number of PLLs", sum("enum: MODE EHXPLLL" in lines for lines in inside.values()), int(bool(pll)))
    wanted = Counter(dp16kd(cell["parameters"]) for cell in cells if cell["type"] == "DP16KD")
    _same("number of block RAMs", sum(name.startswith(".bram_init") for name in inside), wanted.total())
    return Found(*_memories(Counter(_contents(inside)), wanted), _all_words(there, asked))


def pll_words(pll: Ecp5Pll) -> dict[str, int]:
    """Return the expected configuration words of a PLL. Dividers and phases are stored less 1."""
    dividers = {
        "CLKI_DIV": pll.reference,
        "CLKFB_DIV": pll.feedback,
        "CLKOP_DIV": pll.inner,
        "CLKOS_DIV": pll.output,
    }
    phases = {"CLKOP_CPHASE": pll.inner, "CLKOS_CPHASE": pll.output}
    return {name: value - 1 for name, value in (dividers | phases).items()} | ANALOGUE


def dp16kd(parameters: dict[str, str]) -> tuple[int, ...]:
    """Return the initial contents of a netlist's DP16KD: 2,048 words of 9 bits.

    Each INITVAL row has 16 words of 18 bits, each padded with 2 unused bits (Lattice's TN-02204, memory usage
    guide).
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
    """Return the configuration words of each tile that has any."""
    found: dict[str, dict[str, str]] = {}
    for name, lines in config.items():
        kind, _, tile = name.partition(" ")
        if kind in (".tile", ".tile_group"):
            words = dict(line.split()[1:3] for line in lines if line.startswith("word: "))
            if words:
                found.setdefault(tile, {}).update(words)
    return found


def _all_words(there: dict[str, dict[str, str]], asked: dict[str, list[str]]) -> int:
    """Compare the configuration words; return their number.

    The unpacker omits a word that has its default value. All words of a name have the same default: the first
    omitted word of a name defines it (all bits equal), and no word of that name may be listed with it.
    """
    defaults: dict[str, str] = {}
    count = 0
    for tile, words in _words_by_tile(asked).items():
        if " " in tile:
            continue  # settings of a group of tiles, which the unpacker lists tile by tile
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
        tuple(int(line, 16) for line in lines)
        for name, lines in inside.items()
        if name.startswith(".ram_data")
    )
    wanted = Counter(ram40(cell["parameters"]) for cell in cells if cell["type"].startswith("SB_RAM40_4K"))
    counts = _memories(memories, wanted)
    left, right = ({name: lines for name, lines in of.items() if _configures(name)} for of in (inside, asked))
    for name in left.keys() | right.keys():
        _same(name, left.get(name, _zeros(right.get(name))), right.get(name, _zeros(left.get(name))))
    return Found(*counts, len(right))


def ram40(parameters: dict[str, str]) -> tuple[int, ...]:
    """Return the initial contents of a netlist's SB_RAM40_4K: 16 rows of 256 bits."""
    return tuple(int(parameters.get(f"INIT_{row:X}", "0").replace("x", "0"), 2) for row in range(ICE40_ROWS))


def _configures(name: str) -> bool:
    """Return whether a section configures the part; comments and names of nets don't."""
    return not name.startswith((".comment", ".sym"))


def _zeros(lines: list[str] | None) -> list[str]:
    """Return the default value of an omitted section: the same lines with zeros."""
    return [re.sub(r"[0-9a-f]", "0", line) for line in lines or []]
