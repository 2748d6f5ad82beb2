"""From a board and a preset to a bitstream with timing met: elaborate, synthesise, place and route, pack."""

import dataclasses
import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boards.fpga import BoardLogic, Fpga
from golden.cache import build_root
from golden.contract.config import Config
from golden.contract.errors import TimingError, ToolError
from golden.contract.protocol import BuildFacts
from hw.lib.block_memory import UNDEFINED

from . import router, spacers, tools

Progress = Callable[[str], None]

#: Seconds after which a seed counts as not to be routed: three times what the largest designs need on a busy core.
ROUTE_SECONDS = 3600

#: The file that Amaranth's command has nextpnr write its log to.
ROUTE_LOG = "top.tim"

#: Iterations of the router between two lines of progress.
SHOWN_ITERATIONS = 10


@dataclasses.dataclass(frozen=True)
class Route:
    """What placement and routing made with one seed. fmax_hz: of the core's clock. critical: its slowest path's ends."""

    seed: int
    fmax_hz: float
    met: bool
    seconds: float
    critical: str
    utilization: dict[str, dict[str, int]]


@dataclasses.dataclass(frozen=True)
class Build:
    """A finished build. bitstream: that of `seed`, or None if it missed timing. build: the register of that name. unrouted:
    further seeds that the router did not come to an end with. spacers: `boards.toolchain.spacers`, which no
    utilization counts."""

    board: str
    what: str
    preset: str
    clock_hz: int
    baud: float
    seed: int
    build: int
    spec: int
    lanes: tuple[int, ...]
    design: str
    tools: dict[str, str]
    routes: tuple[Route, ...]
    unrouted: tuple[int, ...]
    spacers: int
    bitstream: Path | None

    def values(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return dataclasses.asdict(self) | {"bitstream": None if self.bitstream is None else str(self.bitstream)}


def words(config: Config) -> str:
    """Lanes and engines, to read and to compare."""
    fields = [field.name for field in dataclasses.fields(config) if field.name != "spec"]
    return ", ".join(f"{name} {getattr(config, name)}" for name in fields)


def build_id(fpga: Fpga, preset: str, facts: BuildFacts, versions: dict[str, str]) -> int:
    """The register `build`: CRC-32 of all that decides the bitstream: netlist, constraints, commands, tools, spacers.

    Not of the sources' text: the number is in the netlist, and another one moves the logic, by a tenth of fmax either way.
    """
    digest, every = plan(fpga, preset, facts).digest(), fpga.design(preset).spacers
    return zlib.crc32(digest + json.dumps(versions).encode() + (f"spacers {every}".encode() if every else b""))


def plan(fpga: Fpga, preset: str, facts: BuildFacts, seed: int = 1) -> Any:
    """Amaranth's build plan: netlist, pins, constraints, and the commands. Needs no tool but Amaranth's own Yosys."""
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    options = f"{fpga.nextpnr_opts} --seed {seed} --report report.json"
    platform = fpga.platform()
    platform.add_resources(fpga.resources)
    made = platform.prepare(
        BoardLogic(fpga, preset, facts),
        "top",
        emit_src=False,
        debug_verilog=False,
        synth_opts=fpga.synth_opts,
        nextpnr_opts=options,
    )
    made.files["top.il"] = undefined_collisions(plain_names(made.files["top.il"]))
    return made


def plain_names(rtlil: str) -> str:
    """The same netlist for Yosys' abc9, which takes `name[3]`, as Amaranth calls elements, for a bit of `name`, and stops."""
    return re.sub(r"\\\S*\[\S*", lambda name: name[0].replace("[", "<").replace("]", ">"), rtlil)


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


def build(
    fpga: Fpga,
    preset: str,
    *,
    seed: int | None = None,
    seeds: int = 1,
    kind: str = "yowasp",
    progress: Progress = lambda line: None,
) -> Build:
    """Build a board for a preset. What was built before with the same inputs is kept.

    seed: of placement, the design's own if None; the bitstream is this seed's. seeds: so many seeds from there are placed and
    routed, for the spread of fmax, on the netlist of the first; of the others, one that can't be routed is only reported.
    kind: one of `tools.KINDS`.
    progress: gets a line for each stage.

    Raises `ToolError`, and `TimingError` if the bitstream's seed misses timing.
    """
    design = fpga.design(preset)
    seed = design.seed if seed is None else seed
    family = "ice40" if "ICE" in fpga.what.upper() else "ecp5"
    names = ("yosys", f"nextpnr-{family}", "icepack" if family == "ice40" else "ecppack")
    versions = {name: tools.version(name, kind) for name in names}
    progress(f"{fpga.name} {preset}: elaborating ({design.config.spec.parameters} parameters)")
    facts = BuildFacts(0, seed, tools.numbers(versions[names[0]]), tools.numbers(versions[names[1]]))
    identity = build_id(fpga, preset, facts, versions)
    facts = dataclasses.replace(facts, build=identity)
    folder = build_root() / f"{fpga.name}-{preset}-{identity:08x}"
    folder.mkdir(parents=True, exist_ok=True)

    commands, room = _synthesise(fpga, preset, facts, folder, kind, progress)
    routes, unrouted = [], []
    for number in range(seed, seed + seeds):
        try:
            routes.append(_route(commands[1], folder, number, kind, design.clock_hz, room, progress))
        except (TimingError, ToolError) as error:
            if number == seed:
                raise
            progress(f"seed {number}: {error}")
            unrouted.append(number)
    bitstream = None
    if routes[0].met:
        suffix = "bin" if family == "ice40" else "bit"
        spec = design.config.spec
        bitstream = folder / f"nudge-{fpga.name}-{preset}-{spec.identity:08x}-{identity:08x}-seed{seed}.{suffix}"
        _pack(commands[2], folder / f"seed{seed}", bitstream, kind, progress)
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
        design=words(design.config),
        tools=versions,
        routes=tuple(routes),
        unrouted=tuple(unrouted),
        spacers=room,
        bitstream=bitstream,
    )
    (folder / "build.json").write_text(json.dumps(result.values(), indent=1) + "\n")
    if bitstream is None:
        first = routes[0]
        raise TimingError(
            f"{fpga.name} {preset}: {first.fmax_hz / 1e6:.2f} MHz with seed {seed} misses {design.clock_hz / 1e6:g} MHz "
            f"({first.critical}): try another --seed; see {folder}"
        )
    return result


