"""Report of a build: area, fmax over seeds, and samples per second from simulated cycles."""

import json
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from nudge.boards.fpga import Fpga
from nudge.plumbing import files
from nudge.plumbing.cache import build_root
from nudge.plumbing.errors import DesignError

from . import stamp
from .build import BUILD, in_words

#: Folder of the committed reports, one file for each board, preset and kind of tools.
BASELINES = Path(__file__).parents[1] / "baselines"

#: Relative amount by which a figure may be worse than its baseline. Tools of the same version differ between
#: machines only through floating point, but any change of the gateware moves placement, and thereby fmax, by
#: some percent.
TOLERANCES = {"area": 0.03, "fmax": 0.08, "cycles": 0.01}

#: Maximum size in bytes of a report, or of a build's file.
MAX_BYTES = 1 << 20

#: Schema of a JSON value: an object with a form for each name (`ANY`: for all names), a list of one form, or
#: a predicate.
Form = dict[str, Any] | list[Any] | Callable[[Any], bool]
ANY = "*"


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 53


def _rate(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1e15


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _cycles(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict) and all(_rate(value.get(kind)) for kind in ("training", "inference"))
    )


def _counted(value: Any) -> bool:
    return isinstance(value, dict) and _count(value.get("used")) and _count(value.get("available"))


def _used(value: Any) -> bool:
    """Return whether the value is a count of a resource, of which the part has at least one."""
    return _counted(value) and bool(value["available"] > 0)


_FACTS: dict[str, Form] = {
    "what": _text,
    "preset": _text,
    "clock_hz": _rate,
    "baud": _rate,
    "tools": {ANY: _text},
}

_FACTS |= {"sdram": lambda value: value is None or _truth(value)}  # reports of earlier versions lack it

#: Form of a report; its utilization includes the percentage.
REPORT: Form = _FACTS | {
    "timing_met": _truth,
    "unrouted": [_count],
    "fmax_hz": {ANY: _rate},
    "fmax_hz_median": _rate,
    "utilization": {ANY: lambda value: _used(value) and type(value.get("percent")) in (int, float)},
    "cycles": _cycles,
}

#: Form of `Build.values`.
BUILT: Form = _FACTS | {
    "board": _text,
    "design": _text,
    "spec": _count,
    "lanes": [_count],
    "unrouted": [_count],
    # of a cell that shares the place of another kind, such as a Gowin part's TBUF, nextpnr has none available
    "routes": [
        {"seed": _count, "fmax_hz": _rate, "met": _truth, "critical": _text, "utilization": {ANY: _counted}}
    ],
}

#: nextpnr's name -> the name in a report.
RESOURCES = {
    "TRELLIS_COMB": "LUT4",
    "TRELLIS_FF": "FF",
    "DP16KD": "block RAM (18 kbit)",
    "MULT18X18D": "multiplier",
    "LUT4": "LUT4",
    "DFF": "FF",
    "ALU": "adder (LUT4 with carry)",
    "RAM16SDP4": "LUT RAM (64 bit)",
    "BSRAM": "block RAM (18 kbit)",
    "MULT18X18": "multiplier",
    "ICESTORM_LC": "logic cell (LUT4 + FF)",
    "ICESTORM_RAM": "block RAM (4 kbit)",
    "ICESTORM_DSP": "multiplier",
    "ICESTORM_SPRAM": "single-port RAM (256 kbit)",
}


def baseline_file(board: str, preset: str, kind: str) -> Path:
    """Return the path of a committed report. kind: of tools."""
    return BASELINES / f"{board}-{preset}-{kind}.json"


def committed(file: Path) -> dict[str, Any] | None:
    """Return a committed report, None if there is none; `DesignError` for a file that is no report."""
    return _checked(file, REPORT, "git checkout brings it back") if file.exists() else None


def event_cycles(preset: str) -> dict[str, Any] | None:
    """Return the committed cycles of a preset with event engines and its own lanes; None if unknown."""
    found = _checked(BASELINES / "cycles.json", {ANY: {"event": _cycles}}, "git checkout brings it back")
    cycles: dict[str, Any] | None = found.get(preset, {}).get("event")
    return cycles


def save(file: Path, report: Mapping[str, Any]) -> None:
    """Write a report to `file`, atomically: the old file stays until the new one is complete."""
    file.parent.mkdir(exist_ok=True)
    files.write(file, json.dumps(report, indent=1) + "\n")


def latest(fpga: Fpga, preset: str) -> dict[str, Any] | None:
    """Return the values (`Build.values`) of a board's newest build on this machine, None if there is none.

    Raises `DesignError` if its file is damaged.
    """
    found = sorted(
        build_root().glob(f"{fpga.name}-{preset}-*/{BUILD}"), key=lambda path: path.stat().st_mtime
    )
    if not found:
        return None
    build = _checked(found[-1], BUILT, "nudge build makes it again")
    if stamp.broken(build):
        raise DesignError(f"{found[-1]} is damaged (not that of its digest): nudge build makes it again")
    if not build["routes"]:
        raise DesignError(f"{found[-1]} is damaged (no routes): nudge build makes it again")
    return build


def _checked(file: Path, form: Form, remedy: str) -> dict[str, Any]:
    """Read a JSON file of this form; `DesignError`, with the remedy, if it hasn't."""
    found = files.read_json(file, MAX_BYTES, lambda why: DesignError(f"{why}: {remedy}"))
    try:
        _check(found, form, "")
    except ValueError as error:
        raise DesignError(f"{file} is damaged ({error}): {remedy}") from None
    return found


