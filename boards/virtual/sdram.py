"""Simulation model of an SDRAM chip that checks its timing, for benches and the virtual board."""

from amaranth.hdl import Array, Cat, ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.hw.memory.interface import ADDRESS_BITS, BANK_BITS, COLUMN_BITS, WORD_BITS, Command, Pins
from nudge.hw.memory.timing import CAS_LATENCY, Cycles

from .sdram_rules import SdramRules


class Sdram(wiring.Component):
    """A chip connected to `Pins`, with registers for the round-trip delay.

    The data pins have pseudo-random values when no word is read. The simulation must check ``broken`` and
    stop.

    Parameters
    ----------
    cycles : Cycles
        Timing that the chip requires.
    address_bits : int
        Width of a word's address; fewer bits than a chip has keep simulations small: upper bits of the row
        are then ignored.
    way : int
        Round-trip delay in cycles, 0..7: ``delay`` of `hw.memory.controller.Controller`.
    missing : bool
        There is no chip: all words are pseudo-random, and no rule is broken.
    seed : int
        Seed of the pseudo-random words.

    Members
    -------
    pins : In(Pins())
    broken : Out(range(16)), cycle : Out(32), bank : Out(2)
        The first `Rule` that was broken, 0 if none was; the cycle since power-up, and the bank of the command
        that broke it.
    """

    #: Mutants don't change it.
    hardware = False

    def __init__(
        self,
        cycles: Cycles,
        *,
        address_bits: int = ADDRESS_BITS,
        way: int = 0,
        missing: bool = False,
        seed: int = 1,
    ):
        self.rules, self.address_bits, self.way, self.missing, self.seed = (
            SdramRules(cycles),
            address_bits,
            way,
            missing,
            seed,
        )
        super().__init__(
            {"pins": In(Pins()), "broken": Out(range(16)), "cycle": Out(32), "bank": Out(BANK_BITS)}
        )

    def elaborate(self, platform):
        m = Module()
        pins, noise = self.pins, Signal(32, init=self.seed)
        m.submodules.rules = rules = self.rules
        outputs = ("clock_enable", "command", "bank", "address", "mask", "data", "drive")
        m.d.comb += [getattr(rules.pins, name).eq(getattr(pins, name)) for name in outputs]
        m.d.sync += noise.eq(Cat(noise[31] ^ noise[21] ^ noise[1] ^ noise[0], noise))  # maximal LFSR
        with m.If(self.broken == 0):
            m.d.sync += self.cycle.eq(self.cycle + 1)
            if not self.missing:
                m.d.sync += [self.broken.eq(rules.broken), self.bank.eq(pins.bank)]
        word, reading = Signal(WORD_BITS), Signal()
        self._words(m, word, reading)
        shown = Mux(reading, word, noise[:WORD_BITS])
        for stage in range(CAS_LATENCY + self.way):
            before, shown = shown, Signal(WORD_BITS, name=f"way_{stage}")
            m.d.sync += shown.eq(before)
        m.d.comb += pins.captured.eq(shown)
        return m

    def _words(self, m, word, reading):
        """Adds the memory. ``word``: read by the command of the cycle before; ``reading``: it was a READ."""
        if self.missing:
            return
        pins = self.pins
        rows = Array(Signal(len(pins.address), name=f"row_{bank}") for bank in range(1 << BANK_BITS))
        row_bits = self.address_bits - COLUMN_BITS - BANK_BITS
        write = pins.command == Command.WRITE
        with m.If(pins.command == Command.ACTIVATE):
            m.d.sync += rows[pins.bank].eq(pins.address)
        m.d.sync += reading.eq(pins.command == Command.READ)
        m.submodules.chip = Instance(
            "sdram_words",
            p_ADDRESS_BITS=self.address_bits,
            p_COLUMN_BITS=COLUMN_BITS,
            p_BANK_BITS=BANK_BITS,
            p_SEED=self.seed,
            i_clk=ClockSignal(),
            i_address=Cat(pins.address[:COLUMN_BITS], rows[pins.bank][:row_bits], pins.bank),
            i_read=pins.command == Command.READ,
            i_write=Mux(write, ~pins.mask, 0),
            i_data=pins.data,
            i_refresh=pins.command == Command.REFRESH,
            o_q=word,
        )
