"""Tang Primer 20K (GW2A-18) on its Dock, and Tang Nano 20K (GW2AR-18C), of Sipeed: grade 8, 27 MHz; the
board's own USB chip loads bitstreams and is the serial adapter.
"""

from dataclasses import replace
from typing import Any

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import GowinPlatform
from amaranth_boards.resources import ButtonResources, LEDResources, UARTResource
from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from .family import Family
from .fpga import Design, Fpga
from .small_ecp5 import FEW

CMOS = Attrs(IO_TYPE="LVCMOS33")


class HimbaechelPlatform(GowinPlatform):
    """A Gowin part, built by nextpnr-himbaechel-gowin; Amaranth's platform calls the older nextpnr-gowin."""

    #: Name of the part's database in nextpnr and apycula.
    database = ""

    @property
    def device(self) -> str:
        """Name of the part, for estimates."""
        return str(self.family)

    @property
    def required_tools(self) -> list[str]:
        return ["yosys", Family.GOWIN.nextpnr, Family.GOWIN.packer]

    @property
    def file_templates(self) -> dict[str, str]:
        templates: dict[str, str] = dict(super().file_templates)
        templates["{{name}}.ys"] = templates["{{name}}.ys"].replace("{{name}}.syn.json", "{{name}}.json")
        return templates

    @property
    def command_templates(self) -> list[str]:
        yosys, *_ = super().command_templates
        return [
            yosys,
            r"""
            {{invoke_tool("nextpnr-himbaechel-gowin")}}
                {{get_override("nextpnr_opts")|options}}
                --log {{name}}.tim
                --sdf {{name}}.sdf
                --device {{platform.part}}
                --vopt family={{platform.database}}
                --vopt cst={{name}}.cst
                --json {{name}}.json
                --write {{name}}.pnr.json
            """,
            r"""
            {{invoke_tool("gowin_pack")}}
                -d {{platform.database}}
                -o {{name}}.fs
                {{get_override("gowin_pack_opts")|options}}
                {{name}}.pnr.json
            """,
        ]


class TangPrimer20kPlatform(HimbaechelPlatform, TangPrimer20kDockPlatform):
    """The Primer's part: GW2A-18C in amaranth_boards, GW2A-18 in apycula's examples, which ran on boards."""

    family = database = "GW2A-18"


# Pins: litex-boards, platforms/sipeed_tang_nano_20k.py
class TangNano20kPlatform(HimbaechelPlatform):
    """The Nano's part, and its pins. The SDRAM in its package isn't used."""

    part, family, database, default_clk = "GW2AR-LV18QN88C8/I7", "GW2AR-18C", "GW2A-18C", "clk27"
    resources: list[Any] = [
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), CMOS),
        UARTResource(0, rx="70", tx="69", attrs=CMOS),
        *ButtonResources(pins="88 87", attrs=CMOS),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=CMOS),
    ]
    connectors: list[Any] = []


TANG_PRIMER_20K = Fpga(
    name="tang-primer-20k",
    what="Tang Primer 20K on its Dock, GW2A-18",
    platform=TangPrimer20kPlatform,
    baud=1_000_000,
    designs={"tiny": Design(FEW, 36_000_000)},
    flash=("openFPGALoader", "--board", "tangprimer20k"),
    usb="0403:6010",
    window=8,  # 16 would take 47 block RAMs, of the part's 46
    button=("button", 0),
    leds=tuple(("led", n) for n in range(6)),
    synth_opts="-family gw2a",
)

TANG_NANO_20K = replace(
    TANG_PRIMER_20K,
    name="tang-nano-20k",
    what="Tang Nano 20K, GW2AR-18C",
    platform=TangNano20kPlatform,
    flash=("openFPGALoader", "--board", "tangnano20k"),
)
