"""Loads a bitstream onto a board, and checks afterwards that the board runs it."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serial.tools import list_ports

from nudge.golden.contract.spec import Spec
from nudge.plumbing import children
from nudge.plumbing.errors import IdentityError, LinkError, ToolError
from nudge.plumbing.programs import LOADERS

from .serial import SerialBoard

#: Time limit for a loader in seconds: the slowest writes a few MB of flash, 1 MB in ten seconds.
LOADER_SECONDS = 180

#: Folder in which Linux lists USB devices.
USB = Path("/sys/bus/usb/devices")


def require_loader(command: Sequence[str]) -> None:
    """Raise `ToolError`, with the package to install, unless the command's program is on the PATH."""
    program = command[0]
    if shutil.which(program) is None:
        package = LOADERS.get(program)
        hint = f"apt-get install {package}" if package else "put it on the PATH"
        raise ToolError(f"{program} not found: {hint}")


def plugged_in(usb: str, devices: Path = USB) -> bool | None:
    """Return whether a USB device `vendor:product` is plugged in; None without the folder `devices`."""
    if not devices.is_dir():
        return None
    vendor, product = usb.split(":")

    def is_it(device: Path) -> bool:
        found = ((device / "idVendor", vendor), (device / "idProduct", product))
        return all(file.exists() and file.read_text().strip() == value for file, value in found)

    return any(is_it(device) for device in devices.iterdir())


def serial_port(usb: str) -> str | None:
    """Return the device path of the serial adapter `vendor:product` on the board, or None without one.

    If it has several ports, the last: the UART of FTDI's two-port chips.
    """
    vendor, product = (int(part, 16) for part in usb.split(":"))
    ports = sorted(port.device for port in list_ports.comports() if (port.vid, port.pid) == (vendor, product))
    return ports[-1] if ports else None


def load(command: Sequence[str], bitstream: Path) -> None:
    """Runs the loader on the bitstream; if it fails, `LinkError` quotes the last line of its output."""
    pipes: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    try:
        done = children.run([*command, str(bitstream)], LOADER_SECONDS, text=True, errors="replace", **pipes)
    except OSError as error:
        raise LinkError(f"{command[0]} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise LinkError(
            f"{command[0]} was not done after {LOADER_SECONDS} s: plug the board in again"
        ) from None
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["it said nothing"]
        why = children.killed(done.returncode) or f"status {done.returncode}: {lines[-1].strip()}"
        raise LinkError(f"{command[0]} failed: {why}")


def verify(port: str, spec: Spec, build: int, seed: int) -> None:
    """Reads a board's registers `build` and `build_seed`; `IdentityError` if they aren't the bitstream's."""
    with SerialBoard(port, spec) as board:
        found = board.read_register("build"), board.read_register("build_seed")
    if found != (build, seed):
        theirs, ours = (f"build {number:08x} seed {place}" for number, place in (found, (build, seed)))
        raise IdentityError(
            f"{port}: the board still runs {theirs}, not {ours}: press its reset or plug it in again"
        )
