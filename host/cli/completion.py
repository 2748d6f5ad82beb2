"""Completions for the shell; none of them imports a large package."""

from pathlib import Path

from nudge.golden.contract.datasets import NAMES
from nudge.golden.contract.presets import NAMES as PRESETS
from nudge.golden.contract.presets import packaged
from nudge.plumbing.errors import DesignError

#: Folder of Linux with persistent names of serial adapters.
ADAPTERS = Path("/dev/serial/by-id")


def presets(incomplete: str) -> list[str]:
    """Complete the value of `--preset`."""
    return list(PRESETS)


def data(incomplete: str) -> list[str]:
    """Complete the value of `--data`; the user's own files are not listed."""
    return list(NAMES)


def boards(incomplete: str) -> list[str]:
    """Complete the value of `--board`."""
    return ["sim", "golden", *map(str, sorted(ADAPTERS.glob("*")))]


def targets(incomplete: str) -> list[str]:
    """Complete the TARGET of a build; the boards' files are parsed as text, which needs no Amaranth."""
    from nudge.boards.catalog import BOARDS  # imported late: other commands need no toolchain

    try:
        return list(BOARDS)
    except DesignError:  # a file that isn't valid Python: `nudge build` reports it
        return []


def weights(incomplete: str) -> list[str]:
    """Complete a run or a weight file: the runs in runs/, then the packaged weights."""
    runs = (path.parent for path in sorted(Path("runs").glob("*/weights.safetensors")))
    return [*map(str, runs), *packaged()]


#: Completion of an option, by the name of the dataclass field that it is made of.
OF_FIELDS = {"preset": presets, "data": data, "board": boards}
