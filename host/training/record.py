"""Records of `nudge board check`: their one format, its reader and writer, and tables of them.

A record is two files, check-BOARD-DATE.json and check-BOARD-DATE.md; the second is made from the first.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nudge.golden.contract import values
from nudge.plumbing import files
from nudge.plumbing.errors import DesignError

#: Version of the format.
FORMAT = 1

#: Maximum size in bytes of a record's file.
MAX_BYTES = 1 << 20

#: Folder of the records that were sent back; a wheel doesn't have it.
MEASURED = Path(__file__).resolve().parents[2] / "docs" / "measured"

#: What the figures of a record are.
SIMULATED, ON_A_BOARD = "simulated", "on a board"
KINDS = (SIMULATED, ON_A_BOARD)

#: Outcomes of a line. NOT_RUN: the connection was lost before it.
HELD, FAILED, NOT_APPLICABLE, NOT_RUN = OUTCOMES = ("held", "did not hold", "not applicable", "not run")

#: Figures of the line `rate` that reports and tables show.
END_TO_END, CORE = "training_samples_per_second", "core_samples_per_second"

Figures = Mapping[str, int | float | str]


@dataclass(frozen=True)
class Line:
    """One check. outcome: of `OUTCOMES`. says: the finding. seconds: duration by the host's clock."""

    name: str
    outcome: str
    says: str
    seconds: float
    figures: Figures


@dataclass(frozen=True)
class Record:
    """The result of a check of one board.

    board: kind of board, such as `ulx3s`, or `sim`. spec: `Spec.identity`. kind: of `KINDS`. date: UTC, as in
    the files' names. facts: versions, seeds, digests, identity, machine.
    """

    board: str
    preset: str
    spec: int
    kind: str
    date: str
    facts: Figures
    lines: tuple[Line, ...]
    format: int = FORMAT

    @property
    def failed(self) -> list[str]:
        """Names of the lines that did not hold, or that could not be run."""
        return [line.name for line in self.lines if line.outcome in (FAILED, NOT_RUN)]

    @property
    def name(self) -> str:
        """Name of its files, without suffix."""
        return f"check-{self.board}-{self.date}"

    def values(self) -> dict[str, Any]:
        """Return the record as plain data for JSON."""
        return asdict(self) | {"held": not self.failed}

    def figure(self, name: str) -> int | float | str | None:
        """Return a figure of the first line that has it; None if none has."""
        return next((line.figures[name] for line in self.lines if name in line.figures), None)


def write(record: Record, folder: Path) -> Path:
    """Write both files, or none; return the path of the JSON file. Existing files are not replaced."""
    file, page = (folder / f"{record.name}{suffix}" for suffix in (".json", ".md"))
    for path in (file, page):
        if path.exists():
            raise DesignError(f"{path} exists, and isn't replaced")
    try:
        files.write(page, markdown(record))
        files.write(file, json.dumps(record.values(), indent=1) + "\n")
    except BaseException:
        for path in (page, file):
            path.unlink(missing_ok=True)
        raise
    return file


def read(file: Path) -> Record:
    """Read a record; `DesignError` for a file that is none."""
    found = files.read_json(file, MAX_BYTES, DesignError)

    def wrong(why: str) -> DesignError:
        return DesignError(f"{file} is no record of `nudge board check`: {why}")

    lines = [_of(Line, line, wrong) for line in values.plain(list, found.get("lines"), "lines", wrong)]
    record = _of(Record, found | {"lines": tuple(lines)}, wrong)
    if (
        record.format != FORMAT
        or record.kind not in KINDS
        or any(line.outcome not in OUTCOMES for line in lines)
    ):
        raise wrong("unknown format, kind or outcome")
    if file.stem != record.name or not re.fullmatch(r"[\w.-]+", record.name):
        raise wrong(f"its name should be {record.name}.json")
    if found.get("held") != (not record.failed):
        raise wrong("`held` contradicts its lines")
    for figures in (record.facts, *(line.figures for line in lines)):
        if any(
            isinstance(value, bool) or not isinstance(value, int | float | str) for value in figures.values()
        ):
            raise wrong("a figure is neither number nor text")
    return record


def _of(kind: Any, found: Any, wrong: Any) -> Any:
    """Return plain data as a `Line` or `Record`."""
    found = values.plain(dict, found, kind.__name__, wrong)
    of: dict[Any, type] = {Figures: dict, tuple[Line, ...]: tuple}
    return kind(
        **{
            f.name: values.plain(of.get(f.type, f.type), found.get(f.name), f.name, wrong)
            for f in fields(kind)
        }
    )


def records(folder: Path | None = None) -> list[Record]:
    """Return the records in a folder, `MEASURED` by default, by name; none without the folder."""
    return [read(file) for file in sorted((MEASURED if folder is None else folder).glob("check-*.json"))]


def measured(board: str, preset: str, spec: int) -> list[Record]:
    """Return the records in `MEASURED` of a board of this kind with this network."""
    wanted = (board, preset, spec, ON_A_BOARD)
    return [
        record for record in records() if (record.board, record.preset, record.spec, record.kind) == wanted
    ]


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _rows(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([_cell(value) for value in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def shown(figures: Figures) -> str:
    """Return figures as text; fractions with six digits."""
    texts = (f"{value:.6g}" if isinstance(value, float) else str(value) for value in figures.values())
    return ", ".join(f"{name} {text}" for name, text in zip(figures, texts, strict=True))


def markdown(record: Record) -> str:
    """Return a record as a page."""
    verdict = f"did not hold: {', '.join(record.failed)}" if record.failed else "all that applies held"
    lines = [
        f"# Check of {record.board}, {record.preset}: {verdict}",
        "",
        f"Made by `nudge board check` at {record.date} UTC. All figures are *{record.kind}*.",
        "",
        *_rows(
            ("line", "outcome", "finding", f"figures, {record.kind}", "seconds"),
            ((x.name, x.outcome, x.says, shown(x.figures), f"{x.seconds:.1f}") for x in record.lines),
        ),
        "",
        *_rows(("fact", "value"), (("spec", f"{record.spec:08x}"), *record.facts.items())),
    ]
    return "\n".join(lines) + "\n"


def overview(found: Iterable[Record]) -> str:
    """Return a table of records, or a line that there are none."""
    rows = []
    for record in found:
        rates = (record.figure(name) for name in (END_TO_END, CORE))
        texts = ("" if rate is None else f"{float(rate):.0f}" for rate in rates)
        verdict = f"no: {', '.join(record.failed)}" if record.failed else "yes"
        rows.append(
            (f"[{record.date}]({record.name}.md)", record.board, record.preset, record.kind, verdict, *texts)
        )
    heads = ("record", "board", "preset", "figures", "all held", "training samples/s", "its core's")
    return "\n".join(_rows(heads, rows)) if rows else "There is no record yet: nobody has measured a board."
