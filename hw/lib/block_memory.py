"""Memories with undefined words: before the first write, and when block RAM's reads and writes collide."""

from functools import partial

from amaranth.hdl import Module, Mux, Shape, ShapeCastable, Signal, Value
from amaranth.lib.memory import Memory

#: Yosys' attribute for such a memory. It has an effect only as a parameter of the read ports, which
#: `boards.toolchain.netlist` makes of it.
UNDEFINED = "no_rw_check"

#: Yosys' attribute for the kind of cells that a memory is mapped to, and its value for block RAM.
STYLE, BLOCK = "ram_style", "block"


class WrittenMemory(Memory):
    """A `Memory` whose users write each word before they depend on it.

    A word that flips and that nobody writes would stay wrong until the next configuration. In simulation all
    bits are 1 at power-up, so that a bench fails if a user depends on the zeros of a part.

    Parameters
    ----------
    shape, depth, attrs
        As for a `Memory`. All words are 0 at power-up of a part.
    """

    def __init__(self, *, shape, depth, attrs=None):
        super().__init__(shape=shape, depth=depth, init=[], attrs=attrs)
        self._simulated = False

    def elaborate(self, platform):
        if platform is None and not self._simulated:
            ones = (1 << Shape.cast(self.shape).width) - 1
            self.init, self._simulated = [from_bits(self.shape, ones)] * self.depth, True
        return super().elaborate(platform)


def from_bits(shape, bits):
    """Return the initial value of a memory's row with these bits."""
    if isinstance(shape, ShapeCastable):
        return shape.from_bits(bits)
    shape = Shape.cast(shape)
    return bits - (1 << shape.width) if shape.signed else bits


class BlockMemory(WrittenMemory):
    """A `WrittenMemory` whose users also ignore the word read at an address in the cycle in which it is
    written.

    A part's block RAM doesn't define this word. A plain `Memory` gives the old word there, for which
    synthesis adds registers and a multiplexer as wide as the word to each port; a `BlockMemory` is
    synthesised without them. In simulation such a read gives the old word inverted, so that a bench fails if
    a user depends on it.

    Parameters
    ----------
    shape, depth
        As for a `Memory`. All words are 0 at power-up.
    forced : bool
        Use block RAM even for a memory so small that synthesis would use logic cells; for designs that are
        short of cells.
    zeros : bool
        Users depend on the zeros of power-up in words that are never written.
    """

    def __init__(self, *, shape, depth, forced=False, zeros=False):
        self._zeros = zeros
        super().__init__(shape=shape, depth=depth, attrs={UNDEFINED: 1} | ({STYLE: BLOCK} if forced else {}))

    def elaborate(self, platform):
        if platform is not None:
            return super().elaborate(platform)
        m = Module()
        kind = partial(Memory, init=[]) if self._zeros else WrittenMemory
        m.submodules.words = words = kind(shape=self.shape, depth=self.depth)
        for port in self.write_ports:
            write = words.write_port(granularity=port.signature.granularity)
            m.d.comb += [write.addr.eq(port.addr), write.en.eq(port.en)]
            m.d.comb += Value.cast(write.data).eq(Value.cast(port.data))
        for number, port in enumerate(self.read_ports):
            read, undefined = words.read_port(), Signal(name=f"undefined_{number}")
            writing = sum(((other.en != 0) & (other.addr == port.addr) for other in self.write_ports), 0)
            with m.If(port.en):
                m.d.sync += undefined.eq(writing != 0)
            m.d.comb += [read.addr.eq(port.addr), read.en.eq(port.en)]
            old = Value.cast(read.data)
            m.d.comb += Value.cast(port.data).eq(Mux(undefined, ~old, old))
        return m
