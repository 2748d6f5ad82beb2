"""All boards with a real part, found in the files of this package: a new board is one file."""

import ast
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import boards
from plumbing.errors import DesignError, NudgeError

from .family import Family

if TYPE_CHECKING:
    from .fpga import Fpga


def defined_in(source: str) -> list[str]:
    """Names of the boards that a file defines at its top level: `X = Fpga(name="x", ...)`, or
    `X = replace(Y, name="x", ...)`.

    The file is read, not run: its platform needs Amaranth, which a list of names must not.
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
    """Name of each board -> the module that defines it.

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
    """Whatever a board's file raises is told in one line."""
    try:
        yield
    except NudgeError:
        raise
    except Exception as error:
        if isinstance(error, AttributeError) and error.obj is Family:
            raise Family.other(f"{place}: there is no Family.{error.name}") from error
        raise DesignError(f"{place}: {type(error).__name__}: {error}") from error


class Catalog(Mapping[str, "Fpga"]):
    """The boards by name. A board's file is imported when it is asked for, and no other.

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
    """The board of that name in a Python file, wherever that is; running it is what its owner asks for.

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
    """The board of that name; `DesignError` lists the names there are."""
    if name not in BOARDS:
        raise DesignError(f"unknown target {name!r}: choose one of {', '.join(BOARDS)}")
    return BOARDS[name]
