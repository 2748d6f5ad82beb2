"""Colorlight i5 v7.0, LFE5U-25F, and i9 v7.2, LFE5U-45F, on MuseLab's carrier: speed grade 6, 25 MHz; the
carrier's DAPLink loads bitstreams and is the serial adapter.
"""

from dataclasses import replace
from typing import Any

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import LEDResources, UARTResource

from .fpga import Design, Fpga
from .small_ecp5 import FEW

CMOS = Attrs(IO_TYPE="LVCMOS33")


# Pins: https://github.com/wuxx/Colorlight-FPGA-Projects, and litex-boards, platforms/colorlight_i5.py
class I5Platform(LatticeECP5Platform):
    """The i5's part, and the pins that both modules share."""

    device, package, speed, default_clk = "LFE5U-25F", "BG381", "6", "clk25"
    resources: list[Any] = [
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), CMOS),
        Resource("button", 0, PinsN("K18", dir="i"), Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),
        UARTResource(0, rx="H18", tx="J17", attrs=CMOS),
    ]
    connectors: list[Any] = []


class I9Platform(I5Platform):
    """The i9's part."""

    device = "LFE5U-45F"


I5 = Fpga(
    name="colorlight-i5",
    what="Colorlight i5 v7.0, LFE5U-25F-6",
    platform=I5Platform,
    baud=1_000_000,
    designs={"tiny": Design(FEW, 50_000_000)},
    flash=("openFPGALoader", "--cable", "cmsisdap"),
    usb="0d28:0204",
    window=16,
    button=("button", 0),
    leds=(("led", 0),),
    resources=(*LEDResources(pins="U16", invert=True, attrs=CMOS),),
    nextpnr_opts="--router router2",
)

I9 = replace(
    I5,
    name="colorlight-i9",
    what="Colorlight i9 v7.2, LFE5U-45F-6",
    platform=I9Platform,
    resources=(*LEDResources(pins="L2", invert=True, attrs=CMOS),),
)
