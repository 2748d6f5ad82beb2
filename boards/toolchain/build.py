"""From a board and a preset to a bitstream with timing met: synthesise, place and route, pack."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from boards.family import Family
from boards.fpga import Fpga
from golden.contract.config import Config
from golden.contract.protocol import BuildFacts
from plumbing import files
from plumbing.cache import build_root, unkept
from plumbing.errors import TimingError, ToolError

from . import clock, dfu, readback, spacers, stamp, tools
from .netlist import build_id, commands, plan
from .route import Progress, Route, place_and_route

#: All about a finished build, in its folder.
BUILD = "build.json"

PACK_LOG = "pack.log"


@dataclasses.dataclass(frozen=True)
class Build:
    """A finished build."""

    #: The board's name, and board and part for people.
    board: str
    what: str
    preset: str
    #: That the core runs at, and that timing was asked for.
    clock_hz: int
    #: Bits per second of the serial line, from that clock.
    baud: float
    #: Of placement; the bitstream is this one's.
    seed: int
    #: The register of that name: all that decides the bitstream, see `build_id`.
    build: int
    #: `Spec.identity` of the preset.
    spec: int
    lanes: tuple[int, ...]
    #: The board's SDRAM is used, for samples.
    sdram: bool
    #: Lanes and engines, in words.
    design: str
    #: Tool -> its version, in words.
    tools: dict[str, str]
    #: One for each seed that was routed, `seed` first.
    routes: tuple[Route, ...]
    #: Further seeds that the router did not come to an end with.
    unrouted: tuple[int, ...]
    #: How many `boards.toolchain.spacers` there are, which no utilization counts.
    spacers: int
    #: None if it missed timing.
    bitstream: Path | None

    def values(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        bitstream = None if self.bitstream is None else str(self.bitstream)
        return dataclasses.asdict(self) | {"bitstream": bitstream}


def in_words(config: Config) -> str:
    """Lanes and engines, to read and to compare; `kernel_blocks`, which older reports don't know, only where it is so."""
    fields = [field.name for field in dataclasses.fields(config) if field.name != "spec"]
    fields = [name for name in fields if name != "kernel_blocks" or config.kernel_blocks]
    return ", ".join(f"{name} {getattr(config, name)}" for name in fields)


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
    """Builds a board for a preset. What was built before with the same inputs is kept.

    seed: of placement, the design's own if None; the bitstream is this seed's. seeds: how many,
    from `seed` on, are placed and routed for the spread of fmax, on the netlist of the first; a
    further one that can't be routed is only reported. kind: one of `tools.KINDS`. verify: unpack
    the bitstream and compare it, see `readback`. progress: gets a line for each stage.

    Raises `ToolError`, and `TimingError` if the bitstream's seed misses timing.
    """
    design = fpga.design(preset)
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
    """The same in its folder."""
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
            f"{fpga.name} {preset}: {first.fmax_hz / 1e6:.2f} MHz with seed {seed} misses {design.clock_hz / 1e6:g} MHz "
            f"({first.critical}): try another --seed; see {folder}"
        )
    return result


def synthesise(
    fpga: Fpga, preset: str, facts: BuildFacts, folder: Path, kind: str, progress: Progress
) -> tuple[list[list[str]], int]:
    """Makes netlist and constraints in `folder`, unless they are there.

    Returns the commands that synthesise, route, pack and may come after that, and how many spacers the netlist has.
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
    made = plan(fpga, preset, facts)
    made.extract(folder)
    words = commands(made)
    progress("synthesising")
    start = time.monotonic()
    failure = tools.run(words[0], kind, folder, Path("yosys.log"))
    if failure or not netlist.is_file():
        reason = failure.reason if failure else "no netlist"
        raise ToolError(f"yosys failed: {reason}; see {folder / 'yosys.log'}")
    added, share = 0, fpga.design(preset).spacers
    if share:
        try:
            cells = json.loads(netlist.read_text())
            added = spacers.add(cells, share)
        except (ValueError, LookupError, TypeError, StopIteration) as error:
            raise ToolError(f"yosys left a damaged {netlist}: {error}") from None
        files.write(netlist, json.dumps(cells))
    constraints = [folder / name for name in ("top.lpf", "top.pcf") if (folder / name).exists()]
    stamp.save(kept, inputs, [netlist, *constraints], {"commands": words, "spacers": added})
    progress(f"synthesised, {time.monotonic() - start:.0f} s" + (f", {added} spacers" if added else ""))
    return words, added


def pack(
    commands: list[list[str]], place: Path, bitstream: Path, kind: str, family: Family, build: int, progress: Progress
) -> None:
    """The bitstream under its own name, with its digest beside it; one that isn't as it was made is made again.

    commands: the packer's, and those that a boot loader's files need after it. build: its number, which is put into it.
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
    files.sync(made)
    made.rename(bitstream)
    stamp.save(kept, inputs, [bitstream], {})


def _clear(folder: Path) -> None:
    """Nothing of an earlier build is taken for this one's."""
    for path in folder.iterdir():
        if path.name != files.LOCK:
            files.remove(path)
