"""Words that a shell completes: what can be known without anything large."""

from pathlib import Path

from golden.contract.datasets import NAMES
from golden.contract.presets import NAMES as PRESETS
from golden.training.packaged import packaged
from plumbing.errors import DesignError

#: Where Linux names serial adapters for good.
ADAPTERS = Path("/dev/serial/by-id")


def presets(incomplete: str) -> list[str]:
    """After `--preset`."""
    return list(PRESETS)


def data(incomplete: str) -> list[str]:
    """After `--data`, beside the reader's own files."""
    return list(NAMES)


def boards(incomplete: str) -> list[str]:
    """After `--board`."""
    return ["sim", "golden", *map(str, sorted(ADAPTERS.glob("*")))]


def targets(incomplete: str) -> list[str]:
    """TARGET of a build: read from the files' text, which needs no Amaranth."""
    from boards.catalog import BOARDS  # late: other commands need no toolchain

    try:
        return list(BOARDS)
    except DesignError:  # a file that isn't Python: who builds one is told
        return []


def weights(incomplete: str) -> list[str]:
    """A run or a weight file: those that come with the package, and the runs in runs/."""
    runs = (path.parent for path in sorted(Path("runs").glob("*/weights.safetensors")))
    return [*map(str, runs), *packaged()]


#: By the name of a field whose option is made of it.
OF_FIELDS = {"preset": presets, "data": data, "board": boards}
