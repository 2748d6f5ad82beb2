"""`nudge view`: shows training runs, or a sweep, in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from nudge.plumbing.errors import UsageError
from nudge.plumbing.progress import note

from .completion import weights
from .run import importing


def view(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Show these runs, all in a folder, or a sweep.", autocompletion=weights
        ),
    ],
    save: Annotated[
        Path | None,
        typer.Option(help="Write the page to this file instead; it needs no server and no network."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Serve the page at this port of 127.0.0.1 [default: any free one].")
    ] = None,
) -> None:
    """Show training runs: errors, rate, weights, answers, and single images sweep by sweep.

    Of a sweep's folder, show a table of its runs, their learning curves, and error against each varied key.

    What is in progress is shown as it is now; a served page follows it, until Ctrl-C.
    """
    with importing():
        import asyncio

        from nudge.host.view.save import save as write
        from nudge.host.view.serve import serve
        from nudge.host.view.watch import shown

    if save is not None:
        if port is not None:
            raise UsageError(f"--port {port}: not with --save, which serves nothing")
        note(f"{write(runs, save)}: open it in a browser")
        return
    shown(runs).check()  # so that an error is reported here, not in a browser
    asyncio.run(serve(runs, port or 0, lambda url: print(url, flush=True)))