def _synthesise(
    fpga: Fpga, preset: str, facts: BuildFacts, folder: Path, kind: str, progress: Progress
) -> tuple[list[list[str]], int]:
    """Netlist and constraints in `folder`; Amaranth's commands to make, route and pack them, and the netlist's spacers."""
    kept, netlist = folder / "netlist.json", folder / "top.json"
    if netlist.exists() and kept.exists():
        progress(f"{fpga.name} {preset}: kept netlist in {folder}")
        known = json.loads(kept.read_text())
        return known["commands"], known["spacers"]
    made = plan(fpga, preset, facts)
    made.extract(folder)
    commands: list[list[str]] = json.loads(made.files["build_top.json"])["commands"]
    progress("synthesising")
    start = time.monotonic()
    failure = tools.run(commands[0], kind, folder, Path("yosys.log"))
    if failure:
        netlist.unlink(missing_ok=True)
        raise ToolError(f"yosys failed: {failure.reason}; see {folder / 'yosys.log'}")
    room, every = 0, fpga.design(preset).spacers
    if every:
        cells = json.loads(netlist.read_text())
        room = spacers.add(cells, every)
        netlist.write_text(json.dumps(cells))
    kept.write_text(json.dumps({"commands": commands, "spacers": room}))
    progress(f"synthesised, {time.monotonic() - start:.0f} s" + (f", {room} spacers" if room else ""))
    return commands, room


