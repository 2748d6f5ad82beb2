"""Boards with a real part: their pins, clocks and programs, and the design of each preset."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from amaranth.build import Resource

from nudge.golden.contract.config import Config, check_depth, check_schedule, configuration
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.protocol import WINDOW
from nudge.golden.contract.spec import Spec
from nudge.golden.contract.stored import storable
from nudge.plumbing.errors import DesignError

from . import BoardFacts
from .family import Family

#: Largest relative error of the serial rate. 8N1 tolerates about 5 % between both ends; most of that is
#: needed for the adapter's own clock and for slow edges on the wire. A core clock within this bound can
#: always be chosen.
BAUD_TOLERANCE = 0.005

#: Name and number of a resource of the platform.
ResourceName = tuple[str, int]


@dataclass(frozen=True)
class Design:
    """The design that a board is built with for one preset."""

    #: Lanes and engines of the accelerator.
    config: Config
    clock_hz: int
    #: Spacers per flip-flop (`boards.toolchain.spacers`), for designs that run short of wires.
    spacers: Fraction = Fraction(0)
    #: Whether router2 raises the cost of shared wires slowly (`boards.toolchain.router.slow`), for designs
    #: that aren't routed otherwise.
    slow: bool = False
    #: Default seed of placement: a seed that is known to route, if one is known.
    seed: int = 1


@dataclass(frozen=True)
class Fpga:
    """A board with a real part. `boards.catalog` collects those that are defined in a file of this package.

    Raises `DesignError` for a malformed name or USB number, for an empty `designs`, and for a platform whose
    part belongs to none of the families in `Family`.
    """

    #: Name of the board: lower case, digits and hyphens.
    name: str
    #: Board and part, as shown to users.
    what: str
    #: Constructor of the Amaranth platform, which defines the part and the pins.
    platform: Callable[[], Any]
    #: Bits per second of the serial adapter.
    baud: int
    #: The design of each preset that the board can be built for, the smallest first.
    designs: Mapping[str, Design]
    #: Command that loads a bitstream; the bitstream's file name is appended.
    flash: tuple[str, ...] = ()
    #: USB number (vendor:product) that `lsusb` shows while the board can be loaded.
    usb: str | None = None
    #: Further instruction for the user, appended to "plug it in".
    hint: str = ""
    #: The serial line.
    uart: ResourceName = ("uart", 0)
    #: Wires of external adapters: the adapter's signal, and the label of the board's pin. An adapter's wires
    #: end with GND.
    adapter: tuple[tuple[str, str], ...] = ()
    #: Button that resets the core while it is pressed.
    button: ResourceName | None = None
    #: LEDs that show, in this order: error, core busy, then each phase, lit for its share of the time.
    #: Signals without an LED are not shown. A resource of three colours counts as three LEDs.
    leds: tuple[ResourceName, ...] = ()
    #: Outputs that are always high.
    high: tuple[ResourceName, ...] = ()
    #: Pins that the platform doesn't name.
    resources: tuple[Resource, ...] = ()
    #: nextpnr's name of the ECP5's DCCA that carries the reset; None: nextpnr's choice.
    reset_buffer: str | None = None
    #: SDRAM of 32 MB, 16 bits wide.
    sdram: ResourceName | None = None
    #: Requests that a host may send before the first answer; each costs block RAM.
    window: int = WINDOW
    #: Core clock and spacers of networks from files; None: those of the largest preset.
    network_hz: int | None = None
    network_spacers: Fraction | None = None
    #: Options of Yosys' synthesis command.
    synth_opts: str = ""
    #: Options of nextpnr.
    nextpnr_opts: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise DesignError(f"a board's name must be lower case, digits and hyphens, not {self.name!r}")
        if self.usb is not None and not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", self.usb):
            raise DesignError(f"{self.name}: usb must be like 0403:6015, in lower case, not {self.usb!r}")
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
        """Return the design for a preset; `DesignError` if this board has none for it."""
        if preset not in self.designs:
            wrong = f"{self.name} has no design for preset" if preset in PRESETS else "unknown preset"
            raise DesignError(f"{wrong} {preset!r}: {self.name} has those for {', '.join(self.designs)}")
        return self.designs[preset]

    def with_network(self, spec: Spec) -> "Fpga":
        """Return the board with a single design: that of a network from a file.

        Lanes are those of the file's `[lanes.BOARD]`, else of `[lanes.event]`, else one for each layer;
        always one if the board's largest preset uses the compact core. The core's clock is `clock` of
        `[lanes.BOARD]`, else `network_hz`; spacers are `network_spacers`. Raises `ConfigError` for a network
        that the gateware can't run.
        """
        check_schedule(spec)
        check_depth(spec)
        model, own = self.designs[self.largest], dict(spec.lanes).get(self.name)
        if model.config.compact:
            config = Config(spec, (1,) * len(spec.layers), compact=True)
        else:
            config = configuration(spec, "event", self.name)
        clock_hz = (own and own.clock) or self.network_hz or model.clock_hz
        spacers = model.spacers if self.network_spacers is None else self.network_spacers
        return replace(self, designs={spec.name: Design(config, clock_hz, spacers)})

    @property
    def largest(self) -> str:
        """The last preset of `designs`."""
        return list(self.designs)[-1]

    def facts(self, preset: str) -> BoardFacts:
        """Return clock, divisor, window and memory of the board when it is built for a preset.

        Raises `DesignError` if the clock can't make the serial rate within `BAUD_TOLERANCE` with 8 or more
        cycles per bit.
        """
        clock_hz = self.design(preset).clock_hz
        divisor = round(clock_hz / self.baud)
        if divisor < 8 or abs(clock_hz / divisor / self.baud - 1) > BAUD_TOLERANCE:
            made = f"{self.name}: {clock_hz / 1e6:g} MHz can't make {self.baud} baud"
            raise DesignError(f"{made} within {BAUD_TOLERANCE:.1%}")
        return BoardFacts(
            self.name, clock_hz, divisor, self.window, self.stores(self.design(preset).config.spec)
        )

    def stores(self, spec: Spec) -> bool:
        """Return whether the board has a memory in which samples of this network can be stored."""
        return self.sdram is not None and storable(spec.input)
