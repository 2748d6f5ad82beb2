"""OrangeCrab r0.2 (Good Stuff Department): LFE5U-25F, speed grade 8, 48 MHz; an external serial adapter."""

from amaranth.build import Attrs
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import UARTResource

from .fpga import Design, Fpga
from .small_ecp5 import FEW

ORANGECRAB = Fpga(
    name="orangecrab",
    what="OrangeCrab r0.2, LFE5U-25F-8",
    platform=OrangeCrabR0_2_25FPlatform,
    baud=3_000_000,  # FT231X, FT232R and FT232H support it
    # seed 1 places the buffer of the reset where no wire can reach it
    designs={"tiny": Design(FEW, 48_000_000, seed=2)},
    flash=("dfu-util", "--alt", "0", "--download"),
    usb="1209:5af0",
    window=16,  # 32 would take 10 more block RAMs than the part has left
    button=("button", 0),
    leds=(("rgb_led", 0),),
    hint=" while holding its button, so that its boot loader runs",
    resources=(UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),),
    adapter=(("TXD", "0"), ("RXD", "1"), ("GND", "GND")),
    nextpnr_opts="--router router2",
)
