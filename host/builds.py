"""Bitstreams for the command line: `boards.build` with this layer's errors, imported only where it is needed."""

from typing import Any

from golden.progress import note

from .boards import ToolsError
from .errors import NudgeError, UsageError


class BuildError(NudgeError):
    """The logic doesn't fit the part, or misses timing."""


def run_build(name: str, preset: str | None, seed: int, seeds: int, kind: str) -> Any:
    """`boards.build.build` of a board by its name. Raises `UsageError`, `ToolsError`, `BuildError`."""
    try:
        # only here: with a board at hand, Amaranth isn't needed
        from boards import build, tools
        from boards.catalog import board
        from boards.fpga import BoardError
    except ImportError as error:
        raise ToolsError(f"a build needs the package {error.name}: make setup") from None
    if kind not in tools.KINDS:
        raise UsageError(f"--tools must be {' or '.join(tools.KINDS)}, not {kind!r}")
    if not 1 <= seeds <= 100:
        raise UsageError(f"--seeds must be 1..100, not {seeds}")
    if not 0 <= seed < 1 << 31:
        raise UsageError(f"--seed must be 0..{(1 << 31) - 1}, not {seed}")
    try:
        fpga = board(name)
        return build.build(fpga, preset or list(fpga.designs)[-1], seed=seed, seeds=seeds, kind=kind, progress=note)
    except BoardError as error:
        raise UsageError(str(error)) from None
    except tools.ToolError as error:
        raise ToolsError(str(error)) from None
    except build.TimingError as error:
        raise BuildError(str(error)) from None
