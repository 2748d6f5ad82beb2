"""Icepi Zero: LFE5U-25F, speed grade 6, 50 MHz; an FT231X as serial adapter, 32 MB of SDRAM."""

from amaranth_boards.icepi_zero import IcepiZero1_3Platform

from .fpga import Design, Fpga
from .small_ecp5 import FEW

ICEPI_ZERO = Fpga(
    name="icepi-zero",
    what="Icepi Zero, LFE5U-25F-6",
    platform=IcepiZero1_3Platform,
    baud=3_000_000,  # the maximum of an FT231X
    designs={"tiny": Design(FEW, 60_000_000)},
    flash=("openFPGALoader", "--board", "icepi-zero"),
    usb="0403:6015",
    window=16,
    button=("button", 0),
    leds=tuple(("led", n) for n in range(5)),
    sdram=("sdram", 0),
    # nextpnr chooses X31/Y0/TDCC0, which no register can reach beside the SDRAM's pins at the top
    reset_buffer="X31/Y50/BDCC0",
    nextpnr_opts="--router router2",
)
