"""`nudge data`: fetches published data sets, and lists those that are there."""

from pathlib import Path
from typing import Annotated

import typer

from nudge.golden.contract.datasets import FOLDERS, VARIABLE, fetched, folder_of
from nudge.plumbing.errors import UsageError

from .app import App
from .options import JsonOption
from .run import importing
from .terminal import emit, shown

app = App(help="Fetch or list published data sets.")

RootOption = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        help=f"Take this folder [default: ${VARIABLE}, else ~/.cache/nudge/data, where --data looks too].",
    ),
]


@app.command("get")
def get(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help=f"Fetch these: {', '.join(FOLDERS)}.",
        ),
    ],
    root: RootOption = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Fetch from this copy of such a folder instead of the usual addresses."
        ),
    ] = None,
) -> None:
    """Fetch data sets from the internet, unless they are there; no other command does.

    Each file is checked by its digest before it gets its name. The layout is torchvision's.
    """
    for name in names:
        if name not in FOLDERS:
            raise UsageError(f"no data set to fetch: {name!r}: choose from {', '.join(FOLDERS)}")
    with importing():
        from nudge.golden.training.sets import published
    folder = folder_of(root) or fetched()
    for name in names:
        found = "fetched to" if published.get(name, folder, mirror) else "there already, in"
        print(shown(f"{name}: {found} {folder}"), flush=True)


@app.command("list")
def list_sets(root: RootOption = None, as_json: JsonOption = False) -> None:
    """List the data sets of a folder: their size, and whether their digests hold."""
    with importing():
        from nudge.golden.training.sets import published
    folder, found = folder_of(root) or fetched(), []
    for name in FOLDERS:
        size, why = published.state(name, folder)
        found.append({"data": name, "bytes": size, "whole": not why, "why": why})
    lines = [f"{each['data']}: {each['bytes']:,} bytes, {each['why'] or 'digests hold'}" for each in found]
    emit(as_json, {"folder": str(folder), "data": found}, "\n".join([f"in {folder}:", *lines]))
