"""Memory as block RAM has it: what is read while it is written is undefined."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

#: Yosys' attribute for it, which `boards.toolchain.netlist` turns into the parameter of read ports that has an effect.
UNDEFINED = "no_rw_check"

#: Yosys' attribute for where a memory is to be, and its value for block RAM.
STYLE, BLOCK = "ram_style", "block"


class BlockMemory(Memory):
    """A `Memory` for users that never need what they read at an address in the cycle in which it is written.

    A part's block RAM doesn't define that. To get the old word, as from a plain `Memory`, synthesis adds registers and a
    multiplexer as wide as the word to each port; here it doesn't. In simulation such a read gives the old word inverted, so
    that every bench finds a user that needs it.

    Parameters
    ----------
    shape, depth
        As of a `Memory`. All words are 0 at power-up.
    forced : bool
        Block RAM, even where it is so small that synthesis would take cells, of which a design may have too few.
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
