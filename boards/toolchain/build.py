"""Build a bitstream that meets timing for a board and a preset: synthesise, place and route, pack."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from nudge.boards.family import Family
from nudge.boards.fpga import Fpga
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import BuildFacts
from nudge.plumbing import files
from nudge.plumbing.cache import build_root, unkept
from nudge.plumbing.errors import TimingError, ToolError

from . import clock, dfu, enables, readback, router, spacers, stamp, tools
from .netlist import build_id, commands, plan
from .route import CONSTRAINTS, Progress, Route, place_and_route

#: File in a build's folder with the values of `Build`.
BUILD = "build.json"

PACK_LOG = "pack.log"


@dataclasses.dataclass(frozen=True)
class Build:
    """A finished build."""

    #: Name of the board.
    board: str
    #: Board and part, as shown to users.
    what: str
    preset: str
    #: Clock of the core, which is also nextpnr's timing constraint.
    clock_hz: int
    #: Bits per second of the serial line, from that clock.
    baud: float
    #: Seed of placement; the bitstream has this seed.
    seed: int
    #: Value of the register `build`, a hash of all that determines the bitstream; see `build_id`.
    build: int
    #: `Spec.identity` of the preset.
    spec: int
    lanes: tuple[int, ...]
    #: Whether the board's SDRAM is used, for stored samples.
    sdram: bool
    #: Lanes and engines, in words.
    design: str
    #: Tool -> its version, in words.
    tools: dict[str, str]
    #: One for each seed that was routed, `seed` first.
    routes: tuple[Route, ...]
    #: Further seeds that could not be placed and routed.
    unrouted: tuple[int, ...]
    #: Number of `boards.toolchain.spacers`, which no utilization includes.
    spacers: int
    #: None if timing was missed.
    bitstream: Path | None

    def values(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        bitstream = None if self.bitstream is None else str(self.bitstream)
        return dataclasses.asdict(self) | {"bitstream": bitstream}


def in_words(config: Config) -> str:
    """Return lanes and engines as text, for reports and comparisons.

    Fields that older reports lack are included only if they aren't at their defaults, so that such reports
    compare equal.
    """
    values = {
        field: getattr(config, field.name) for field in dataclasses.fields(config) if field.name != "spec"
    }
    newer = ("kernel_blocks", "scatters", "folded", "slots")
    return ", ".join(
        f"{field.name} {value}"
        for field, value in values.items()
        if field.name not in newer or value != field.default
    )


def build_bitstream(
    fpga: Fpga,
    preset: str,
    *,
    seed: int | None = None,
    seeds: int = 1,
    kind: str = "yowasp",
    verify: bool = False,
    progress: Progress = lambda line: None,
) -> Build:
    """Builds the bitstream of a board for a preset, and reuses the stages of an earlier build with the same
    inputs.

    seed: of placement, the design's own if None; the bitstream has this seed. seeds: number of seeds, from
    `seed` on, that are placed and routed on the netlist of the first, for the spread of fmax; a further seed
    that can't be routed is only reported. kind: one of `tools.KINDS`. verify: unpack the bitstream and
    compare it, see `readback`. progress: gets a line for each stage.

    Raises `ToolError` if a tool fails, `TimingError` if the bitstream's seed can't be routed or misses
    timing, and what `check` in `boards.toolchain.netlist` raises.
    """
    design = fpga.design(preset)
    if verify and fpga.family not in readback.FAMILIES:
        raise ToolError(
            f"{fpga.name} can't be built with --verify: no tool here reads a {fpga.family.name} bitstream "
            "back"
        )
    seed = design.seed if seed is None else seed
    names = ("yosys", fpga.family.nextpnr, fpga.family.packer)
    versions = {name: tools.version(name, kind) for name in names}
    progress(f"{fpga.name} {preset}: elaborating ({design.config.spec.parameters} parameters)")
    facts = BuildFacts(0, seed, tools.numbers(versions[names[0]]), tools.numbers(versions[names[1]]))
    identity = build_id(fpga, preset, facts, versions)
    facts = dataclasses.replace(facts, build=identity)
    folder = build_root() / f"{fpga.name}-{preset}-{identity:08x}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unkept(folder.parent, error) from None
    with files.owned(folder / files.LOCK, ToolError):
        result = _build(fpga, preset, facts, versions, folder, seeds, kind, progress)
        if verify and result.bitstream is not None:
            progress("reading the bitstream back")
            pll = clock.pll(fpga.family, round(fpga.platform().default_clk_frequency), result.clock_hz)
            place = folder / f"seed{seed}"
            found = readback.read_back(result.bitstream, folder, place, fpga.family, identity, pll, kind)
            progress(f"as asked for: build {identity:08x}, {pll or 'no PLL'}, {found}")
        return result


def _build(
    fpga: Fpga,
    preset: str,
    facts: BuildFacts,
    versions: dict[str, str],
    folder: Path,
    seeds: int,
    kind: str,
    progress: Progress,
) -> Build:
    """Runs all stages of `build_bitstream` in the build's folder."""
    design, seed, identity = fpga.design(preset), facts.seed, facts.build
    (_, nextpnr, packer, *after), added = synthesise(fpga, preset, facts, folder, kind, progress)
    routes, unrouted = [], []
    for number in range(seed, seed + seeds):
        try:
            routes.append(place_and_route(nextpnr, folder, number, kind, design.clock_hz, added, progress))
        except (TimingError, ToolError) as error:
            if number == seed:
                raise
            progress(f"seed {number}: {error}")
            unrouted.append(number)
    bitstream = None
    if routes[0].met:
        spec = design.config.spec.identity
        name = f"nudge-{fpga.name}-{preset}-{spec:08x}-{identity:08x}-seed{seed}"
        bitstream = folder / f"{name}.{fpga.family.suffix}"
        pack([packer, *after], folder / f"seed{seed}", bitstream, kind, fpga.family, identity, progress)
    result = Build(
        board=fpga.name,
        what=fpga.what,
        preset=preset,
        clock_hz=design.clock_hz,
        baud=fpga.facts(preset).baud,
        seed=seed,
        build=identity,
        spec=design.config.spec.identity,
        lanes=design.config.lanes,
        sdram=fpga.facts(preset).sdram,
        design=in_words(design.config),
        tools=versions,
        routes=tuple(routes),
        unrouted=tuple(unrouted),
        spacers=added,
        bitstream=bitstream,
    )
    files.write(folder / BUILD, stamp.sealed(result.values()))
    if bitstream is None:
        first = routes[0]
        raise TimingError(
            f"{fpga.name} {preset}: {first.fmax_hz / 1e6:.2f} MHz with seed {seed} misses "
            f"{design.clock_hz / 1e6:g} MHz ({first.critical}): try another --seed; see {folder}"
        )
    return result


