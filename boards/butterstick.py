"""ButterStick r1.0 (Good Stuff Department): LFE5UM5G-85F, speed grade 8, 30 MHz; an external serial adapter
at its I2C connector, whose voltage is always 3.3 V.
"""

from amaranth.build import Attrs
from amaranth_boards.butterstick import ButterStickPlatform
from amaranth_boards.resources import UARTResource

from .fpga import Fpga
from .ulx3s import ULX3S

BUTTERSTICK = Fpga(
    name="butterstick",
    what="ButterStick r1.0, LFE5UM5G-85F-8",
    platform=ButterStickPlatform,
    baud=3_000_000,  # FT231X, FT232R and FT232H support it
    designs={name: ULX3S.design(name) for name in ("tiny", "small")},
    network_hz=ULX3S.network_hz,
    flash=("dfu-util", "--alt", "0", "--download"),
    usb="1209:5af1",
    button=("button", 0),
    resources=(UARTResource(0, rx="E14", tx="C14", attrs=Attrs(IO_TYPE="LVCMOS33")),),
    adapter=(("TXD", "I2C: SCL"), ("RXD", "I2C: SDA"), ("GND", "I2C: GND")),
    hint=" while holding its button 0, so that its boot loader runs",
    synth_opts=ULX3S.synth_opts,
    window=ULX3S.window,
    nextpnr_opts=ULX3S.nextpnr_opts,
)
