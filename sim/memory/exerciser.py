"""Controller and chip under random traffic, all in gateware: no Python runs in each cycle."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from nudge.boards.virtual.sdram import Sdram
from nudge.hw.memory.controller import Controller
from nudge.hw.memory.interface import BURST
from nudge.hw.memory.timing import Cycles

#: Address bits of a word in the simulated chip: 8 rows in each bank.
SMALL = 14


class Exerciser(wiring.Component):
    """Random accesses with random gaps, most of them of full length. Read words are discarded.

    Parameters
    ----------
    made : Cycles
        Times of the controller.
    asked : Cycles
        Times that the chip requires.
    way : int
        See `Sdram`.

    Members
    -------
    reads, writes : In(1)
        Enable reads, writes.
    hurry : In(1)
        High: no gaps.
    broken, cycle, bank : Out
        See `Sdram`.
    accesses : Out(32)
        Number of accesses so far.
    """

    def __init__(self, made: Cycles, asked: Cycles, *, way: int = 0):
        self.controller, self.way = Controller(made), way
        self.chip = Sdram(asked, address_bits=SMALL, way=way)
        inputs = dict.fromkeys(("reads", "writes", "hurry"), In(1))
        super().__init__(inputs | {"broken": Out(4), "cycle": Out(32), "bank": Out(2), "accesses": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller = controller = self.controller
        m.submodules.chip = chip = self.chip
        connect(m, controller.pins, chip.pins)
        port, noise = controller.port, Signal(64, init=0x9E3779B97F4A7C15)
        access, asked, gap = port.access, Signal(), Signal(range(64))
        m.d.sync += noise.eq(Cat(noise[63] ^ noise[62] ^ noise[60] ^ noise[59], noise))
        m.d.comb += [
            controller.delay.eq(self.way),
            port.read.ready.eq(1),
            port.write.valid.eq(1),
            port.write.payload.eq(noise[20:36]),
            access.valid.eq(asked),
            self.broken.eq(chip.broken),
            self.cycle.eq(chip.cycle),
            self.bank.eq(chip.bank),
        ]
        full = noise[3:5] != 0
        length, start = Signal(5), Signal(4)
        m.d.comb += [start.eq(noise[7:11]), length.eq(BURST - start)]
        with m.If(gap != 0):
            m.d.sync += gap.eq(gap - 1)
        with m.If(asked & access.ready):
            m.d.sync += [asked.eq(0), self.accesses.eq(self.accesses + 1)]
            with m.If(~self.hurry & noise[0]):
                m.d.sync += gap.eq(noise[40:46])
        with m.Elif(~asked & (gap == 0) & (self.reads | self.writes)):
            m.d.sync += [
                asked.eq(1),
                access.payload.write.eq(self.writes & (noise[11] | ~self.reads)),
                access.payload.address.eq(Cat(start, noise[16:36])),
                access.payload.length.eq(length),
            ]
            with m.If(full):
                m.d.sync += [access.payload.address[:4].eq(0), access.payload.length.eq(BURST)]
        return m
