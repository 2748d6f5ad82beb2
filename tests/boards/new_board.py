"""A board in a single file, without button and LEDs, and with a loader that isn't in `plumbing.programs`."""

import sys
from pathlib import Path

from nudge import boards

FILE = '''
"""A bare part with an oscillator and a serial adapter."""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import UARTResource

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset

from .fpga import Design, Fpga

CMOS = Attrs(IO_TYPE="LVCMOS33")


class BarePlatform(LatticeECP5Platform):
    device, package, speed, default_clk = "LFE5U-85F", "BG381", "6", "clk"
    resources = [Resource("clk", 0, Pins("G2", dir="i"), Clock(25e6), CMOS)]
    connectors = []


BARE = Fpga(
    name="bare",
    what="Lattice ECP5 on a breadboard",
    platform=BarePlatform,
    baud=1_000_000,
    designs={"tiny": Design(Config(preset("tiny"), (1, 1, 1), compact=True), 24_000_000)},
    flash=("ecpprog",),
    resources=(UARTResource(3, rx="M1", tx="L4", attrs=CMOS),),
    uart=("uart", 3),
    window=1,
)
'''


def add_board(folder: Path, monkeypatch, file: str = FILE) -> None:
    """Write `bare.py` into a folder, and add the folder to the package `nudge.boards` during the test."""
    folder.mkdir(exist_ok=True)
    (folder / "bare.py").write_text(file)
    monkeypatch.setattr(boards, "__path__", [*boards.__path__, str(folder)])
    # monkeypatch then removes the imported module after the test
    monkeypatch.setitem(sys.modules, "nudge.boards.bare", None)
    monkeypatch.delitem(sys.modules, "nudge.boards.bare")