def _check(value: Any, form: Form, where: str) -> None:
    """Raise `ValueError`, such as "cycles training: -1", for the first entry that isn't of the form."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: {reprlib.repr(value)}".lstrip(": "))
        for name, inner in form.items():
            if name == ANY:
                for key, item in value.items():
                    _check(item, inner, f"{where} {key}".strip())
            else:
                _check(value.get(name), inner, f"{where} {name}".strip())
    elif isinstance(form, list):
        if not isinstance(value, list):
            raise ValueError(f"{where}: {reprlib.repr(value)}")
        for number, item in enumerate(value):
            _check(item, form[0], f"{where} {number}")
    elif not form(value):
        raise ValueError(f"{where}: {reprlib.repr(value)}")


def summary(build: Mapping[str, Any], cycles: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the report of a build: its facts, fmax of each seed, and rates if cycles are known.

    `seeds` are those that were routed; the others are in `unrouted`, and `timing_met` doesn't cover them.
    `utilization` doesn't include spacers. `training_samples_per_second` is the core's rate at `clock_hz`, the
    clock of the bitstream; `..._at_fmax` is its rate at the median of fmax.
    """
    routes = build["routes"]
    fmax = median(route["fmax_hz"] for route in routes)
    utilization = {
        RESOURCES[bel]: {**count, "percent": round(100 * count["used"] / count["available"], 1)}
        for bel, count in routes[0]["utilization"].items()
        if bel in RESOURCES and count["available"]
    }
    kept = ("baud", "board", "what", "preset", "clock_hz", "design", "lanes", "spec", "tools")
    out = {name: build[name] for name in kept} | {
        "timing_met": all(route["met"] for route in routes),
        "seeds": [route["seed"] for route in routes],
        "unrouted": list(build["unrouted"]),
        # builds of earlier versions lack these
        "spacers": build.get("spacers", 0),
        "sdram": build.get("sdram", False),
        "fmax_hz": {str(route["seed"]): route["fmax_hz"] for route in routes},
        "fmax_hz_median": fmax,
        "corner": "nextpnr's only one for the part: worst case of its speed grade",
        "critical": routes[0]["critical"],
        "utilization": utilization,
    }
    return with_cycles(out, cycles)


def with_cycles(report: Mapping[str, Any], cycles: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the report with these simulated cycles per sample, and the rates that follow from them."""
    out = dict(report) | {"cycles": cycles}
    for kind in ("training", "inference"):
        per_sample = cycles[kind] if cycles else None
        out[f"{kind}_samples_per_second"] = round(report["clock_hz"] / per_sample, 1) if per_sample else None
        out[f"{kind}_samples_per_second_at_fmax"] = (
            round(report["fmax_hz_median"] / per_sample, 1) if per_sample else None
        )
    return out


def regressions(found: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """Return a line for each figure that is worse than the baseline by more than `TOLERANCES`."""
    out = []
    for name, old in baseline["utilization"].items():
        new = found["utilization"].get(name, {"used": 0})["used"]
        if new > old["used"] * (1 + TOLERANCES["area"]):
            out.append(f"{name}: {new}, baseline {old['used']}, at most {TOLERANCES['area']:.0%} more")
    if len(found["unrouted"]) > len(baseline["unrouted"]):
        out.append(f"not routed: seeds {found['unrouted']}, baseline {baseline['unrouted']}")
    if found["fmax_hz_median"] < baseline["fmax_hz_median"] * (1 - TOLERANCES["fmax"]):
        new, old = (what["fmax_hz_median"] / 1e6 for what in (found, baseline))
        out.append(
            f"median fmax: {new:.2f} MHz, baseline {old:.2f} MHz, at most {TOLERANCES['fmax']:.0%} less"
        )
    if found["cycles"] and baseline["cycles"]:
        for kind in ("training", "inference"):
            new, old = found["cycles"][kind], baseline["cycles"][kind]
            if new > old * (1 + TOLERANCES["cycles"]):
                out.append(
                    f"{kind} cycles: {new:.0f}, baseline {old:.0f}, at most {TOLERANCES['cycles']:.0%} more"
                )
    return out


def find_report(fpga: Fpga, preset: str, kind: str) -> tuple[str, dict[str, Any]]:
    """Return source (in words) and report: of the newest build here, else the committed one.

    Raises `DesignError` if neither exists.
    """
    file = baseline_file(fpga.name, preset, kind)
    baseline = committed(file)
    build = latest(fpga, preset)
    if build is not None:
        same = baseline is not None and all(baseline.get(name) == build[name] for name in ("spec", "design"))
        return "built here", summary(build, baseline["cycles"] if same and baseline else None)
    if baseline is None:
        raise DesignError(
            f"{fpga.name} has no report for {preset}: nudge build {fpga.name} --preset {preset}"
        )
    return ", ".join([f"committed, {file.name}", *outdated(fpga, preset, baseline)]), baseline


def outdated(fpga: Fpga, preset: str, report: Mapping[str, Any]) -> list[str]:
    """Return the differences between a committed report's design and the present one, in words."""
    design = fpga.design(preset)
    found = {
        "of an earlier network": report.get("spec") != design.config.spec.identity,
        "with other lanes": report.get("design") != in_words(design.config),
        "at another clock": report.get("clock_hz") != design.clock_hz,
        "without the board's SDRAM": fpga.facts(preset).sdram and not report.get("sdram", False),
    }
    return [words for words, is_so in found.items() if is_so]
