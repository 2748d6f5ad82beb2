"""How the commands print a result."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from golden.contract.errors import ComparisonError


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
