"""iCESugar-Pro (MuseLab): LFE5U-25F, speed grade 6, 25 MHz, 32 MB of SDRAM; serial: the carrier's iCELink."""

from amaranth_boards.icesugar_pro import ICESugarProPlatform

from .fpga import Design, Fpga
from .small_ecp5 import FEW

ICESUGAR_PRO = Fpga(
    name="icesugar-pro",
    what="iCESugar-Pro, LFE5U-25F-6",
    platform=ICESugarProPlatform,
    baud=1_000_000,
    designs={"tiny": Design(FEW, 50_000_000)},
    flash=("openFPGALoader", "--cable", "cmsisdap"),
    usb="1d50:602b",
    window=16,
    leds=(("rgb_led", 0),),
    sdram=("sdram", 0),
    nextpnr_opts="--router router2",
)
