"""Rows of a study as a CSV: labels, seed, figures and fingerprint of each measured cell."""

import csv
import io
import re
import reprlib
from pathlib import Path

from nudge.plumbing import files
from nudge.plumbing.errors import StudyError

from .study import Cell, Row

#: Maximum size of a study's CSV in bytes.
MAX_BYTES = 1 << 24

#: Form of a seed in a CSV.
NUMBER = re.compile("[0-9]{1,9}")


def damaged(path: Path, why: str) -> StudyError:
    """Return the error for a CSV that no study wrote."""
    return StudyError(f"{path} is damaged ({why}): --force begins anew, --out elsewhere")


def read(path: Path, cells: list[Cell]) -> dict[str, Row]:
    """Read the rows, by fingerprint; an empty dict if there is no file.

    Raises `StudyError` for rows of another version of the study, and for a file that no study wrote.
    """
    if not path.exists():
        return {}
    known = {cell.fingerprint: cell for cell in cells}
    text = files.read_text(
        path, MAX_BYTES, lambda why: StudyError(f"{why}: --force begins anew, --out elsewhere")
    )
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
            if {name: row.get(name, "") for name in cell.labels} != cell.labels or int(
                row["seed"]
            ) != cell.seed:
                raise ValueError(f"labels that aren't those of {cell.fingerprint}")
            for name in row.keys() - cell.labels.keys() - {"fingerprint"}:
                float(row[name])
    except (ValueError, csv.Error) as error:
        raise damaged(path, str(error)) from None
    foreign = [row for row in found.values() if row["fingerprint"] not in known]
    if foreign and not _more_seeds(foreign, len({cell.seed for cell in cells})):
        raise StudyError(
            f"{path} has {len(foreign)} rows of another version of the study: --force begins anew"
        )
    return found


def seeds(path: Path) -> int:
    """Return the largest seed in a table's rows, 0 if there is no table."""
    if not path.exists():
        return 0
    text = files.read_text(path, MAX_BYTES, StudyError)
    found = [row.get("seed") or "" for row in csv.DictReader(io.StringIO(text, newline=""))]
    return max((int(seed) for seed in found if NUMBER.fullmatch(seed)), default=0)


def write(path: Path, rows: list[Row]) -> None:
    """Write the rows, atomically."""
    files.write(path, as_text(rows))


def as_text(rows: list[Row]) -> str:
    """Return the rows as the text of a CSV."""
    text = io.StringIO()
    # a figure that a row lacks, such as one of a later epoch, is an empty cell
    figures = dict.fromkeys(name for row in rows for name in row if name != "fingerprint")
    writer = csv.DictWriter(text, [*figures, "fingerprint"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _more_seeds(rows: list[Row], seeds: int) -> bool:
    """Return whether all these rows have seeds above `seeds`; such rows are kept, unused."""
    return all(int(row["seed"]) > seeds for row in rows)
