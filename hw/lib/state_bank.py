"""Ports of a neuron array's state memory, and the bits that select one of its banks."""

from typing import Any, NamedTuple

from amaranth.hdl import Cat

from .adder_tree import data_delay, delay


class Bank(NamedTuple):
    """Ports of a state memory, and the address bits that select its banks."""

    read: Any
    write: Any
    #: Bank bits above the part number in the read address.
    of_read: tuple[Any, ...]
    #: Bank bits above the part number in the write address.
    of_write: tuple[Any, ...]
    #: Condition under which it is written; None: in each step.
    when: Any

    def fetch(self, m, part):
        """Read the state of a part; it is at the read port one cycle later."""
        m.d.comb += self.read.addr.eq(Cat(part, *self.of_read))

    def keep(self, m, part, state, valid):
        """Write the state of a part, one cycle later, if ``valid``."""
        m.d.comb += [
            self.write.addr.eq(data_delay(m, Cat(part, *self.of_write))),
            self.write.data.eq(data_delay(m, state)),
            self.write.en.eq(delay(m, valid if self.when is None else valid & self.when, 1)),
        ]
