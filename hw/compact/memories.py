"""The compact core's single-port memories: each reads or writes one word in a cycle.

`memory_map` has the address of each quantity; *control* and *result* are defined in `datapath`.
"""

from amaranth.hdl import Cat, Signal, signed

from nudge.hw.lib.single_port_memory import NIBBLES, WIDTH, SinglePortMemory

from .loop_counters import LoopCounters
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
    """Memory `left` or `right`. Its methods return statements for `m.d.comb`."""

    def __init__(self, m, name, memory_map: MemoryMap):
        self.name = name
        m.submodules[name] = memory = SinglePortMemory()
        #: Control: address of the word to read or write; else 0.
        self.address = Signal(memory_map.address_bits(name), name=f"{name}_address")
        #: Controls: write enable, else the cycle reads; the word to write.
        self.enable, self.word = memory.write, memory.write_data
        #: Result: the word that the previous cycle read.
        self.data = memory.read_data
        m.d.comb += [memory.address.eq(self.address), memory.mask.eq(ALL_NIBBLES)]

    def read(self, region: Region, index, bank=0):
        """Read a word; it is in `data` in the next cycle."""
        if region.memory != self.name:
            raise ValueError(f"{region.name} is in {region.memory}, not in {self.name}")
        return [self.address.eq(region.address(index, bank))]

    def write(self, region: Region, index, word, *, bank=0, when=1):
        """Store a word at the end of this cycle, if ``when``."""
        return [*self.read(region, index, bank), self.word.eq(word), self.enable.eq(when)]


class ParameterMemory:
    """Memories `low` and `high` with a common address: masters and working copies."""

    def __init__(self, m, formats, memory_map: MemoryMap, counters: LoopCounters):
        self.region = memory_map.parameters
        m.submodules.low = self.low = SinglePortMemory()
        m.submodules.high = self.high = SinglePortMemory()
        #: Control: address of the word to read or write; else that of the current parameter.
        self.address = Signal(memory_map.address_bits(PARAMETERS), name="parameter_address")
        #: Results: the word that the previous cycle read, as a static drive, and as a box.
        self.static = self.low.read_data[: memory_map.static_drives.bits].as_signed()
        self.box = self.low.read_data[: memory_map.low_boxes.bits]
        #: Result: the master that the previous cycle read.
        self.master = Signal(signed(formats.master_bits))
        #: Result: its working copy; valid for weights only.
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
        """Return the statements for `m.d.comb` that read a parameter other than the current one."""
        return [self.address.eq(self.region.address(index, of_image))]

    def read_low(self, region: Region, index):
        """Return the statements for `m.d.comb` that read a word of `low` alone."""
        return [self.address.eq(region.address(index))]

    def write_low(self, region: Region, index, word):
        """Return the statements for `m.d.comb` that store a word of `low` alone."""
        return [*self.read_low(region, index), self.low.write.eq(1), self.low.write_data.eq(word)]

    def write(self, master, working=None, *, when=1):
        """Return the statements for `m.d.comb` that store a master, sign-extended, and any working copy."""
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
