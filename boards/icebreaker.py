"""iCEBreaker (1BitSquared): iCE40UP5K, 12 MHz; an FT2232H as serial adapter."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset

from .fpga import Design, Fpga

ICEBREAKER = Fpga(
    name="icebreaker",
    what="iCEBreaker, iCE40UP5K",
    platform=ICEBreakerPlatform,
    baud=1_000_000,
    designs={"tiny": Design(Config(preset("tiny"), (1, 1, 1), compact=True), 18_000_000)},
    flash=("iceprog",),
    usb="0403:6010",
    window=1,
    button=("button", 0),
    leds=(("led_r", 0), ("led_g", 0)),
)
