"""Puts a bitstream onto a board, and asks the board afterwards whether it is that one."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serial.tools import list_ports

from golden.contract.spec import Spec
from plumbing import children
from plumbing.errors import IdentityError, LinkError, ToolError
from plumbing.programs import LOADERS

from .serial import SerialBoard

#: Seconds for a loader: the slowest writes some MB of flash at 1 MB in ten seconds.
LOADER_SECONDS = 180

#: Where Linux lists what is plugged in.
USB = Path("/sys/bus/usb/devices")


def require_loader(command: Sequence[str]) -> None:
    """`ToolError` unless the command's program is on the PATH; it says how to get those known."""
    program = command[0]
    if shutil.which(program) is None:
        package = LOADERS.get(program)
        hint = f"apt-get install {package}" if package else "put it on the PATH"
        raise ToolError(f"{program} not found: {hint}")


def plugged_in(usb: str, devices: Path = USB) -> bool | None:
    """Whether a device `vendor:product` is plugged in; None where that can't be told."""
    if not devices.is_dir():
        return None
    vendor, product = usb.split(":")

    def is_it(device: Path) -> bool:
        found = ((device / "idVendor", vendor), (device / "idProduct", product))
        return all(file.exists() and file.read_text().strip() == value for file, value in found)

    return any(is_it(device) for device in devices.iterdir())


def serial_port(usb: str) -> str | None:
    """The device path of the board's own serial adapter: of several ports the last, where FTDI's two-port chips have it."""
    vendor, product = (int(part, 16) for part in usb.split(":"))
    ports = sorted(port.device for port in list_ports.comports() if (port.vid, port.pid) == (vendor, product))
    return ports[-1] if ports else None


def load(command: Sequence[str], bitstream: Path) -> None:
    """Runs the loader with the bitstream's file name at its end; `LinkError` quotes its last line."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        done = children.run([*command, str(bitstream)], LOADER_SECONDS, text=True, errors="replace", **pipes)
    except OSError as error:
        raise LinkError(f"{command[0]} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise LinkError(f"{command[0]} was not done after {LOADER_SECONDS} s: plug the board in again") from None
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["it said nothing"]
        why = children.killed(done.returncode) or f"status {done.returncode}: {lines[-1].strip()}"
        raise LinkError(f"{command[0]} failed: {why}")


def verify(port: str, spec: Spec, build: int, seed: int) -> None:
    """Asks the board at a port what it is. `IdentityError` unless it runs this very bitstream."""
    with SerialBoard(port, spec) as board:
        found = board.read_register("build"), board.read_register("build_seed")
    if found != (build, seed):
        theirs, ours = (f"build {number:08x} seed {place}" for number, place in (found, (build, seed)))
        raise IdentityError(f"{port}: the board still runs {theirs}, not {ours}: press its reset or plug it in again")
