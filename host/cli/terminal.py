"""What commands have in common: the options that several of them take, and how a result is printed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from golden.contract.config import ENGINES
from golden.contract.errors import ComparisonError
from golden.contract.presets import PRESETS
from golden.training import data as datasets

PresetOption = Annotated[str, typer.Option("--preset", help=f"Network: {', '.join(PRESETS)}.")]
BoardOption = Annotated[
    str, typer.Option("--board", help="sim (virtual board), golden (the model), a device path or a pyserial URL.")
]
EnginesOption = Annotated[
    str | None,
    typer.Option("--engines", help=f"Synapse engines of the simulated board: {' or '.join(ENGINES)} [default: {ENGINES[0]}]."),
]
DataOption = Annotated[str, typer.Option("--data", help=f"{', '.join(datasets.NAMES)}.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


def emit(as_json: bool, result: dict[str, Any], text: str) -> None:
    """The result, on standard output."""
    print(json.dumps(result) if as_json else text, flush=True)


def rendered(table: Table) -> str:
    """A table as text, as wide as the terminal."""
    console = Console()
    with console.capture() as text:
        console.print(table)
    return text.get().rstrip()


@contextmanager
def reported(as_json: bool, result: dict[str, Any]) -> Iterator[None]:
    """A failed comparison is a result too: with --json, say so before it ends the command."""
    try:
        yield
    except ComparisonError as error:
        if as_json:
            emit(True, result | {"equal": False, "difference": str(error)}, "")
        raise
