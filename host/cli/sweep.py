"""`nudge sweep`: trains many runs, over a grid or by a search, on several processes or machines."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nudge.golden.training.options import OUTPUT
from nudge.plumbing.errors import PlanError

from .options import JsonOption, SchedulerOption, WorkersOption
from .run import importing
from .terminal import emit


def sweep(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The sweep's file (docs/sweeps.md), or to resume its folder."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write table and runs to this folder [default: runs/NAME of the file].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the sweep in that folder.", rich_help_panel=OUTPUT)
    ] = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Serve a page that follows the sweep, at a terminal until Ctrl-C.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train many runs: a grid of options and network keys, seeds, or a search.

    Each run has the weights that `nudge train` alone gives it. With held-out images runs are compared by
    them, and the test set isn't asked.
    """
    with importing():
        from nudge.host.sweep.sweep import best
        from nudge.host.sweep.sweep import sweep as carry_out
        from nudge.host.sweep.table import State
        from nudge.host.view.sweep import picture

        from .work.sweeping import Shown
    with Shown(live) as shown:
        rows = carry_out(file, out, resume=resume, workers=workers, scheduler=scheduler, display=shown)
        failed = [row for row in rows if row.state is State.FAILED]
        found = best(rows)
        text = f"{len(rows) - len(failed)} of {len(rows)} runs are done; table and runs in {shown.folder}"
        if found is not None:
            values = ", ".join(f"{key} = {value}" for key, value in found.values.items())
            text += f"\nbest held-out error {found.figures.held_out_percent:.2f} %: {found.run} ({values})"
        emit(
            as_json,
            {
                "folder": str(shown.folder),
                "best": None if found is None else found.run,
                "runs": [asdict(row) for row in rows],
            },
            text,
        )
        picture.write(shown.folder)
        shown.stay(as_json)
    if failed:
        first = f"{failed[0].run}: {failed[0].error}"
        raise PlanError(f"{len(failed)} of {len(rows)} runs failed ({first}); --resume tries them again")
