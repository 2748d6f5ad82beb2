"""The file of a sweep: which options and network keys vary, over a grid or by a search (docs/sweeps.md).

- `[train]`: options of `nudge train` by their names, alike in all runs.
- `[vary]`: lists of values, of options or of network keys with their table, such as `learning.gain`,
  `stage.1.conv` or `learning.rates.2`. A sweep without `[search]` trains each combination.
- `[search]`: a search of `trials` runs; in `[vary]` it may have ranges {low, high, log, step}, too.
"""

import copy
import itertools
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from nudge.golden.contract import network_file, values
from nudge.golden.contract.presets import chosen
from nudge.golden.training.data import PATH, Source
from nudge.golden.training.options import TrainingOptions
from nudge.plumbing import files, install
from nudge.plumbing.errors import PlanError, ToolError, meant

#: Largest size of a sweep's file in bytes, and largest number of its runs.
MAX_BYTES, MAX_RUNS = 1 << 16, 10_000

#: Largest seed of a search, numpy's; largest number in a range, so that all whole numbers in it are floats.
MAX_SEED, MAX_NUMBER = (1 << 32) - 1, 1 << 53

#: Options of `nudge train`, by their names on the command line; their fields.
OPTIONS = {
    entry.name.replace("_", "-"): entry.name for entry in fields(TrainingOptions) if entry.name != "force"
}

#: Further options, of the board that trains; their types and defaults.
BOARD: dict[str, tuple[Any, Any]] = {
    "board": (str, "golden"),
    "engines": (str | None, None),
    "twin": (bool, False),
    "recover": (int, 0),
    "stream": (bool, False),
}

#: Paths, which workers need in full.
PATHS = ("network", "data-dir")

#: Keys of a range, and those that must be there.
RANGE, ENDS = ("low", "high", "log", "step"), ("low", "high")


@dataclass(frozen=True)
class Range:
    """Values from `low` to `high`, both included, of a search."""

    low: float
    high: float
    #: Whether values are drawn evenly over the logarithm.
    log: bool = False
    #: Distance of the values; None: any value, or any whole number if both ends are.
    step: float | None = None


@dataclass(frozen=True)
class Search:
    """A search for the smallest held-out error."""

    trials: int
    #: Seed of the values that the search draws.
    seed: int = 0
    #: Whether runs that are worse than the median of the others at the same epoch are stopped.
    prune: bool = False
    #: URL of Optuna's storage; None: a file in the sweep's folder.
    storage: str | None = None


@dataclass(frozen=True)
class Asked:
    """A run of a sweep."""

    #: Value of each varied key.
    values: dict[str, Any]
    options: TrainingOptions
    #: Text of the network's file, if the sweep changes one of its keys.
    network: str | None
    #: Options in `BOARD`.
    board: dict[str, Any]


@dataclass(frozen=True)
class SweepFile:
    """A sweep's file, checked."""

    #: The file as it was given.
    text: str
    train: dict[str, Any]
    vary: dict[str, list[Any] | Range]
    search: Search | None = None

    def grid(self) -> Iterator[dict[str, Any]]:
        """Yield all combinations of values, the last key fastest."""
        lists = [x for x in self.vary.values() if isinstance(x, list)]
        for combination in itertools.product(*lists):
            yield dict(zip(self.vary, combination, strict=True))

    def run(self, found: dict[str, Any]) -> Asked:
        """Return the run with these values; errors of options and networks pass through."""
        asked = self.train | {key: value for key, value in found.items() if "." not in key}
        board = {
            name: values.plain(kind, asked.pop(name, default), name, PlanError)
            for name, (kind, default) in BOARD.items()
        }
        given = {OPTIONS[name]: value for name, value in asked.items()}
        options = TrainingOptions(**given)
        changes = {key: value for key, value in found.items() if "." in key}
        if not changes:
            return Asked(found, options, None, board)
        document = copy.deepcopy(network_file.document(chosen(options.preset, options.network)))
        for key, value in changes.items():
            _change(document, key, value)
        network_file.network(document, ", ".join(f"{key} = {value}" for key, value in changes.items()))
        given |= {"preset": None, "network": None}
        return Asked(found, TrainingOptions(**given), _toml(document), board)


def read(path: Path) -> SweepFile:
    """Read a sweep's file; `PlanError` names the file, the key, its value and what is allowed."""
    text = files.read_text(path, MAX_BYTES, PlanError)
    try:
        return _checked(tomllib.loads(text), text)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is no TOML: {error or 'nested too deeply'}") from None


def of(document: dict[str, Any]) -> SweepFile:
    """Return the sweep that plain data describes, as a sweep's file does."""
    try:
        return _checked(document, _toml(document))
    except (TypeError, ValueError, RecursionError) as error:
        raise PlanError(f"sweep: {error}") from None


def _toml(document: dict[str, Any]) -> str:
    """Return plain data as TOML; `ToolError` without the package that writes it."""
    try:
        import tomli_w
    except ImportError as error:
        raise ToolError(
            f"a sweep of network keys needs the package {error.name}: {install('sweep')}"
        ) from None
    return tomli_w.dumps(document)


