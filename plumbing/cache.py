"""Where compiled things are kept, made once for the same inputs, whoever asks for them first."""

import ast
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from plumbing import files
from plumbing.errors import ToolError
from plumbing.progress import note

#: Folder of this project's packages: the checkout, or an environment that they are installed in.
ROOT = Path(__file__).parent.parent

#: This project's packages; other people's are told apart by their version.
FIRST_PARTY = ("plumbing", "golden", "paper", "hw", "sim", "host", "boards", "nudge", "tests")

#: A build that takes longer than this has gone wrong, and so has the process that holds its lock.
BUILD_SECONDS = 1800


def build_root() -> Path:
    """Folder of all builds: `NUDGE_BUILD`, or build/ of the checkout, or the user's cache for an installed package.

    `ToolError` for a user who has no home.
    """
    if os.environ.get("NUDGE_BUILD"):  # an empty one isn't meant
        return Path(os.environ["NUDGE_BUILD"]).absolute()
    if (ROOT / "pyproject.toml").exists():
        return ROOT / "build"
    try:
        return Path.home() / ".cache" / "nudge"
    except RuntimeError:
        raise ToolError("no home directory to keep builds in: set NUDGE_BUILD to a folder, or HOME") from None


def source_files(module: str, root: Path = ROOT) -> list[Path]:
    """Every first-party file that `module` is made from, sorted: its own, and all that these import, inside functions too.

    Found by reading the files, without importing them. root: the folder that holds the packages.
    """
    return sorted(_sources(module, root))


def source_texts(module: str, root: Path = ROOT) -> list[str]:
    """Inputs for `cached` of what `module` makes: name and text of each of its `source_files`."""
    texts = sorted(_sources(module, root).items())
    return [part for file, text in texts for part in (str(file.relative_to(root)), text)]


def cached(name: str, inputs: Iterable[str | bytes], make: Callable[[Path, Path], None]) -> Path:
    """The folder that `make(folder, log)` fills, made once for these inputs.

    Processes that want the same folder wait for the first. `make` works in a temporary folder that gets its final name
    when it is complete, so a build that was cut off is never used. Files that are not as they were made are made again.
    Raises `ToolError` where builds can't be kept, as in a folder of someone else's.
    """
    digest = hashlib.sha256()
    for part in inputs:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    root = build_root()
    folder = root / f"{name}-{digest.hexdigest()[:16]}"
    try:
        if folder.exists() and (folder in _whole or whole(folder)):
            _whole.add(folder)
            return folder
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock", timeout=BUILD_SECONDS):
            if folder.exists() and not whole(folder):
                note(f"{folder} is damaged: it is made again")
                files.remove(folder)
            if not folder.exists():
                _fill(folder, make)
    except Timeout:
        raise ToolError(f"another process has been building {folder} for {BUILD_SECONDS} s: stop it and try again") from None
    except OSError as error:
        raise unkept(root, error) from None
    return folder


#: In each folder: the digest of every other file, as it was made.
MANIFEST = "manifest.json"

#: Bytes of it at most.
MAX_MANIFEST = 1 << 24

#: Folders that this process has found whole.
_whole: set[Path] = set()


def unkept(root: Path, error: OSError) -> ToolError:
    """That `root` can't have builds, and why."""
    return ToolError(f"builds can't be kept in {root}, which NUDGE_BUILD can change: {error}")


def whole(folder: Path) -> bool:
    """Whether all files of a folder that `cached` made are as they were made."""
    try:
        known = files.read_json(folder / MANIFEST, MAX_MANIFEST, ToolError)
        found = _digests(folder)
        return bool(known) and all(found.get(name) == digest for name, digest in known.items())
    except (OSError, ToolError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path from there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(file.relative_to(folder)): files.digest(file) for file in found}


def _fill(folder: Path, make: Callable[[Path, Path], None]) -> None:
    log = folder.with_suffix(".log")
    files.remove(log)
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        make(temporary, log)
        (temporary / MANIFEST).write_text(json.dumps(_digests(temporary)))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sources(module: str, root: Path) -> dict[Path, str]:
    """The files that `module` is made from, and the text of each."""
    found: dict[Path, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name, root)
        if file is None or file in found:
            continue
        found[file] = file.read_text(encoding="utf-8")
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        above = name.split(".")[:-1]
        waiting += [".".join(above[: n + 1]) for n in range(len(above))] + _imports(package, found[file])
    return found


def _file(module: str, root: Path) -> Path | None:
    """The file of a first-party module; None for an attribute of one, and for other people's modules."""
    if module.partition(".")[0] not in FIRST_PARTY:
        return None
    path = root.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@functools.cache
def _imports(package: str, text: str) -> list[str]:
    """Modules that a module of `package` imports, by absolute name; of `from a import b`, `a` and `a.b`."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            # one dot is the package itself, each further one the package above
            above = parts[: len(parts) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names
