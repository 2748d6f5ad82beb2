"""Tables that compare runs: one of all runs, and one of means over runs that differ only in the seed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields
from html import escape

from nudge.golden.training.plan import Plan

from .folder import Folder
from .look import Look

#: Columns of measured values, with their number of decimals.
DECIMALS = {"training error (%)": 2, "held out (%)": 2, "test error (%)": 2, "samples/s": 0}

#: Letters of a cell that are kept on one line.
LONG = 40


@dataclass(frozen=True)
class Table:
    """A table of the page, sortable by each column."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    #: Column by which an open page sorts the rows at first; "": their order stays.
    order: str = ""

    @property
    def body(self) -> str:
        """The rows as HTML; the first cell of each is its heading, and long cells may be wrapped."""
        return "".join(
            f'<tr><th scope="row">{escape(first)}</th>'
            + "".join(f"<td{' class=long' * (len(cell) > LONG)}>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for first, *cells in self.rows
        )


def compared(runs: Sequence[tuple[Folder, Look]]) -> list[Table]:
    """Return the tables of several runs, none for a single run.

    The table of means is left out if no two finished runs differ only in the seed. Of runs with equal seeds
    only the first counts, as the others have the same bits.
    """
    if len(runs) == 1:
        return []
    networks = [folder.spec for folder, _ in runs]
    exact = len({spec.name for spec in networks}) < len({spec.identity for spec in networks})
    options = [_options(folder, exact) for folder, _ in runs]
    differing = [name for name in options[0] if len({each[name] for each in options}) > 1]
    measured = [_measured(folder, seen) for folder, seen in runs]
    known = [name for name in DECIMALS if any(each[name] is not None for each in measured)]
    rows = [
        [folder.name, *(each[name] for name in differing), f"{folder.done / folder.total:.0%}",
         *(mean([m[name]], DECIMALS[name]) for name in known)]
        for (folder, _), each, m in zip(runs, options, measured, strict=True)
    ]  # fmt: skip
    tables = [Table("All runs", ["run", *differing, "trained", *known], rows)]
    kept = [name for name in differing if name != "seed"]
    groups: dict[tuple[str, ...], dict[int, int]] = {}
    for number, (folder, _) in enumerate(runs):
        if folder.done == folder.total:
            alike = tuple(value for name, value in options[number].items() if name != "seed")
            groups.setdefault(alike, {}).setdefault(folder.plan.seed, number)
    means = [
        [
            ", ".join(runs[i][0].name for i in group),
            *(options[group[0]][name] for name in kept),
            str(len(group)),
            *(mean([measured[i][name] for i in group], DECIMALS[name]) for name in known),
        ]
        for group in (list(each.values()) for each in groups.values())
        if len(group) > 1
    ]
    if means:
        columns = ["runs", *kept, "seeds", *known]
        tables.append(
            Table("Finished runs that differ in the seed alone: mean ± standard deviation", columns, means)
        )
    return tables


def _options(folder: Folder, exact: bool) -> dict[str, str]:
    """Return the options that determine a run's result. exact: with the network's identity."""
    network = f"{folder.spec.name} ({folder.spec.identity:08x})" if exact else folder.spec.name
    found = {
        entry.name: str(getattr(folder.plan, entry.name)) for entry in fields(Plan) if entry.name != "preset"
    }
    return {"network": network} | found


def _measured(folder: Folder, seen: Look) -> dict[str, float | None]:
    """Return a run's measured values by column name; None if unknown."""
    end, tested = folder.epochs[-1] if folder.epochs else None, seen.evaluation
    values = (
        None if end is None else end.training_error_percent,
        None if end is None else end.held_out_error_percent,
        None if tested is None else tested.error_percent,
        folder.rate or None,
    )
    return dict(zip(DECIMALS, values, strict=True))


def mean(values: Sequence[float | None], digits: int) -> str:
    """Return the mean of the known values as text and, for several, their sample standard deviation."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    deviation = f" ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.{digits}f}{deviation}"
