"""Rows of a study as a CSV: each measured cell's labels, seed and figures, and the fingerprint that it is known by."""

import csv
import io
import re
import reprlib
from pathlib import Path

from plumbing import files
from plumbing.errors import StudyError

from .study import Cell, Row

#: Bytes of a study's CSV at most.
MAX_BYTES = 1 << 24

#: A seed in a CSV.
NUMBER = re.compile("[0-9]{1,9}")


def damaged(path: Path, why: str) -> StudyError:
    """The error of a CSV that no study wrote."""
    return StudyError(f"{path} is damaged ({why}): --force begins anew, --out elsewhere")


def read(path: Path, cells: list[Cell]) -> dict[str, Row]:
    """Rows by fingerprint; none if there is no file.

    `StudyError` for rows of another version of the study, and for what no study wrote.
    """
    if not path.exists():
        return {}
    known = {cell.fingerprint: cell for cell in cells}
    text = files.read_text(path, MAX_BYTES, lambda why: StudyError(f"{why}: --force begins anew, --out elsewhere"))
    found: dict[str, Row] = {}
    try:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            if None in row or None in row.values() or not {"seed", "fingerprint"} <= row.keys():
                raise ValueError("a row of another length, or no seed or fingerprint")
            if not NUMBER.fullmatch(row["seed"]):
                raise ValueError(f"seed {reprlib.repr(row['seed'])}")
            found[row["fingerprint"]] = {name: value for name, value in row.items() if value}
        for cell in filter(None, map(known.get, found)):
            row = found[cell.fingerprint]
            if {name: row.get(name, "") for name in cell.labels} != cell.labels or int(row["seed"]) != cell.seed:
                raise ValueError(f"labels that aren't those of {cell.fingerprint}")
            for name in row.keys() - cell.labels.keys() - {"fingerprint"}:
                float(row[name])
    except (ValueError, csv.Error) as error:
        raise damaged(path, str(error)) from None
    foreign = [row for row in found.values() if row["fingerprint"] not in known]
    if foreign and not _more_seeds(foreign, len({cell.seed for cell in cells})):
        raise StudyError(f"{path} has {len(foreign)} rows of another version of the study: --force begins anew")
    return found


def write(path: Path, rows: list[Row]) -> None:
    """Write them, atomically."""
    files.write(path, as_text(rows))


def as_text(rows: list[Row]) -> str:
    """The CSV's text."""
    text = io.StringIO()
    # rows may have figures that others lack, such as those of more epochs: empty there
    figures = dict.fromkeys(name for row in rows for name in row if name != "fingerprint")
    writer = csv.DictWriter(text, [*figures, "fingerprint"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _more_seeds(rows: list[Row], seeds: int) -> bool:
    """Whether all these rows are of seeds beyond those that are asked for now: they stay, unused."""
    return all(int(row["seed"]) > seeds for row in rows)
