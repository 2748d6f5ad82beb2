"""What a board with a real part says of itself, and what is built for it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from amaranth.build import Resource

from golden.contract.config import Config, check_depth, check_schedule, configuration
from golden.contract.presets import PRESETS
from golden.contract.protocol import WINDOW
from golden.contract.spec import Spec
from golden.contract.stored import storable
from plumbing.errors import DesignError

from . import BoardFacts
from .family import Family

#: Largest error of the serial rate. 8N1 bears about 5 % between both ends, most of which belongs to
#: an adapter's own clock and to slow edges on the wire; a core's clock can always be chosen closer.
BAUD_TOLERANCE = 0.005

#: A resource of the platform: its name and number.
ResourceName = tuple[str, int]


@dataclass(frozen=True)
class Design:
    """What is built for one preset."""

    #: Lanes and engines of the accelerator.
    config: Config
    clock_hz: int
    #: Where wires are scarce: spacers (`boards.toolchain.spacers`) for each flip-flop.
    spacers: Fraction = Fraction(0)
    #: Of placement, unless another is asked for: one that is known to be routed, where there is one.
    seed: int = 1


@dataclass(frozen=True)
class Fpga:
    """A board with a real part. `boards.catalog` finds those that a file of this package defines.

    Raises `DesignError` for a name or a USB number that nothing could match, for no design, and for a platform whose part
    no bitstream can be made for.
    """

    #: Lower case, digits and hyphens.
    name: str
    #: Board and part, for people.
    what: str
    #: Makes its Amaranth platform, which has the part and the pins.
    platform: Callable[[], Any]
    #: Bits per second of its serial adapter.
    baud: int
    #: What it can be built for, by preset, the smallest first.
    designs: Mapping[str, Design]
    #: The command that loads a bitstream, whose file name is put at the end.
    flash: tuple[str, ...] = ()
    #: What `lsusb` shows while it can be loaded, vendor:product.
    usb: str | None = None
    #: What else has to be done for that, put behind "plug it in".
    hint: str = ""
    uart: ResourceName = ("uart", 0)
    #: Resets the core while it is pressed.
    button: ResourceName | None = None
    #: They show, in this order and as far as there are any: an error, the core is busy, and each
    #: phase, as bright as its share of the time. A resource of three colours is three LEDs.
    leds: tuple[ResourceName, ...] = ()
    #: Pins that the platform has no name for.
    resources: tuple[Resource, ...] = ()
    #: SDRAM of 32 MB, 16 bits wide.
    sdram: ResourceName | None = None
    #: Requests in flight, which cost block RAM.
    window: int = WINDOW
    #: Options of Yosys' synthesis command.
    synth_opts: str = ""
    nextpnr_opts: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise DesignError(
                f"a board's name must be lower case, digits and hyphens, not {self.name!r}"
            )
        if self.usb is not None and not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", self.usb):
            raise DesignError(
                f"{self.name}: usb must be like 0403:6015, in lower case, not {self.usb!r}"
            )
        if not self.designs:
            raise DesignError(f"{self.name}: designs must have at least one preset")
        try:
            _ = self.family
        except DesignError as error:
            raise DesignError(f"{self.name}: {error}") from None

    @cached_property
    def family(self) -> Family:
        """The family of the platform's part."""
        return Family.of(self.platform())

    def design(self, preset: str) -> Design:
        """What is built for a preset; `DesignError` if this board has no design for it."""
        if preset not in self.designs:
            wrong = f"{self.name} has no design for preset" if preset in PRESETS else "unknown preset"
            raise DesignError(f"{wrong} {preset!r}: {self.name} has those for {', '.join(self.designs)}")
        return self.designs[preset]

    def with_network(self, spec: Spec) -> "Fpga":
        """The board with one design, that of a network from a file: its `[lanes.BOARD]`, else `[lanes.event]`, else one lane.

        The core's clock is `clock` of `[lanes.BOARD]`, else that of the board's largest preset. Raises `ConfigError` for a
        network that no gateware has.
        """
        check_schedule(spec)
        check_depth(spec)
        model, own = self.designs[self.largest], dict(spec.lanes).get(self.name)
        if model.config.compact:
            config = Config(spec, (1,) * len(spec.layers), compact=True)
        else:
            config = configuration(spec, "event", self.name)
        clock_hz = model.clock_hz if own is None or own.clock is None else own.clock
        return replace(self, designs={spec.name: replace(model, config=config, clock_hz=clock_hz, seed=1)})

    @property
    def largest(self) -> str:
        """The last preset that it takes."""
        return list(self.designs)[-1]

    def facts(self, preset: str) -> BoardFacts:
        """Clock, divisor and memory of the board when it is built for a preset."""
        clock_hz = self.design(preset).clock_hz
        divisor = round(clock_hz / self.baud)
        if divisor < 8 or abs(clock_hz / divisor / self.baud - 1) > BAUD_TOLERANCE:
            made = f"{self.name}: {clock_hz / 1e6:g} MHz can't make {self.baud} baud"
            raise DesignError(f"{made} within {BAUD_TOLERANCE:.1%}")
        return BoardFacts(self.name, clock_hz, divisor, self.window, self.stores(self.design(preset).config.spec))

    def stores(self, spec: Spec) -> bool:
        """Whether it keeps samples of this network in a memory of its own."""
        return self.sdram is not None and storable(spec.input)
