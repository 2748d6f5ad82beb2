"""ECPIX-5 (LambdaConcept): LFE5UM5G-85F or -45F, speed grade 8, 100 MHz; an FT2232H as serial adapter."""

from dataclasses import replace

from amaranth_boards.ecpix5 import ECPIX545Platform, ECPIX585Platform

from .fpga import Fpga
from .ulx3s import ULX3S, ULX3S_45F

ECPIX5 = Fpga(
    name="ecpix5",
    what="ECPIX-5, LFE5UM5G-85F-8",
    platform=ECPIX585Platform,
    baud=3_000_000,
    designs={name: ULX3S.design(name) for name in ("tiny", "small")},
    network_hz=ULX3S.network_hz,
    flash=("openFPGALoader", "--board", "ecpix5"),
    usb="0403:6010",
    leds=tuple(("rgb_led", n) for n in range(4)),
    synth_opts=ULX3S.synth_opts,
    window=ULX3S.window,
    nextpnr_opts=ULX3S.nextpnr_opts,
)

ECPIX5_45F = replace(
    ECPIX5,
    name="ecpix5-45f",
    what="ECPIX-5, LFE5UM5G-45F-8",
    platform=ECPIX545Platform,
    designs=ULX3S_45F.designs,
)
