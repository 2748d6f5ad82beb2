"""Neuron array of a network with fine spikes, which steps deviations in its nudged phases."""

from amaranth.hdl import Cat, Mux, Signal, signed
from amaranth.lib import data
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.formats import signed_bits
from golden.contract.shapes import Layer
from hw.lib.block_memory import BlockMemory
from hw.lib.data_registers import data_registers
from hw.lib.rounding import clipped, half_up, limited
from hw.synapse.interface import SLOTS

from .deviation_sums import DeviationSums
from .neuron_array import Bank, NeuronArray


class DeviationArray(NeuronArray):
    """Members, turns and the free phase are those of `NeuronArray`; latency is a cycle more. The free phase's
    last state stays in a memory of its own and is read in each nudged step beside the deviations, which are
    those from its d + b.

    A spike has two bits: it is there, and it is negative (`hw.synapse.interface.weighed`). ``spike_count`` counts both kinds.

    d saturates to 16 bits; xi is clipped to 0..256, of deviations to +-256; U stays within `Spec.membrane_low` ..
    `membrane_high` by construction.
    Model: `golden.model.ops.neuron`, `begin_deviation` and `deviation`; not of the paper (docs/arithmetic.md).
    """

    window_sums = DeviationSums
    #: The last stage compares with both thresholds and clips, which leaves no time for routing to engines and
    #: block RAM.
    late, latency = 1, NeuronArray.latency + 1

    def __init__(self, config: Config, layer: Layer):
        if not config.spec.schedule.fine:
            raise ValueError(f"DeviationArray takes a network with fine spikes, which {config.spec.name} hasn't")
        super().__init__(config, layer)
        spec, n = config.spec, layer.index
        #: Binary point of a spike.
        self.point = spec.schedule.fine[n - 1]
        #: Left shifts of what comes from below and from above to d's LSB, in the free phase and in nudged ones.
        self.shifts = [spec.drive_shifts(n), spec.drive_shifts(n, True)]
        # the image sends no deviation, and nothing is above the output layer
        used = [self.shifts[0][0], *([] if self.output else [self.shifts[0][1], self.shifts[1][1]])]
        used += [] if n == 1 else [self.shifts[1][0]]
        self.most = self.phi_most = layer.phi_bound << max(used)
        bits = signed_bits(-self.most, self.most)
        self.both, self.rest = data.ArrayLayout(signed(bits), self.lanes), 0
        self.exact_bits = max(bits, spec.formats.decoder_bits) + 2
        #: d + b of the free phase's end.
        self.base_bits = max(spec.formats.decoder_bits, spec.formats.bias_bits) + 1
        self.total_bits = self.base_bits + self.point + 2

    def _banks(self, m):
        """What the free phase left, and deviations: one memory each, both read in each step."""
        banks, slot = [], (self.step.slot,)
        for name, when in (("free", ~self.step.nudge), ("deviations", self.step.nudge)):
            m.submodules[name] = memory = BlockMemory(shape=self.state, depth=SLOTS << bits_for(self.parts - 1))
            banks.append(Bank(memory.read_port(), memory.write_port(), slot, slot, when))
        return banks

    def _both(self, sides):
        """The sum of both sides in d's LSB; in a nudged phase each is shifted as its spikes' sizes say."""
        terms = []
        for n, side in enumerate(sides):
            free, nudged = (shifts[n] for shifts in self.shifts)
            deviation = 0 if self.layer.index == 1 and n == 0 else side << nudged
            terms.append(Mux(self.step.nudge, deviation, side << free))
        return sum(terms[1:], terms[0])

    def _take_state(self, m, old, states):
        """Keeps the state, a nudged phase's first one being U alone; returns xi of the output layer, and d
        where the free phase ended."""
        step, (free, deviation) = self.step, states
        begins = Signal()
        m.d.comb += begins.eq(step.nudge & ~step.state_read)
        d = signed(self.config.spec.formats.decoder_bits)
        base2 = data_registers("base2", d, self.lanes)
        for lane in range(self.lanes):
            m.d.sync += old[lane].eq(Mux(step.nudge, deviation[lane], free[lane]))
            m.d.sync += base2[lane].eq(free[lane].d)
            with m.If(begins):
                m.d.sync += [old[lane].eq(0), old[lane].u.eq(free[lane].u)]
        if not self.output:
            return [], base2
        moved = [Mux(begins, 0, neuron.xi >> self.point) for neuron in deviation]
        return [neuron.xi + by for neuron, by in zip(free, moved, strict=True)], base2

    def _decode(self, m, old, offset, phi, away):
        """Stage 3: d and the nudge; what d is added to, and xi without d: in a nudged phase d + b of the free
        phase's end."""
        d3, u3, pull3, _ = super()._decode(m, old, offset, phi, away)
        bias, base = offset
        f, bits, lanes = self.config.spec.formats, self.one_bits + self.point, range(self.lanes)
        start3 = data_registers("start3", signed(self.base_bits + self.point), self.lanes)
        before3 = data_registers("before3", bits + 1, self.lanes)
        for lane in lanes:
            v = Signal(signed(self.base_bits + self.point), name=f"v_{lane}")
            m.d.comb += v.eq((base[lane] + bias[lane]) << self.point)
            m.d.sync += start3[lane].eq(Mux(self.step.nudge, v, bias[lane]))
            m.d.sync += before3[lane].eq(Mux(self.step.nudge, clipped(half_up(v, f.round_shift), bits), 0))
        return d3, u3, pull3, (start3, before3)

    def _nudge(self, pull):
        # 0 in the free phase
        return pull << self.point

    def _xi(self, m, lane, rounded, before):
        """xi, of deviations less what it would be without any."""
        one, bits = self.config.spec.formats.one, self.one_bits
        whole = Mux(self.step.nudge, clipped(rounded, bits + self.point), clipped(rounded, bits))
        moved = Signal(signed(bits + self.point + 2), name=f"moved_{lane}")
        m.d.comb += moved.eq(whole - before[lane])
        return limited(moved, one)

    def _fire(self, m, xi, u, d):
        """Stage 4 of `NeuronArray`, and whether the free phase ends."""
        step, self.ends = self.step, Signal(name="ends")
        m.d.comb += self.ends.eq(step.sum & step.sum_last & ~step.nudge)
        return super()._fire(m, xi, u, d)

    def _spike(self, m, lane, weighed, spike):
        """A spike of either sign in nudged phases."""
        f = self.config.spec.formats
        over, under = Signal(name=f"over_{lane}"), Signal(name=f"under_{lane}")
        m.d.comb += [over.eq(weighed > f.threshold), under.eq(self.step.nudge & (weighed < -f.threshold))]
        m.d.comb += spike.eq(Cat(over | under, under))
        return Mux(over, f.one, Mux(under, -f.one, 0))

    def _left(self, sum_, less):
        return sum_ - less

    def _next_u(self, m, lane, membrane, weighed, less):
        """Where the free phase ends: the potential that deviations begin with."""
        left = Signal(signed(len(weighed) + 1), name=f"left_{lane}")
        m.d.comb += left.eq(weighed - less)
        return Mux(self.ends, limited(left, self.config.spec.formats.threshold), membrane)


def kind_of(config: Config) -> type[NeuronArray]:
    """The kind of arrays that a network's spikes need."""
    return DeviationArray if config.spec.schedule.fine else NeuronArray


def array_of(config: Config, layer: Layer) -> NeuronArray:
    """The array of a layer, whatever the network's spikes."""
    return kind_of(config)(config, layer)
