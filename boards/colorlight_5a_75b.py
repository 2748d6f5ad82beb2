"""Colorlight 5A-75B, version 7.0: LFE5U-25F, speed grade 6, 25 MHz; external adapters for JTAG and, at the
pins of LED and button, for the serial line.
"""

from amaranth_boards.colorlight_5a75b_r7_0 import Colorlight_5A75B_R70Platform

from .fpga import Design, Fpga
from .small_ecp5 import FEW

# JTAG and ground: https://github.com/q3k/chubby75/blob/master/5a-75b/hardware_V7.0.md
SERIAL = (("TXD", "J19: KEY+"), ("RXD", "J19: DATA_LED-"), ("GND", "J34"))
JTAG = (("TCK", "J27"), ("TMS", "J31"), ("TDI", "J32"), ("TDO", "J30"), ("GND", "J34"))

COLORLIGHT = Fpga(
    name="colorlight-5a-75b",
    what="Colorlight 5A-75B v7.0, LFE5U-25F-6",
    platform=Colorlight_5A75B_R70Platform,
    baud=1_000_000,  # the button's wire has a capacitor on some boards
    designs={"tiny": Design(FEW, 50_000_000)},
    flash=("openFPGALoader", "--cable", "ft232"),
    usb="0403:6014",
    window=16,
    adapter=SERIAL + JTAG,
    nextpnr_opts="--router router2",
)
