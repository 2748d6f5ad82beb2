"""Event adder: adds the kernels of all neurons in a window that fired, several in each cycle; silence takes no time."""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .adder_tree import adder_tree, delay, tree_latency
from .flow import Flow

#: Neurons whose kernels one unit holds: as many as the smallest distributed memory of the parts has words.
CANDIDATES = 16

#: Cycles between two windows of which one more for each window is mostly hidden.
SPARE = 4


def kernel_word(*, units, chunks, lanes, bits):
    """Some weights of one candidate of one unit: lanes ``chunk * lanes`` and following."""
    return data.StructLayout(
        {
            "unit": unsigned(bits_for(units - 1)),
            "index": unsigned(bits_for(CANDIDATES - 1)),
            "chunk": unsigned(bits_for(chunks - 1)),
            "weights": data.ArrayLayout(signed(bits), lanes),
        }
    )


class EventAdder(wiring.Component):
    """``units`` small weight memories with a priority encoder each, one adder tree, one sum for each lane.

    A window is a mask of `CANDIDATES` spikes for each unit. In each cycle every unit takes its lowest spike away and
    reads its kernel; a window takes as many cycles as the busiest unit has spikes, and at least ``interval``. Where that is
    `SPARE` or more, a cycle before the first spike clears the sums, which costs less logic than starting from the first kernel.

    Parameters
    ----------
    units, lanes, chunks : int
        ``chunks`` parts of a kernel, equally wide, are written one by one.
    weight_bits, bits : int
        Widths of a weight and of a sum, which the caller proves to be enough.
    interval : int
        Least number of cycles between two sums.

    Members
    -------
    kernels : In(Flow(kernel_word))
        Writes weights, while not busy.
    i : In(stream.Signature(ArrayLayout(unsigned(CANDIDATES), units)))
    o : Out(Flow(ArrayLayout(signed(bits), lanes)))
        A sum for each window, `latency` cycles after its last spike has been taken away.
    busy : Out(1)
        A window is being worked on, or its sum is still to come.
    spikes : Out(range(units + 1))
        Kernels that are read in this cycle, for benches: what of the adder is in use.
    """

    def __init__(self, *, units, lanes, chunks, weight_bits, bits, interval):
        self.units, self.lanes, self.chunks, self.weight_bits, self.bits = units, lanes, chunks, weight_bits, bits
        self.interval = interval
        #: Cycles from the last spike of a window to its sum: encoder, memory, tree, sum.
        self.latency = 3 + tree_latency(units)
        super().__init__(
            {
                "kernels": In(Flow(kernel_word(units=units, chunks=chunks, lanes=lanes // chunks, bits=weight_bits))),
                "i": In(stream.Signature(data.ArrayLayout(unsigned(CANDIDATES), units))),
                "o": Out(Flow(data.ArrayLayout(signed(bits), lanes))),
                "busy": Out(1),
                "spikes": Out(range(units + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes

        # -- masks of one window; in each cycle each loses its lowest spike
        active, age = Signal(), Signal(range(self.interval + 1), init=1)
        first, clearing = Signal(), Signal()
        m.d.comb += clearing.eq(first & (self.interval >= SPARE))
        masks = [Signal(CANDIDATES, name=f"mask_{u}", reset_less=True) for u in range(self.units)]
        rests = [Signal(CANDIDATES, name=f"rest_{u}", reset_less=True) for u in range(self.units)]  # without the lowest
        more, done = Signal(self.units), Signal()
        for u, rest in enumerate(rests):
            m.d.comb += more[u].eq(rest.any())
        m.d.comb += [done.eq(active & ~more.any() & (age >= self.interval)), self.i.ready.eq(~active | done)]
        with m.If(self.i.ready):
            m.d.sync += [active.eq(self.i.valid), age.eq(1)]
            for u, (mask, rest) in enumerate(zip(masks, rests, strict=True)):
                new = self.i.payload[u]
                m.d.sync += [mask.eq(new), rest.eq(new & (new - 1))]
        with m.Else():
            with m.If(~clearing):
                for mask, rest in zip(masks, rests, strict=True):
                    m.d.sync += [mask.eq(rest), rest.eq(rest & (rest - 1))]
            with m.If(age < self.interval):
                m.d.sync += age.eq(age + 1)
        m.d.sync += first.eq(self.i.ready)

        # -- the kernels of those spikes
        terms: list[list[Value]] = [[] for _ in range(lanes)]
        hits = []
        for u, mask in enumerate(masks):
            index, hit = Signal(range(CANDIDATES), name=f"index_{u}", reset_less=True), Signal(name=f"hit_{u}")
            for n in reversed(range(CANDIDATES)):
                with m.If(mask[n]):
                    m.d.sync += index.eq(n)
            m.d.sync += hit.eq(active & ~clearing & (mask != 0))
            hits.append(hit)
            memory = Memory(shape=unsigned(self.weight_bits * lanes), depth=CANDIDATES, init=[])
            m.submodules[f"unit_{u}"] = memory
            read = memory.read_port(domain="comb")
            write = memory.write_port(granularity=self.weight_bits * lanes // self.chunks)
            item = self.kernels.payload
            m.d.comb += [
                write.addr.eq(item.index),
                write.data.eq(item.weights.as_value().replicate(self.chunks)),
                write.en.eq(Mux(self.kernels.valid & (item.unit == u), 1 << item.chunk, 0)),
                read.addr.eq(index),
            ]
            kernel = Signal(data.ArrayLayout(signed(self.weight_bits), lanes), name=f"kernel_{u}")
            m.d.sync += kernel.as_value().eq(Mux(hit, read.data, 0))
            for lane in range(lanes):
                terms[lane].append(kernel[lane])
        m.d.comb += self.spikes.eq(sum(hits[1:], hits[0]))

        # -- their sum
        stages = 2 + tree_latency(self.units)
        adding, starting = delay(m, active, stages), delay(m, first, stages)
        ended = delay(m, done, self.latency)
        for lane in range(lanes):
            total, sum_ = adder_tree(m, terms[lane]), self.o.payload[lane]
            if self.interval >= SPARE:
                with m.If(starting):
                    m.d.sync += sum_.eq(0)
                with m.Else():
                    m.d.sync += sum_.eq(sum_ + total)
            else:
                with m.If(adding):
                    m.d.sync += sum_.eq(Mux(starting, 0, sum_) + total)
        m.d.comb += self.o.valid.eq(ended)
        trailing = [active]
        for _ in range(self.latency):
            trailing.append(delay(m, trailing[-1], 1))
        m.d.comb += self.busy.eq(sum(trailing[1:], trailing[0]) != 0)
        return m
