"""Where compiled things are kept, made once for the same inputs, whoever asks for them first."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from golden.contract.errors import ToolError

#: A build that takes longer than this has gone wrong, and so has the process that holds its lock.
BUILD_SECONDS = 1800


def build_root() -> Path:
    """Folder of all builds: `NUDGE_BUILD`, or build/ of the checkout, or the user's cache for an installed package."""
    if "NUDGE_BUILD" in os.environ:
        return Path(os.environ["NUDGE_BUILD"]).absolute()
    checkout = Path(__file__).parent.parent
    return checkout / "build" if (checkout / "pyproject.toml").exists() else Path.home() / ".cache" / "nudge"


def cached(name: str, inputs: Iterable[str | bytes], make: Callable[[Path, Path], None]) -> Path:
    """The folder that `make(folder, log)` fills, made once for these inputs.

    Processes that want the same folder wait for the first. `make` works in a temporary folder that gets its final name
    when it is complete, so a build that was cut off is never used.
    """
    digest = hashlib.sha256()
    for part in inputs:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    root = build_root()
    folder = root / f"{name}-{digest.hexdigest()[:16]}"
    if folder.exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{folder}.lock", timeout=BUILD_SECONDS):
            if not folder.exists():
                _fill(folder, make)
    except Timeout:
        raise ToolError(f"another process has been building {folder} for {BUILD_SECONDS} s: stop it and try again") from None
    return folder


def _fill(folder: Path, make: Callable[[Path, Path], None]) -> None:
    log = folder.with_suffix(".log")
    log.unlink(missing_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        make(temporary, log)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
