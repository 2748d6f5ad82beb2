"""The compact core's single-port memories: in a cycle one word is read or written.

Which words hold what: `memory_map`. What *control* and *result* mean: `datapath`.
"""

from amaranth.hdl import Cat, Signal, signed

from hw.lib.single_port_memory import NIBBLES, WIDTH, SinglePortMemory

from .counters import Counters
from .memory_map import (
    MASTER_BITS,
    PARAMETERS,
    TOP_BITS,
    TOP_NIBBLES,
    WORKING_BITS,
    WORKING_NIBBLES,
    MemoryMap,
    Region,
)

ALL_NIBBLES = (1 << NIBBLES) - 1


class StateMemory:
    """`left` or `right`. Its methods give statements for `m.d.comb`."""

    def __init__(self, m, name, memory_map: MemoryMap):
        self.name = name
        m.submodules[name] = memory = SinglePortMemory()
        #: Control: the word to read or to write; else word 0.
        self.address = Signal(memory_map.address_bits(name), name=f"{name}_address")
        #: Control: write this word; else the cycle reads.
        self.enable, self.word = memory.write, memory.write_data
        #: Result: the word that the cycle before read.
        self.data = memory.read_data
        m.d.comb += [memory.address.eq(self.address), memory.mask.eq(ALL_NIBBLES)]

    def read(self, region: Region, index, bank=0):
        """The word is in `data` in the next cycle."""
        if region.memory != self.name:
            raise ValueError(f"{region.name} is in {region.memory}, not in {self.name}")
        return [self.address.eq(region.address(index, bank))]

    def write(self, region: Region, index, word, *, bank=0, when=1):
        """The word is stored at the end of this cycle."""
        return [*self.read(region, index, bank), self.word.eq(word), self.enable.eq(when)]


class ParameterMemory:
    """`low` and `high`: masters and working copies, at one address."""

    def __init__(self, m, formats, memory_map: MemoryMap, counters: Counters):
        self.region = memory_map.parameters
        m.submodules.low = self.low = SinglePortMemory()
        m.submodules.high = self.high = SinglePortMemory()
        #: Control: the word to read or to write; else that of the parameter at hand.
        self.address = Signal(memory_map.address_bits(PARAMETERS), name="parameter_address")
        #: Results: the static drive, the box that the cycle before read.
        self.static = self.low.read_data[: memory_map.static_drives.bits].as_signed()
        self.box = self.low.read_data[: memory_map.low_boxes.bits]
        #: Result: the master that the cycle before read.
        self.master = Signal(signed(formats.master_bits))
        #: Result: its working copy, if it is a weight's.
        self.weight = Signal(signed(formats.weight_bits))
        working = self.high.read_data[WORKING_BITS]
        m.d.comb += [
            self.low.address.eq(self.address),
            self.high.address.eq(self.address),
            self.low.mask.eq(ALL_NIBBLES),
            self.address.eq(self.region.address(counters.weight, counters.of_image)),
            self.master.eq(Cat(self.low.read_data, self.high.read_data[TOP_BITS]).as_signed()),
            self.weight.eq(working[: formats.weight_bits].as_signed()),
        ]

    def read(self, index, of_image):
        """Statements for `m.d.comb`: another parameter than the one at hand."""
        return [self.address.eq(self.region.address(index, of_image))]

    def read_low(self, region: Region, index):
        """Statements for `m.d.comb`: a word of `low` alone."""
        return [self.address.eq(region.address(index))]

    def write_low(self, region: Region, index, word):
        """Statements for `m.d.comb`: store a word of `low` alone."""
        return [*self.read_low(region, index), self.low.write.eq(1), self.low.write_data.eq(word)]

    def write(self, master, working=None, *, when=1):
        """Statements for `m.d.comb`: store a master, sign-extended, and a working copy if given."""
        bits = Cat(master, master[-1].replicate(MASTER_BITS))[:MASTER_BITS]
        statements = [
            self.low.write.eq(when),
            self.high.write.eq(when),
            self.low.write_data.eq(bits[:WIDTH]),
            self.high.write_data[TOP_BITS].eq(bits[WIDTH:]),
            self.high.mask.eq(TOP_NIBBLES),
        ]
        if working is not None:
            statements.append(self.high.write_data[WORKING_BITS].eq(working))
            statements.append(self.high.mask.eq(TOP_NIBBLES | WORKING_NIBBLES))
        return statements
