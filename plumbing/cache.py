"""The build cache: compiled results, made once for the same inputs and shared by all processes."""

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

from nudge.plumbing import files
from nudge.plumbing.errors import ToolError
from nudge.plumbing.progress import note

#: Folder of the package `nudge`: the checkout, or the environment in which it is installed.
ROOT = Path(__file__).parents[2]

#: This project's packages, whose sources are inputs of builds; other packages count by their version.
FIRST_PARTY = ("nudge", "sim", "tests")

#: Timeout of a build's lock in seconds: a build that takes longer has failed.
BUILD_SECONDS = 1800


def build_root() -> Path:
    """Return the folder of all builds: `NUDGE_BUILD`, else the checkout's build/, else the user's cache.

    Raises `ToolError` for a user without a home directory.
    """
    if os.environ.get("NUDGE_BUILD"):  # an empty value counts as unset
        return Path(os.environ["NUDGE_BUILD"]).absolute()
    if (ROOT / "pyproject.toml").exists():
        return ROOT / "build"
    try:
        return Path.home() / ".cache" / "nudge"
    except RuntimeError:
        raise ToolError("no home directory to keep builds in: set NUDGE_BUILD to a folder, or HOME") from None


def source_files(module: str, root: Path = ROOT) -> list[Path]:
    """Return the first-party files that `module` depends on, sorted: its own and all imported ones,
    transitively, imports inside functions included.

    The files are parsed, not imported. `nudge/__init__.py` isn't followed: it names all that is public, and
    only who asks for a name imports its module. root: the folder of the packages.
    """
    return sorted(_sources(module, root))


def source_texts(module: str, root: Path = ROOT) -> list[str]:
    """Return name and text of each of a module's `source_files`, as `inputs` of `cached` for its results."""
    texts = sorted(_sources(module, root).items())
    return [part for file, text in texts for part in (str(file.relative_to(root)), text)]


def cached(name: str, inputs: Iterable[str | bytes], make: Callable[[Path, Path], None]) -> Path:
    """Return the folder that `make(folder, log)` fills, made once for these inputs.

    Processes that need the same folder wait for the first. `make` works in a temporary folder that is renamed
    when complete, so an interrupted build is never used. A folder whose files have changed is made again.
    Raises `ToolError` if builds can't be stored, as in another user's folder, or if another process holds the
    lock for `BUILD_SECONDS`.
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
        raise ToolError(
            f"another process has been building {folder} for {BUILD_SECONDS} s: stop it and try again"
        ) from None
    except OSError as error:
        raise unkept(root, error) from None
    return folder


#: File in each folder with the digests of all other files.
MANIFEST = "manifest.json"

#: Maximum size of a manifest in bytes.
MAX_MANIFEST = 1 << 24

#: Folders whose digests this process has checked.
_whole: set[Path] = set()


def unkept(root: Path, error: OSError) -> ToolError:
    """Return the error that builds can't be stored in `root`, with the reason."""
    return ToolError(f"builds can't be kept in {root}, which NUDGE_BUILD can change: {error}")


def whole(folder: Path) -> bool:
    """Return whether all files of a folder that `cached` made still have the digests of its manifest."""
    try:
        known = files.read_json(folder / MANIFEST, MAX_MANIFEST, ToolError)
        found = _digests(folder)
        return bool(known) and all(found.get(name) == digest for name, digest in known.items())
    except (OSError, ToolError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, except the manifest, by its relative path."""
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
    """Return the text of each file that `module` depends on, by path."""
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
    """Return the file of a first-party module; None for `nudge`, attributes and other packages' modules."""
    if module == "nudge" or module.partition(".")[0] not in FIRST_PARTY:
        return None
    path = root.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@functools.cache
def _imports(package: str, text: str) -> list[str]:
    """Return the absolute names of a module's imports; `from a import b` gives `a` and `a.b`."""
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
