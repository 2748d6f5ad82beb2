"""How the commands print a result."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from plumbing.errors import ComparisonError
from plumbing.progress import plain

if TYPE_CHECKING:
    from rich.table import Table


def emit(as_json: bool, result: dict[str, Any], text: str) -> None:
    """The result, on standard output."""
    print(json.dumps(result) if as_json else shown(text), flush=True)


#: How `rendered` colours a table on a terminal.
COLOURS = re.compile(r"(\x1b\[[0-9;]*m)")


def shown(text: str) -> str:
    """The text; but for line ends, and colours on a terminal, what isn't printed is escaped: names may hold anything."""
    parts = COLOURS.split(text) if sys.stdout.isatty() else [text]
    lines = ("\n".join(map(plain, part.split("\n"))) if n % 2 == 0 else part for n, part in enumerate(parts))
    return "".join(lines)


def rendered(table: "Table") -> str:
    """A table as text, as wide as the terminal."""
    from rich.console import Console  # late: as all that is large

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
