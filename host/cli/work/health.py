"""The work of `nudge doctor`. It imports no package at the top that an installation may lack."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nudge.golden.contract.datasets import EMBEDDED, FOLDERS, VARIABLE, folder_of, there
from nudge.plumbing import DISTRIBUTION, install
from nudge.plumbing.errors import NudgeError
from nudge.plumbing.programs import LOADERS, SIMULATION

#: Uses of the packages that each extra brings.
EXTRAS = {
    "sim": "simulation",
    "build": "bitstreams",
    "nir": "optional",
    "onnx": "optional",
    "sklearn": "optional",
    "sweep": "optional",
    "tensorboard": "optional",
}

#: Uses of the packages that simulation doesn't need.
USES = dict.fromkeys(("bokeh", "jinja2", "markupsafe", "tornado"), "pages") | {"pooch": "nudge data get"}

#: Time limit in seconds for a program's --version.
SECONDS = 10

#: Free bytes below which a disk is reported as full: the builds of a few networks take as many.
LITTLE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One checked item."""

    group: str
    name: str
    #: Its version or place; None if it is missing.
    found: str | None
    #: Its use.
    use: str
    #: How to get it.
    get: str = ""

    @property
    def breaks(self) -> bool:
        """True if it is missing and simulation needs it."""
        return self.found is None and self.use == "simulation"


def findings() -> list[Finding]:
    """Return all items, by group."""
    return [*packages(), *programs(), *tools(), *loaders(), *ports(), *data(), *places()]


def packages() -> Iterator[Finding]:
    """Check Python, and the packages that nudge requires or can use."""
    yield Finding("packages", "python", platform.python_version(), "simulation")
    try:
        required = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", DISTRIBUTION, None, "simulation", "make setup")
        return
    for line in required:
        name, _, extra = re.fullmatch(r"([\w.-]+)([^;]*)(?:; extra == \"(\w+)\")?", line).groups()  # type: ignore[union-attr]
        if (extra is not None and extra not in EXTRAS) or name == DISTRIBUTION:
            continue
        use = EXTRAS[extra] if extra else USES.get(name, "simulation")
        try:
            found: str | None = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = None
        yield Finding(
            "packages",
            name,
            found,
            use,
            install(extra) if extra else f"pip install '{line.partition(';')[0]}'",
        )


def programs() -> Iterator[Finding]:
    """Check the programs that simulation needs, and the C++ compiler of the variable CXX."""
    for name in SIMULATION:
        yield Finding("programs", name, version(name), "simulation", f"apt-get install {name}")
    compiler = os.environ.get("CXX", "")
    if compiler:
        yield Finding(
            "programs", f"CXX={compiler}", version(compiler), "the fast model", "set CXX to a C++ compiler"
        )


def tools() -> Iterator[Finding]:
    """Check synthesis, placement and routing as native programs; `packages` checks the Python packages."""
    from nudge.boards.toolchain.tools import DEBIAN

    for name, package in DEBIAN.items():
        yield Finding("--tools native", name, shutil.which(name), "optional", f"apt-get install {package}")


def loaders() -> Iterator[Finding]:
    """Check the programs that load a bitstream onto a board."""
    for name, package in LOADERS.items():
        yield Finding("loaders", name, shutil.which(name), "nudge flash", f"apt-get install {package}")


def ports() -> Iterator[Finding]:
    """List the serial ports that are present, and whether they can be opened."""
    try:
        from serial.tools import list_ports
    except ImportError:
        return
    found = sorted(list_ports.comports())
    for port in found:
        usable = os.access(port.device, os.R_OK | os.W_OK)
        why = "" if usable else ": not yours to open, join its group (often dialout)"
        yield Finding("serial ports", port.device, f"{port.description}{why}", "a board")
    if not found:
        yield Finding("serial ports", "any", None, "a board", "plug a board in")


def data() -> Iterator[Finding]:
    """Check the data sets in the folders where `--data` searches them."""
    yield Finding(
        "data",
        "embedded",
        "in the package" if EMBEDDED.is_file() else None,
        "simulation",
        "install nudge again",
    )
    for name, folder in FOLDERS.items():
        root = folder_of(name=name)
        place = None if root is None else there(name, root)
        get = f"nudge data get {name}, or set {VARIABLE} to the folder that holds {folder}"
        yield Finding("data", name, None if place is None else str(place), "optional", get)


def places() -> Iterator[Finding]:
    """Check the folders for builds and temporary files, and their free space."""
    try:
        from nudge.plumbing.cache import build_root

        root: Path | None = build_root()
    except (ImportError, NudgeError):
        root = None
    for name, folder, variable in (
        ("builds", root, "NUDGE_BUILD"),
        ("temporary files", Path(tempfile.gettempdir()), "TMPDIR"),
    ):
        found = None if folder is None else space(folder, variable)
        yield Finding("disk", name, found, "simulation", f"set {variable} to a folder that can be written")


def space(folder: Path, variable: str) -> str | None:
    """Return a folder, which may not exist yet, with its free space as text; None if it can't be written."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK):
        return None
    free = shutil.disk_usage(there).free
    little = f": little, set {variable} to a folder on another disk" if free < LITTLE else ""
    return f"{folder}, {free / 1e9:.1f} GB free{little}"


def version(program: str) -> str | None:
    """Return the first line of a program's --version, or its path without one; None if it is missing."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return path
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), path)
