"""`nudge repro`: reproduces a study's table and picture."""

from pathlib import Path
from typing import Annotated

import typer

from nudge.plumbing.errors import UsageError, meant
from nudge.plumbing.parts import HELP

from .options import DirOption, JsonOption, SchedulerOption, WorkersOption
from .run import importing
from .terminal import emit

#: Word in the place of a study that puts tables together.
MERGE = "merge"


def repro(
    name: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study, such as precision; an unknown name lists all.")
    ],
    parts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER]...", help="With `merge` as the study: put the tables in these folders together."
        ),
    ] = None,
    budget: Annotated[
        str, typer.Option(help="Spend quick (2 minutes, mostly embedded digits) or cpu (hours on 2 cores).")
    ] = "quick",
    seeds: Annotated[
        int | None, typer.Option(help="Measure each cell with N seeds [default: the budget's].")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="Write table and picture to this directory; continue a study in it."),
    ] = Path("results"),
    data_dir: DirOption = None,
    force: Annotated[bool, typer.Option("--force", help="Begin the study anew.")] = False,
    device: Annotated[str, typer.Option(help="Compute the studies of the paper on cpu or cuda.")] = "cpu",
    only: Annotated[
        str | None, typer.Option(help="Measure only rows with LABEL, or with all of LABEL,LABEL.")
    ] = None,
    cells: Annotated[str | None, typer.Option(help=HELP)] = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reproduce a study's table and picture: CSV, Markdown and PNG.

    Cells are measured one after the other, or by --workers or a --scheduler at the same time. Machines
    without a scheduler measure a part each by --cells, and `nudge repro merge FOLDER...` puts their tables
    together.
    """
    with importing():
        from nudge.paper.studies import NAMES, find
        from nudge.paper.studies.carry_out import carry_out, merge
    if name == MERGE:
        table, files = merge(parts or [], out, data_dir)
        emit(as_json, {"files": list(map(str, files))}, f"{table}\n\n{', '.join(map(str, files))}")
        return
    if parts:
        raise UsageError(f"{parts[0]}: only `nudge repro {MERGE}` takes folders")
    if name not in NAMES:
        raise UsageError(f"unknown study {name!r}: choose one of {', '.join(NAMES)}{meant(name, NAMES)}")
    table, files = carry_out(
        find(name),
        budget,
        out,
        seeds=seeds,
        data_dir=data_dir,
        force=force,
        device=device,
        only=only,
        part=cells,
        workers=workers,
        scheduler=scheduler,
    )
    emit(
        as_json,
        {"study": name, "budget": budget, "files": list(map(str, files))},
        f"{table}\n\n{', '.join(map(str, files))}",
    )
