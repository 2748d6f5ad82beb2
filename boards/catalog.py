"""The boards with a real part, collected from the files of this package; a new board is one file."""

import ast
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nudge import boards
from nudge.plumbing.errors import DesignError, NudgeError

from .family import Family

if TYPE_CHECKING:
    from .fpga import Fpga


def defined_in(source: str) -> list[str]:
    """Return the names of the boards that a file defines at its top level, by `X = Fpga(name="x", ...)` or
    `X = replace(Y, name="x", ...)`.

    The source is parsed, not run, because a platform imports Amaranth and listing names must work without it.
    """
    out = []
    for statement in ast.parse(source).body:
        call = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        given = [word.value for word in call.keywords if word.arg == "name"]
        if call.func.id in ("Fpga", "replace"):
            out += [str(name.value) for name in given if isinstance(name, ast.Constant)]
    return out


def modules() -> dict[str, str]:
    """Map the name of each board to the module that defines it.

    Raises `DesignError` for a file that isn't Python.
    """
    out: dict[str, str] = {}
    for folder in boards.__path__:
        for module in pkgutil.iter_modules([folder]):
            if module.ispkg:
                continue
            file = Path(folder) / f"{module.name}.py"
            try:
                found = defined_in(file.read_text())
            except SyntaxError as error:
                raise DesignError(f"{file}, line {error.lineno}: {error.msg}") from None
            out |= dict.fromkeys(found, f"{boards.__name__}.{module.name}")
    return out


@contextmanager
def _running(place: str) -> Iterator[None]:
    """Turn an error of a board's file, unless it is a `NudgeError`, into a `DesignError` of one line that
    begins with `place`."""
    try:
        yield
    except NudgeError:
        raise
    except Exception as error:
        if isinstance(error, AttributeError) and error.obj is Family:
            raise Family.other(f"{place}: there is no Family.{error.name}") from error
        raise DesignError(f"{place}: {type(error).__name__}: {error}") from error


class Catalog(Mapping[str, "Fpga"]):
    """The boards by name. Looking up a board imports its file and no other.

    Raises `DesignError` for a file that can't be imported.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(modules())

    def __len__(self) -> int:
        return len(modules())

    def __contains__(self, name: object) -> bool:
        return name in modules()

    def __getitem__(self, name: str) -> "Fpga":
        module = modules()[name]
        with _running(module):
            from .fpga import Fpga

            found = vars(import_module(module)).values()
        return next(fpga for fpga in found if isinstance(fpga, Fpga) and fpga.name == name)


BOARDS = Catalog()


def board_of_file(path: Path, name: str) -> "Fpga":
    """Run any Python file (`--target-file`) and return the board of that name from it.

    Raises `DesignError` for a file that can't be read or run, or has no such board.
    """
    from .fpga import Fpga

    spec = importlib.util.spec_from_file_location("target_file", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise DesignError(f"--target-file {path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    with _running(f"--target-file {path}"):
        spec.loader.exec_module(module)
    found = {fpga.name: fpga for fpga in vars(module).values() if isinstance(fpga, Fpga)}
    if name not in found:
        raise DesignError(f"--target-file {path} has no target {name!r}: it has {', '.join(found) or 'none'}")
    return found[name]


def board(name: str) -> "Fpga":
    """Return the board of that name; `DesignError` for an unknown name lists the known ones."""
    if name not in BOARDS:
        raise DesignError(f"unknown target {name!r}: choose one of {', '.join(BOARDS)}")
    return BOARDS[name]
