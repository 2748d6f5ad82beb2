"""This project's C++ libraries: compiled at the first use, loaded by ctypes, and many times as fast as torch.

They need a C++ compiler (`CXX`, else g++ or clang++); without one (`available()` is False) everything works,
but more slowly. A library is compiled for the processor it runs on, so its key in the build cache
(`plumbing.cache`) is its sources, the compiler and the processor.
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

from nudge.plumbing import children
from nudge.plumbing.cache import cached
from nudge.plumbing.errors import NativeError, ToolError
from nudge.plumbing.progress import note

FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")

#: Name of the library in its folder of the build cache.
LIBRARY = "native.so"

#: Timeout of a compilation in seconds.
BUILD_SECONDS = 300

#: Typical time of a compilation in seconds: 3 s on one core of a Xeon, more on a busy one.
TYPICAL_SECONDS = 5


def sources(folder: Path) -> list[Path]:
    """Return all source files of the library of a folder."""
    return sorted(folder.glob("*.[ch]*"))


def compiler() -> str | None:
    """Return the path of the C++ compiler, or None."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    return next((path for path in map(shutil.which, names) if path), None)


def available() -> bool:
    """Return whether there is a compiler for `load`."""
    return compiler() is not None


def _processor() -> str:
    """Return the machine and the processor's feature flags, which -march=native depends on."""
    info = Path("/proc/cpuinfo")
    flags = (
        [line for line in info.read_text().splitlines() if line.startswith(("flags", "Features"))]
        if info.exists()
        else []
    )
    return platform.machine() + "".join(flags[:1])


def load(name: str, main: Path, what: str) -> ctypes.CDLL:
    """Return the library of `main` and the headers in its folder, compiled now unless in the build cache.

    name: prefix of its folder in the build cache. what: name of the library in notes and errors. Raises
    `NativeError` without a compiler, or if the compilation fails.
    """
    path = compiler()
    if path is None:
        raise NativeError("no C++ compiler found: apt-get install g++, or set CXX")
    version = _run([path, "--version"]).stdout
    parts = [part for file in sources(main.parent) for part in (file.name, file.read_text())]
    inputs = [*parts, path, version, _processor(), *FLAGS]
    try:
        folder = cached(name, inputs, lambda folder, log: _compile(path, main, folder / LIBRARY, log, what))
        return ctypes.CDLL(str(folder / LIBRARY))
    except (OSError, ToolError) as error:
        raise NativeError(f"{what} can't be kept or loaded: {error}") from None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a compiler to its end."""
    pipes: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    try:
        return children.run(command, BUILD_SECONDS, text=True, errors="replace", **pipes)
    except OSError as error:
        raise NativeError(f"{command[0]} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NativeError(f"{command[0]} was not done after {BUILD_SECONDS} s") from None


def structure(name: str, *fields: tuple[str, type]) -> type[ctypes.Structure]:
    """Return a ctypes structure. fields: names, separated by spaces, and their type."""
    return type(
        name,
        (ctypes.Structure,),
        {"_fields_": [(field, kind) for names, kind in fields for field in names.split()]},
    )


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Return the address of a contiguous tensor, null for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def pointers(tensors: Iterable[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    """Return the array of the addresses of contiguous tensors."""
    found = [tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * len(found))(*found)


def _compile(path: str, main: Path, target: Path, log: Path, what: str) -> None:
    """Compile `main` to `target` with the compiler `path`, with a note, since it takes seconds."""
    note(f"compiling {what}, once: about {TYPICAL_SECONDS} s")
    command = [path, *FLAGS, "-o", str(target), str(main)]
    result = _run(command)
    if result.returncode or not target.is_file():
        log.write_text(result.stderr)
        first = next(iter(result.stderr.strip().splitlines()), f"exit status {result.returncode}")
        first = children.killed(result.returncode) or first
        raise NativeError(f"{path} failed on {main}: {first} (all of it: {log})")
