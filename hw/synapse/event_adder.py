"""Event adder: adds the kernels of the spikes in a spike window, one per unit and cycle."""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.hw.lib.adder_tree import carry_tree, delay, plus, registered, tree_latency
from nudge.hw.lib.block_memory import BlockMemory, WrittenMemory
from nudge.hw.lib.bounds import bounded, signed_range
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.flow import Flow

from .event_layout import CANDIDATES, kernel_word
from .interface import weighed


def latency(units: int) -> int:
    """Return the cycles from the last spike of a window to its sum: encoder, memory, adder tree, sum."""
    return 3 + tree_latency(units)


class EventAdder(wiring.Component):
    """``units`` small weight memories with a priority encoder each, adder trees, and sums for
    ``lanes // passes`` lanes.

    ``o[lane] = sum over the window's spikes of spike * kernel[lane]``, exact. A spike window is a mask of
    `CANDIDATES` spikes for each unit. In each cycle every unit clears the lowest spike of its mask and
    reads that spike's kernel. A window is processed in ``passes`` passes, each for the next
    ``lanes // passes`` lanes, with ``passes`` times fewer adders.

    Latency: a pass takes as many cycles as the busiest unit has spikes, and at least ``interval``;
    its sums are sent `latency` cycles later.

    Parameters
    ----------
    units, lanes, chunks : int
        Weight memories; sums of a window, in all passes; equal parts of a kernel, written one by one.
    weight_bits, bits : int
        Widths of a weight and of a sum; the caller proves that ``bits`` suffices.
    interval : int
        Least number of cycles between two passes' sums.
    passes : int
        Passes for each window; divides ``chunks``.
    spike_bits : int
        2 for fine spikes, which have a sign, else 1.
    blocks : bool
        True to keep the kernels in block RAM.

    Members
    -------
    kernels : In(Flow(kernel_word))
        Writes weights; only while not ``busy``.
    i : In(stream.Signature(ArrayLayout(unsigned(CANDIDATES * spike_bits), units)))
        A spike window: for each unit the mask of spikes, then with fine spikes the mask of negative ones.
        ``ready`` when the window's last pass begins.
    o : Out(Flow(ArrayLayout(signed(bits), lanes // passes)))
        Sums of each window, pass after pass, `latency` cycles after the pass's last spike was taken.
    busy : Out(1)
        High while a window is processed or its sums are still to come.
    spikes : Out(range(units + 1))
        Number of kernels read in this cycle; for benches, which measure the adder's use.
    """

    def __init__(
        self, *, units, lanes, chunks, weight_bits, bits, interval, passes=1, spike_bits=1, blocks=False
    ):
        if chunks % passes:
            raise ValueError(f"passes must divide {chunks} chunks, not {passes}")
        self.units, self.lanes, self.chunks, self.weight_bits, self.bits = (
            units,
            lanes,
            chunks,
            weight_bits,
            bits,
        )
        self.interval, self.passes, self.spike_bits, self.blocks = interval, passes, spike_bits, blocks
        self.latency = latency(units)
        kernel = kernel_word(units=units, lanes=lanes, chunks=chunks, weight_bits=weight_bits)
        super().__init__(
            {
                "kernels": In(Flow(kernel)),
                "i": In(stream.Signature(data.ArrayLayout(unsigned(CANDIDATES * spike_bits), units))),
                "o": Out(Flow(data.ArrayLayout(signed(bits), lanes // passes))),
                "busy": Out(1),
                "spikes": Out(range(units + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        window = self._take(m)
        terms = self._read(m, window)
        self._add(m, window, terms)
        return m

    def _take(self, m):
        """Load the masks of a window for each pass, and clear the lowest spike of each mask in each cycle.
        The input holds the window until its last pass begins."""
        # `wait`: cycles until the pass is old enough to end.
        active, wait = Signal(), Signal(range(self.interval))
        first, load = Signal(), Signal()
        to_load, at_pass, reading_pass = (
            Signal(range(self.passes), name=n) for n in ("to_load", "at_pass", "reading_pass")
        )
        masks = data_registers("mask", CANDIDATES, self.units)
        rests = data_registers("rest", CANDIDATES, self.units)  # the mask without its lowest spike
        signs = data_registers("sign", CANDIDATES, self.units if self.spike_bits > 1 else 0)
        # `more`: whether `rest` has a spike, in registers, because `load` depends on those of all units.
        more, done = Signal(self.units), Signal()
        m.d.comb += done.eq(active & ~more.any() & (wait == 0))
        m.d.comb += load.eq(~active | done)
        m.d.comb += self.i.ready.eq(load & (to_load == self.passes - 1))
        m.d.sync += reading_pass.eq(at_pass)
        with m.If(load):
            m.d.sync += [active.eq(self.i.valid), wait.eq(self.interval - 1), at_pass.eq(to_load)]
            with m.If(self.i.valid):
                m.d.sync += to_load.eq(Mux(self.i.ready, 0, to_load + 1))
            for u, (mask, rest) in enumerate(zip(masks, rests, strict=True)):
                new = self.i.payload[u][:CANDIDATES]
                m.d.sync += [mask.eq(new), without_lowest(rest, new), more[u].eq(several(new))]
            for u, sign in enumerate(signs):
                m.d.sync += sign.eq(self.i.payload[u][CANDIDATES:])
        with m.Else():
            for u, (mask, rest) in enumerate(zip(masks, rests, strict=True)):
                m.d.sync += [mask.eq(rest), without_lowest(rest, rest), more[u].eq(several(rest))]
            with m.If(wait != 0):
                m.d.sync += wait.eq(wait - 1)
        m.d.sync += first.eq(load)
        return Window(active, first, done, masks, signs, at_pass, reading_pass)

    def _read(self, m, window):
        """Read the kernels of the lowest spikes; return them as terms (term, carry) of each lane's sum. Each
        pass has its own words in the memories."""
        lanes, chunks = self.lanes // self.passes, self.chunks // self.passes  # per pass
        item = self.kernels.payload
        of_pass, part = Signal(range(self.passes)), Signal(chunks)
        with m.Switch(item.chunk):
            for n in range(self.chunks):
                with m.Case(n):
                    m.d.comb += [of_pass.eq(n // chunks), part.eq(1 << n % chunks)]
        terms: list[list[tuple[Value, Value | None]]] = [[] for _ in range(lanes)]
        hits = []
        for u, mask in enumerate(window.masks):
            lowest, hit = Signal(range(CANDIDATES), name=f"lowest_{u}"), Signal(name=f"hit_{u}")
            negative = Signal(name=f"negative_{u}", reset_less=True)
            for n in reversed(range(CANDIDATES)):
                with m.If(mask[n]):
                    m.d.comb += lowest.eq(n)
                    if window.signs:
                        m.d.sync += negative.eq(window.signs[u][n])
            m.d.sync += hit.eq(window.active & (mask != 0))
            hits.append(hit)
            memory = self._memory(self.weight_bits * lanes)
            m.submodules[f"unit_{u}"] = memory
            if self.blocks:
                read = memory.read_port()
                m.d.comb += read.addr.eq(Cat(lowest, window.at_pass))
            else:
                read, index = (
                    memory.read_port(domain="comb"),
                    Signal.like(lowest, name=f"index_{u}", reset_less=True),
                )
                m.d.sync += index.eq(lowest)
                m.d.comb += read.addr.eq(Cat(index, window.reading_pass))
            write = memory.write_port(granularity=self.weight_bits * lanes // chunks)
            m.d.comb += [
                write.addr.eq(Cat(item.index, of_pass)),
                write.data.eq(item.weights.as_value().replicate(chunks)),
                write.en.eq(Mux(self.kernels.valid & (item.unit == u), part, 0)),
            ]
            weights = data.View(data.ArrayLayout(signed(self.weight_bits), lanes), read.data)
            for lane in range(lanes):
                terms[lane].append(
                    registered(m, *weighed(Cat(hit, negative) if window.signs else hit, weights[lane]))
                )
        m.d.comb += self.spikes.eq(sum(hits[1:], hits[0]))
        return terms

    def _add(self, m, window, terms):
        """Add the terms of each lane: those of a cycle in a tree, successive cycles in a register."""
        stages = 2 + tree_latency(self.units)
        adding, starting = delay(m, window.active, stages), delay(m, window.first, stages)
        ended = delay(m, window.done, self.latency)
        for lane, of_lane in enumerate(terms):
            total, carry = carry_tree(m, of_lane)
            sum_ = self.o.payload[lane]
            with m.If(adding):
                whole = plus(Mux(starting, 0, sum_), total, carry)
                m.d.sync += bounded(
                    sum_,
                    whole,
                    *signed_range(self.bits),
                    "``bits`` of whoever has an adder: `Layer.phi_bits`",
                )
        m.d.comb += self.o.valid.eq(ended)
        trailing = [window.active]
        for _ in range(self.latency):
            trailing.append(delay(m, trailing[-1], 1))
        m.d.comb += self.busy.eq(sum(trailing[1:], trailing[0]) != 0)

    def _memory(self, width: int) -> WrittenMemory:
        """Return the memory of a unit's kernels; it is never read while it is written."""
        depth = CANDIDATES * self.passes
        if self.blocks:
            return BlockMemory(shape=unsigned(width), depth=depth, forced=True)
        return WrittenMemory(shape=unsigned(width), depth=depth)


def without_lowest(target, mask):
    """Return the assignment of ``mask`` without its lowest 1 to ``target``."""
    return bounded(target, mask & (mask - 1), 0, (1 << CANDIDATES) - 1, "a bit of the mask is cleared")


def several(mask):
    """Whether at least two bits of ``mask`` are 1."""
    if len(mask) == 1:
        return Const(0)
    low, high = mask[: len(mask) // 2], mask[len(mask) // 2 :]
    return several(low) | several(high) | (low.any() & high.any())


class Window(NamedTuple):
    """State of the window that is being processed."""

    #: High if there is a window.
    active: Signal
    #: High in the first cycle of a pass.
    first: Signal
    #: High in the last cycle of a pass.
    done: Signal
    #: Remaining spikes of each unit.
    masks: list[Signal]
    #: Mask of negative spikes of each unit; empty without fine spikes.
    signs: list[Signal]
    #: Number of the pass.
    at_pass: Signal
    #: Number of the previous cycle's pass.
    reading_pass: Signal
