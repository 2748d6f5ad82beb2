"""Placing and routing of a netlist, once for each seed, and reading of nextpnr's report."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nudge.plumbing import files
from nudge.plumbing.errors import TimingError, ToolError

from . import delays, router, spacers, stamp, tools

Progress = Callable[[str], None]

#: Time limit of a seed in seconds: four times that of the largest designs on their own processor core.
ROUTE_SECONDS = 4 * 3600

#: nextpnr's log file, as Amaranth's command names it.
ROUTE_LOG = "top.tim"

#: Files with pins and, for an ECP5 or iCE40, clocks; a build has one of them.
CONSTRAINTS = ("top.lpf", "top.pcf", "top.cst")

#: File for the further output of nextpnr on stdout and stderr.
NEXTPNR_LOG = "nextpnr.log"

#: File with the delays of a Gowin design.
DELAYS = "top.sdf"

#: Maximum size of nextpnr's report in bytes.
MAX_REPORT_BYTES = 1 << 28

#: Router iterations per line of progress.
SHOWN_ITERATIONS = 10


@dataclasses.dataclass(frozen=True)
class Route:
    """Result of placement and routing with one seed."""

    seed: int
    #: fmax of the core's clock.
    fmax_hz: float
    #: Whether fmax is at least the design's clock.
    met: bool
    #: Run time.
    seconds: float
    #: Both ends of the critical path, "cell to cell".
    critical: str
    #: nextpnr's name of a kind of cell -> `used`, without spacers, and `available`.
    utilization: dict[str, dict[str, int]]


def place_and_route(
    command: list[str], folder: Path, number: int, kind: str, clock_hz: int, added: int, progress: Progress
) -> Route:
    """Places and routes the netlist in a folder with one seed, or returns the kept result of the same inputs.

    command: nextpnr's, from the build plan. number: the seed. kind: of tools. added: number of spacers in the
    netlist. Raises `TimingError` if the netlist can't be placed or routed, `ToolError` if nextpnr failed
    otherwise.
    """
    place = folder / f"seed{number}"
    kept = place / "route.json"
    words = list(command)
    words[words.index("--seed") + 1] = str(number)
    constraints = [folder / name for name in CONSTRAINTS if (folder / name).exists()]
    inputs = {path.name: files.digest(path) for path in (folder / "top.json", *constraints)} | {
        "command": words,
        "kind": kind,
    }
    known = stamp.load(kept, inputs)
    if known is not None:
        return _route_of(kept, known)
    if kept.exists():
        progress(f"seed {number}: {place} isn't as it was made: it is made again")
    # remove the files of an earlier run
    files.remove(place)
    place.mkdir()
    for path in (folder / "top.json", *constraints):
        shutil.copyfile(path, place / path.name)
    progress(f"placing and routing, seed {number}")
    start = time.monotonic()
    watch = watched(place / ROUTE_LOG, number, progress)
    try:
        failure = tools.run(words, kind, place, Path(NEXTPNR_LOG), ROUTE_SECONDS, watch)
    finally:
        (place / "top.json").unlink(missing_ok=True)
    seconds = round(time.monotonic() - start, 1)
    report = place / "report.json"
    if not report.exists():
        reason = failure.reason if failure else "no report"
        raise (TimingError if "ERROR" in reason else ToolError)(
            f"nextpnr failed: {reason}; see {place / NEXTPNR_LOG}"
        )
    route = read_route(files.read_json(report, MAX_REPORT_BYTES, ToolError), number, clock_hz, seconds, added)
    if (written := place / DELAYS).exists():
        route = completed(route, written, clock_hz)
    if failure and (failure.status < 0 or route.met):
        # missed timing is the only failure after which nextpnr's report and design are complete
        raise ToolError(f"nextpnr failed: {failure.reason}; see {place / NEXTPNR_LOG}")
    made = [path for path in place.iterdir() if path.name not in (ROUTE_LOG, NEXTPNR_LOG)]
    for path in made:
        if not path.stat().st_size:
            raise ToolError(f"nextpnr left {path} empty; see {place / NEXTPNR_LOG}")
    stamp.save(kept, inputs, made, dataclasses.asdict(route))
    progress(f"seed {number}: {route.fmax_hz / 1e6:.2f} MHz of {clock_hz / 1e6:g}, {seconds:.0f} s")
    return route


def completed(route: Route, written: Path, clock_hz: int) -> Route:
    """Return the route with the fmax of all its paths by nextpnr's file of delays; remove the file."""
    with written.open() as lines:
        path = delays.slowest(lines)
    written.unlink()
    hz = 1e12 / path.picoseconds
    if hz >= route.fmax_hz:
        return route
    return dataclasses.replace(route, fmax_hz=hz, met=hz >= clock_hz, critical=f"{path.start} to {path.end}")


def _route_of(kept: Path, values: dict[str, Any]) -> Route:
    """Return the route with the values of its stamp; `ToolError` if they are damaged."""
    try:
        return Route(**values)
    except TypeError as error:
        raise ToolError(f"{kept} is damaged ({error}): remove {kept.parent}") from None


def watched(log: Path, number: int, progress: Progress) -> Callable[[], str | None]:
    """Return a `watch` for `tools.run` that reports progress, and stops a router that won't finish."""
    shown = 0

    def look() -> str | None:
        nonlocal shown
        counts = router.overused(log.read_text(errors="replace")) if log.is_file() else []
        if len(counts) >= shown + SHOWN_ITERATIONS:
            shown = len(counts)
            progress(f"seed {number}: {counts[-1]} wires too many after {shown} iterations")
        return router.lost(counts)

    return look


def read_route(report: dict[str, Any], seed: int, clock_hz: int, seconds: float, added: int = 0) -> Route:
    """Read nextpnr's report: fmax, both ends of the critical path, and the area without spacers.

    fmax is the lowest among the clocks that are constrained to at least 99 % of `clock_hz`. Raises
    `ToolError` for a damaged report, or one without such a clock.
    """
    try:
        return _read_route(report, seed, clock_hz, seconds, added)
    except (LookupError, TypeError, AttributeError) as error:
        raise ToolError(f"nextpnr's report is damaged: {type(error).__name__}: {error}") from None


def _read_route(report: dict[str, Any], seed: int, clock_hz: int, seconds: float, added: int) -> Route:
    asked = [name for name, clock in report["fmax"].items() if clock["constraint"] * 1e6 > 0.99 * clock_hz]
    clocks = {name: report["fmax"][name]["achieved"] * 1e6 for name in asked}
    if not clocks:
        raise ToolError(
            f"nextpnr's report has no clock of {clock_hz / 1e6:g} MHz, only {', '.join(report['fmax'])}"
        )
    name = min(clocks, key=lambda name: clocks[name])
    critical = ""
    for path in report["critical_paths"]:
        if path["from"] == path["to"] and name in path["from"]:
            ends = (path["path"][0]["from"]["cell"], path["path"][-1]["to"]["cell"])
            critical = " to ".join(ends)
    used = {bel: dict(what) for bel, what in report["utilization"].items() if what["used"]}
    if added:
        used[spacers.COUNTED_AS]["used"] -= added
    return Route(seed, clocks[name], clocks[name] >= clock_hz, seconds, critical, used)
