"""C++ of ours: compiled when it is first used, loaded through ctypes, many times as fast as torch on small networks.

It needs a C++ compiler (`CXX`, else g++ or clang++); `available()` says whether there is one, and everything works without,
slower. A library is kept in the build cache (`plumbing.cache`) by its sources, the compiler and the processor, since it is
compiled for the machine it runs on.
"""

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from plumbing import children
from plumbing.cache import cached
from plumbing.errors import NativeError, ToolError
from plumbing.progress import note

FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")

#: Name of the library in its folder of the build cache.
LIBRARY = "native.so"

#: A compilation that takes longer than this has gone wrong.
BUILD_SECONDS = 300

#: What it takes: 3 s on one core of a Xeon, more where that has other work to do.
TYPICAL_SECONDS = 5


def sources(folder: Path) -> list[Path]:
    """All files that the library of a folder is made of."""
    return sorted(folder.glob("*.[ch]*"))


def compiler() -> str | None:
    """Path of the C++ compiler, or None."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    return next((path for path in map(shutil.which, names) if path), None)


def available() -> bool:
    """Whether `load` can work here."""
    return compiler() is not None


def _processor() -> str:
    """What -march=native depends on."""
    info = Path("/proc/cpuinfo")
    flags = [line for line in info.read_text().splitlines() if line.startswith(("flags", "Features"))] if info.exists() else []
    return platform.machine() + "".join(flags[:1])


def load(name: str, main: Path, what: str, flags: Iterable[str] = ()) -> ctypes.CDLL:
    """The library of the file `main` and its folder, compiled now if it never was; `NativeError` without a compiler or if that
    fails.

    name: of its folder in the build cache. what: is compiled, in the words of the note that is given then. flags: besides
    `FLAGS`.
    """
    path = compiler()
    if path is None:
        raise NativeError("no C++ compiler found: apt-get install g++, or set CXX")
    version = _run([path, "--version"]).stdout
    parts = [part for file in sources(main.parent) for part in (file.name, file.read_text())]
    flags = (*FLAGS, *flags)
    inputs = [*parts, path, version, _processor(), *flags]
    try:
        folder = cached(name, inputs, lambda folder, log: _compile(path, flags, main, folder / LIBRARY, log, what))
        return ctypes.CDLL(str(folder / LIBRARY))
    except (OSError, ToolError) as error:
        raise NativeError(f"{what} can't be kept or loaded: {error}") from None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A compiler to its end."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        return children.run(command, BUILD_SECONDS, text=True, errors="replace", **pipes)
    except OSError as error:
        raise NativeError(f"{command[0]} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NativeError(f"{command[0]} was not done after {BUILD_SECONDS} s") from None


def structure(name: str, *fields: tuple[str, type]) -> type[ctypes.Structure]:
    """A structure of these fields: names, separated by spaces, and their type."""
    return type(name, (ctypes.Structure,), {"_fields_": [(field, kind) for names, kind in fields for field in names.split()]})


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Of a contiguous tensor, or null."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def pointers(tensors: Iterable[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    """Of contiguous tensors, one after the other."""
    found = [tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * len(found))(*found)


def _compile(path: str, flags: tuple[str, ...], main: Path, target: Path, log: Path, what: str) -> None:
    """Compile `main` to `target` with the compiler `path`, and say so: it takes its time."""
    note(f"compiling {what}, once: about {TYPICAL_SECONDS} s")
    command = [path, *flags, "-o", str(target), str(main)]
    result = _run(command)
    if result.returncode or not target.is_file():
        log.write_text(result.stderr)
        first = next(iter(result.stderr.strip().splitlines()), f"exit status {result.returncode}")
        first = children.killed(result.returncode) or first
        raise NativeError(f"{path} failed on {main}: {first} (all of it: {log})")
