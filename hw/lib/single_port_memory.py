"""A large memory with one port, such as the iCE40UP's SPRAM."""

from amaranth.hdl import ClockSignal, Const, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .block_memory import WrittenMemory

#: Words of 16 bits in one SB_SPRAM256KA.
DEPTH, WIDTH, NIBBLES = 1 << 14, 16, 4


class SinglePortMemory(wiring.Component):
    """16,384 words of 16 bits; each cycle reads one word or writes nibbles of one word. Initially undefined.

    Members
    -------
    address : In(14), write : In(1), mask : In(4), write_data : In(16)
        Nibble n is written where bit n of ``mask`` is set.
    read_data : Out(16)
        The word at the address of the cycle before, if that cycle didn't write; else unknown.
    """

    def __init__(self):
        super().__init__(
            {
                "address": In(range(DEPTH)),
                "write": In(1),
                "mask": In(NIBBLES),
                "write_data": In(WIDTH),
                "read_data": Out(WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if not getattr(platform, "device", "").startswith("iCE40UP"):
            m.submodules.memory = memory = WrittenMemory(shape=WIDTH, depth=DEPTH)
            read, write = memory.read_port(), memory.write_port(granularity=WIDTH // NIBBLES)
            m.d.comb += [
                read.addr.eq(self.address),
                read.en.eq(~self.write),
                self.read_data.eq(read.data),
                write.addr.eq(self.address),
                write.data.eq(self.write_data),
                write.en.eq(self.mask & self.write.replicate(NIBBLES)),
            ]
            return m
        m.submodules.memory = Instance(
            "SB_SPRAM256KA",
            i_ADDRESS=self.address,
            i_DATAIN=self.write_data,
            i_MASKWREN=self.mask,
            i_WREN=self.write,
            i_CHIPSELECT=Const(1),
            i_CLOCK=ClockSignal("sync"),
            i_STANDBY=Const(0),
            i_SLEEP=Const(0),
            i_POWEROFF=Const(1),  # active low
            o_DATAOUT=self.read_data,
        )
        return m
