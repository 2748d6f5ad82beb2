"""A `Memory` with its chip, for benches."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.boards.virtual.sdram import Sdram
from nudge.hw.memory.controller import DELAYS
from nudge.hw.memory.interface import Command, Port
from nudge.hw.memory.memory import Memory
from nudge.hw.memory.timing import Cycles

#: Times as on a board at 48 MHz, but with a shorter wait after power-up.
CYCLES = Cycles(rcd=2, rp=2, ras=3, rc=4, rfc=4, wr=2, mrd=2, refresh=374, power_up=50)


class MemoryAndChip(wiring.Component):
    """`Memory` connected to a `Sdram` with these options. ``broken``, ``cycle`` and ``bank`` are the chip's
    outputs.

    ``refreshes`` is high in the cycle of each REFRESH.
    """

    def __init__(self, **options):
        self.memory, self.chip = Memory(CYCLES), Sdram(CYCLES, **options)
        outputs = {
            "ready": 1,
            "works": 1,
            "refreshes": 1,
            "delay": range(DELAYS),
            "broken": 4,
            "cycle": 32,
            "bank": 2,
        }
        super().__init__({"port": In(Port())} | {name: Out(shape) for name, shape in outputs.items()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory, m.submodules.chip = memory, chip = self.memory, self.chip
        connect(m, memory.pins, chip.pins)
        connect(m, flipped(self.port), memory.port)
        for name in ("ready", "works", "delay"):
            m.d.comb += getattr(self, name).eq(getattr(memory, name))
        for name in ("broken", "cycle", "bank"):
            m.d.comb += getattr(self, name).eq(getattr(chip, name))
        m.d.comb += self.refreshes.eq(memory.pins.command == Command.REFRESH)
        return m