def _checked(top: dict[str, Any], text: str) -> SweepFile:
    _plain(top, "the sweep")
    for name in top:
        _known("table", name, ("train", "vary", "search"))
    if not all(isinstance(table, dict) for table in top.values()) or not top.get("vary"):
        raise PlanError("[train], [vary] and [search] are tables, and [vary] must vary something")
    train = {name: _absolute(name, value) for name, value in top.get("train", {}).items()}
    for name in train:
        _known("option in [train]", name, (*OPTIONS, *BOARD))
    search = None if "search" not in top else _search(top["search"])
    vary = {key: _choices(key, value, search is not None) for key, value in _flat(top["vary"])}
    both = sorted(train.keys() & vary.keys())
    if both:
        raise PlanError(f"{both[0]} is in [train] and in [vary]: choose one")
    found = SweepFile(text, train, vary, search)
    if search is None:
        runs = math.prod(len(choices) for choices in vary.values() if isinstance(choices, list))
        if runs > MAX_RUNS:
            raise PlanError(f"the grid has {runs} runs; the most is {MAX_RUNS}")
    elif not train.get("held-out"):
        raise PlanError("a search compares held-out errors: give held-out, such as 5000, in [train]")
    return found


def _plain(value: Any, where: str) -> None:
    """Raise `PlanError` for values of TOML that no option or network key takes, such as a date or nan."""
    if isinstance(value, dict):
        for key, below in value.items():
            _plain(key, where)
            _plain(below, key)
    elif isinstance(value, list):
        for each in value:
            _plain(each, where)
    elif not (
        value.isprintable()
        if isinstance(value, str)
        else isinstance(value, int | float) and abs(value) <= values.MAX_WHOLE
    ):
        raise PlanError(
            f"{where} can't have {values.said(value)}: values are true, false, printable texts and numbers "
            "within 2^63"
        )


def _known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise PlanError(
            f"unknown {what}: {values.said(name)}{meant(name, known) or '; known are ' + ', '.join(known)}"
        )


def _absolute(name: str, value: Any) -> Any:
    """Return a path in full, since workers may have other working directories; any other value as it is."""
    if not isinstance(value, str):
        return value
    path = name in PATHS or (name == "data" and Source.asked(value).kind == PATH)
    return str(Path(value).absolute()) if path else value


def _flat(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield keys and values of [vary]; TOML reads a dotted key without quotes as nested tables."""
    for key, value in table.items():
        if isinstance(value, dict) and not set(ENDS) <= value.keys():
            yield from ((f"{key}.{below}", found) for below, found in _flat(value))
        else:
            yield key, value


def _choices(key: str, value: Any, search: bool) -> list[Any] | Range:
    if "." not in key:
        _known("option in [vary]", key, (*OPTIONS, *BOARD))
    if isinstance(value, list) and value:
        return [_absolute(key, each) for each in value]
    if not search or not isinstance(value, dict):
        ranges = ", or a range such as {low = 0.1, high = 10, log = true}" if search else ""
        raise PlanError(f"{key} must be a list of values{ranges}, not {values.said(value)}")
    for name in value:
        _known(f"key of the range {key}", name, RANGE)
    numbers = [value[name] for name in (*ENDS, "step") if name in value]
    if (
        any(isinstance(x, bool) or not isinstance(x, int | float) for x in numbers)
        or not -MAX_NUMBER <= value["low"] < value["high"] <= MAX_NUMBER
    ):
        raise PlanError(
            f"{key} must range from low to a larger high, both within 2^53, not {values.said(value)}"
        )
    found = Range(**value)
    log = values.plain(bool, found.log, f"log of {key}", PlanError)
    low, high, *step = (Fraction(str(x)) for x in numbers)  # of the decimal digits, as Optuna
    if (log and (step or low <= 0)) or any(
        x <= 0 or (high - low) % x or high - low > x * MAX_NUMBER for x in step
    ):
        raise PlanError(
            f"{key}: a step divides high - low; a logarithmic range begins above 0 and has no step, not "
            f"{values.said(value)}"
        )
    return found


def _search(table: dict[str, Any]) -> Search:
    kinds = {entry.name: entry.type for entry in fields(Search)}
    for name in table:
        _known("key in [search]", name, tuple(kinds))
    if "trials" not in table:
        raise PlanError("[search] needs trials, the number of runs")
    found = Search(
        **{name: values.plain(kinds[name], value, name, PlanError) for name, value in table.items()}
    )
    if not 1 <= found.trials <= MAX_RUNS:
        raise PlanError(f"trials must be 1..{MAX_RUNS}, not {found.trials}")
    if not 0 <= found.seed <= MAX_SEED:
        raise PlanError(f"seed in [search] must be 0..{MAX_SEED}, not {found.seed}")
    return found


def _change(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a key of a network's document; stages and entries of lists are numbered from 1."""
    *path, last = key.split(".")
    place: Any = document
    for name in path:
        if isinstance(place, dict):
            place.setdefault(name, {})
        place = place[_place(place, name, key)]
    place[_place(place, last, key)] = value


def _place(container: Any, name: str, key: str) -> str | int:
    """Return the key of a table, or the index in a list, that a part of a dotted key names."""
    if isinstance(container, dict):
        return name
    if not isinstance(container, list):
        raise PlanError(f"{key}: there is nothing below a number")
    numbers = [str(n + 1) for n in range(len(container))]
    if name not in numbers:
        raise PlanError(f"{key}: {name} must be 1..{len(container)}")
    return numbers.index(name)
