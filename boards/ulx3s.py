"""ULX3S (Radiona): LFE5U-85F, -45F or -25F, speed grade 6, 25 MHz, 32 MB of SDRAM; serial: an FT231X."""

from dataclasses import replace
from fractions import Fraction

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_45F_Platform, ULX3S_85F_Platform

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset

from .fpga import Design, Fpga
from .small_ecp5 import FEW

ULX3S = Fpga(
    name="ulx3s",
    what="ULX3S, LFE5U-85F-6",
    platform=ULX3S_85F_Platform,
    baud=3_000_000,  # the maximum of an FT231X
    designs={
        # 60 MHz makes 3 Mbaud exactly, with the PLL's phase detector at 25 MHz
        "tiny": Design(configuration(preset("tiny"), "event"), 60_000_000),
        "small": Design(configuration(preset("small"), "event"), 60_000_000, spacers=Fraction(1, 2)),
        "cifar": Design(
            configuration(preset("cifar"), "event"), 41_964_286, spacers=Fraction(1, 3), slow=True
        ),
        "medium": Design(configuration(preset("medium"), "event"), 54_166_667, spacers=Fraction(1, 3)),
    },
    network_hz=48_076_923,  # 625 MHz / 13, and 3 Mbaud + 0.2 %
    network_spacers=Fraction(1, 2),
    flash=("openFPGALoader", "--board", "ulx3s"),
    usb="0403:6015",
    window=32,  # at 3 Mbaud the host sends 25 digits while the adapter holds an answer back
    button=("button", 0),
    leds=tuple(("led", n) for n in (7, 6, 0, 1, 2, 3, 4, 5)),
    sdram=("sdram", 0),
    # GPIO0 of the ESP32: while it is low, the firmware on older boards resets the FPGA seconds after loading
    high=(("awake", 0),),
    resources=(Resource("awake", 0, Pins("L2", dir="o"), Attrs(IO_TYPE="LVCMOS33")),),
    # LUT4 only: wider LUTs force several cells to be placed together
    synth_opts="-abc9 -nowidelut",
    # nextpnr's default, router1, doesn't terminate where wires are scarce
    nextpnr_opts="--router router2",
)

DESIGNS = {"tiny": Design(FEW, 60_000_000)}
ULX3S_45F = replace(
    ULX3S,
    name="ulx3s-45f",
    what="ULX3S, LFE5U-45F-6",
    platform=ULX3S_45F_Platform,
    designs=DESIGNS,
)
ULX3S_25F = replace(
    ULX3S_45F,
    name="ulx3s-25f",
    what="ULX3S, LFE5U-25F-6",
    platform=ULX3S_25F_Platform,
    window=16,
)
