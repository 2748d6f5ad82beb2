"""`nudge repro`: reproduces a study's table and picture."""

from pathlib import Path
from typing import Annotated

import typer

from nudge.plumbing.errors import UsageError, meant

from .options import DirOption, JsonOption
from .run import importing
from .terminal import emit


def repro(
    name: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study, such as precision; an unknown name lists all.")
    ],
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
    device: Annotated[
        str, typer.Option(help="Compute the studies of the paper on cpu or cuda.")
    ] = "cpu",
    only: Annotated[
        str | None, typer.Option(help="Measure only rows with LABEL, or with all of LABEL,LABEL.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Reproduce a study's table and picture: CSV, Markdown and PNG."""
    with importing():
        from nudge.paper.studies import NAMES, find
        from nudge.paper.studies.carry_out import carry_out
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
    )
    emit(
        as_json,
        {"study": name, "budget": budget, "files": list(map(str, files))},
        f"{table}\n\n{', '.join(map(str, files))}",
    )