def _route(
    command: list[str], folder: Path, number: int, kind: str, clock_hz: int, room: int, progress: Progress
) -> Route:
    """Place and route with one seed, in its folder; read from there if it was done before. room: spacers of the netlist."""
    place = folder / f"seed{number}"
    kept = place / "route.json"
    if kept.exists():
        return Route(**json.loads(kept.read_text()))
    place.mkdir(exist_ok=True)
    for name in ("top.json", "top.lpf", "top.pcf"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, place / name)
    words = list(command)
    words[words.index("--seed") + 1] = str(number)
    progress(f"placing and routing, seed {number}")
    start = time.monotonic()
    # an earlier run's log says nothing of this one
    (place / ROUTE_LOG).unlink(missing_ok=True)
    watch = _watch(place / ROUTE_LOG, number, progress)
    try:
        failure = tools.run(words, kind, place, Path("nextpnr.log"), ROUTE_SECONDS, watch)
    finally:
        (place / "top.json").unlink(missing_ok=True)
    seconds = round(time.monotonic() - start, 1)
    report = place / "report.json"
    if not report.exists():
        reason = failure.reason if failure else "no report"
        raise (TimingError if "ERROR" in reason else ToolError)(f"nextpnr failed: {reason}; see {place / 'nextpnr.log'}")
    route = read_report(json.loads(report.read_text()), number, clock_hz, seconds, room)
    kept.write_text(json.dumps(dataclasses.asdict(route)))
    progress(f"seed {number}: {route.fmax_hz / 1e6:.2f} MHz of {clock_hz / 1e6:g}, {seconds:.0f} s")
    return route


def _watch(log: Path, number: int, progress: Progress) -> Callable[[], str | None]:
    """For `tools.run`: a line of progress now and then; why the router is to be ended."""
    shown = 0

    def look() -> str | None:
        nonlocal shown
        counts = router.overused(log.read_text(errors="replace")) if log.exists() else []
        if len(counts) >= shown + SHOWN_ITERATIONS:
            shown = len(counts)
            progress(f"seed {number}: {counts[-1]} wires too many after {shown} iterations")
        return router.lost(counts)

    return look


def read_report(report: dict[str, Any], seed: int, clock_hz: int, seconds: float, room: int = 0) -> Route:
    """nextpnr's report: fmax of the fastest-constrained clock, the ends of its critical path, and the area, less spacers."""
    asked = [name for name, clock in report["fmax"].items() if clock["constraint"] * 1e6 > 0.99 * clock_hz]
    clocks = {name: report["fmax"][name]["achieved"] * 1e6 for name in asked}
    if not clocks:
        raise ToolError(f"nextpnr's report has no clock of {clock_hz / 1e6:g} MHz, only {', '.join(report['fmax'])}")
    name = min(clocks, key=lambda name: clocks[name])
    critical = ""
    for path in report["critical_paths"]:
        if path["from"] == path["to"] and name in path["from"]:
            ends = (path["path"][0]["from"]["cell"], path["path"][-1]["to"]["cell"])
            critical = " to ".join(ends)
    used = {bel: dict(what) for bel, what in report["utilization"].items() if what["used"]}
    if room:
        used[spacers.COUNTED_AS]["used"] -= room
    return Route(seed, clocks[name], clocks[name] >= clock_hz, seconds, critical, used)


def _pack(command: list[str], place: Path, bitstream: Path, kind: str, progress: Progress) -> None:
    """The bitstream under its own name."""
    if bitstream.exists():
        return
    progress("packing")
    failure = tools.run(command, kind, place, Path("pack.log"))
    if failure:
        raise ToolError(f"{command[0]} failed: {failure.reason}; see {place / 'pack.log'}")
    made = place / f"top{bitstream.suffix}"
    made.rename(bitstream)