def synthesise(
    fpga: Fpga, preset: str, facts: BuildFacts, folder: Path, kind: str, progress: Progress
) -> tuple[list[list[str]], int]:
    """Makes netlist and constraints in `folder`, unless they are there unchanged.

    Returns the commands (synthesise, place and route, pack, and any after that) and the number of spacers in
    the netlist.
    """
    kept, netlist = folder / "netlist.json", folder / "top.json"
    inputs = {"build": facts.build, "seed": facts.seed}
    known = stamp.load(kept, inputs)
    if known is not None:
        progress(f"{fpga.name} {preset}: kept netlist in {folder}")
        return known["commands"], known["spacers"]
    if kept.exists():
        progress(f"{folder} isn't as it was made: it is made again")
    _clear(folder)
    planned = plan(fpga, preset, facts)
    planned.extract(folder)
    words = commands(planned)
    progress("synthesising")
    start = time.monotonic()
    failure = tools.run(words[0], kind, folder, Path("yosys.log"))
    if failure or not netlist.is_file():
        reason = failure.reason if failure else "no netlist"
        raise ToolError(f"yosys failed: {reason}; see {folder / 'yosys.log'}")
    added, design = 0, fpga.design(preset)
    if design.spacers or design.slow or fpga.family is Family.GOWIN:
        try:
            made = json.loads(netlist.read_text())
            top = made["modules"]["top"]
            if fpga.family is Family.GOWIN:
                enables.follow(top)
            if design.spacers:
                added = spacers.add(top, design.spacers)
            if design.slow:
                router.slow(top)
        except (ValueError, LookupError, TypeError) as error:
            raise ToolError(f"yosys left a damaged {netlist}: {error}") from None
        files.write(netlist, json.dumps(made))
    constraints = [folder / name for name in CONSTRAINTS if (folder / name).exists()]
    stamp.save(kept, inputs, [netlist, *constraints], {"commands": words, "spacers": added})
    progress(f"synthesised, {time.monotonic() - start:.0f} s" + (f", {added} spacers" if added else ""))
    return words, added


def pack(
    commands: list[list[str]],
    place: Path,
    bitstream: Path,
    kind: str,
    family: Family,
    build: int,
    progress: Progress,
) -> None:
    """Packs the bitstream into the file `bitstream`, with a stamp beside it, unless an unchanged one is
    there.

    commands: the packer's, and any that finish the file for a boot loader. build: number that is put into the
    bitstream.
    """
    command, *after = commands
    kept = bitstream.with_name(f"{bitstream.name}.json")
    inputs = {"route": files.digest(place / "route.json"), "commands": commands, "kind": kind, "build": build}
    if stamp.load(kept, inputs) is not None:
        return
    if bitstream.exists():
        progress(f"{bitstream} isn't as it was made: it is made again")
    made = place / f"top{bitstream.suffix}"
    for path in (kept, bitstream, made):
        files.remove(path)
    progress("packing")
    failure = tools.run(readback.numbered(family, command, place, build), kind, place, Path(PACK_LOG))
    if failure or not made.is_file() or not made.stat().st_size:
        reason = failure.reason if failure else "no bitstream"
        raise ToolError(f"{command[0]} failed: {reason}; see {place / PACK_LOG}")
    for more in after:
        files.write(made, dfu.finished(made.read_bytes(), more))
    if family is Family.GOWIN:
        readback.comment(made, build)
    files.sync(made)
    made.rename(bitstream)
    stamp.save(kept, inputs, [bitstream], {})


def _clear(folder: Path) -> None:
    """Removes the files of an earlier build, except for the lock."""
    for path in folder.iterdir():
        if path.name != files.LOCK:
            files.remove(path)
