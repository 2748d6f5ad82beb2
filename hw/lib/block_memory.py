"""Block RAM: a read of an address in the cycle in which it is written gives an undefined word."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

#: Yosys' attribute for such a memory. It has an effect only as a parameter of the read ports, which
#: `boards.toolchain.netlist` makes of it.
UNDEFINED = "no_rw_check"

#: Yosys' attribute for the kind of cells that a memory is mapped to, and its value for block RAM.
STYLE, BLOCK = "ram_style", "block"


class BlockMemory(Memory):
    """A `Memory` whose users ignore the word read at an address in the cycle in which it is written.

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
    """

    def __init__(self, *, shape, depth, forced=False):
        super().__init__(shape=shape, depth=depth, init=[], attrs={UNDEFINED: 1} | ({STYLE: BLOCK} if forced else {}))

    def elaborate(self, platform):
        if platform is not None:
            return super().elaborate(platform)
        m = Module()
        m.submodules.words = words = Memory(self.data)
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
