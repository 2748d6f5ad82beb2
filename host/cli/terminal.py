"""Printing of a command's result."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nudge.plumbing.errors import ComparisonError
from nudge.plumbing.progress import plain

if TYPE_CHECKING:
    from rich.table import Table


def emit(as_json: bool, result: dict[str, Any], text: str) -> None:
    """Print a result on standard output: as JSON, or as the text."""
    print(json.dumps(result) if as_json else shown(text), flush=True)


#: Colour codes in the output of `rendered` on a terminal.
COLOURS = re.compile(r"(\x1b\[[0-9;]*m)")


def shown(text: str) -> str:
    """Escape unprintable characters of a text, since names may contain any.

    Line ends stay, and colour codes if standard output is a terminal.
    """
    parts = COLOURS.split(text) if sys.stdout.isatty() else [text]
    lines = ("\n".join(map(plain, part.split("\n"))) if n % 2 == 0 else part for n, part in enumerate(parts))
    return "".join(lines)


def rendered(table: "Table") -> str:
    """Return a table as text, as wide as the terminal."""
    from rich.console import Console  # imported late, as all large packages

    console = Console()
    with console.capture() as text:
        console.print(table)
    return text.get().rstrip()


@contextmanager
def reported(as_json: bool, result: dict[str, Any]) -> Iterator[None]:
    """With --json, print a failed comparison as a result, before its `ComparisonError` ends the command."""
    try:
        yield
    except ComparisonError as error:
        if as_json:
            emit(True, result | {"equal": False, "difference": str(error)}, "")
        raise
