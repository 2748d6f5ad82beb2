"""Neuron array of a network with fine spikes, whose nudged phases step what a layer's deviation is from where the free phase
ended."""

from amaranth.hdl import Cat, Mux, Signal, signed
from amaranth.lib import data
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.formats import signed_bits
from golden.contract.shapes import Layer
from hw.lib.block_memory import BlockMemory
from hw.lib.bounds import bounded
from hw.synapse.interface import SLOTS

from .deviation_sums import DeviationSums
from .interface import xi_shape
from .neuron_array import Bank, NeuronArray


class DeviationArray(NeuronArray):
    """The free phase is `NeuronArray`'s, and so are members and turns; latency is a cycle more. Its last state stays in a
    memory of its own, and is read in each nudged step beside the deviations: d + b of it is what these are from.

    A spike has two bits: it is there, and it is negative (`hw.synapse.interface.weighed`). ``spike_count`` counts both kinds.

    d saturates to 16 bits; xi is clipped to 0..256, of deviations to +-256; U stays within `Spec.membrane_low` ..
    `membrane_high` by construction.
    Model: `golden.model.ops.neuron`, `begin_deviation` and `deviation`; not of the paper (docs/arithmetic.md).
    """

    window_sums = DeviationSums
    #: The last stage compares with both thresholds and clips: it has no time left for the ways to engines and block RAM.
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
        self.most = layer.phi_bound << max(used)
        bits = signed_bits(-self.most, self.most)
        self.both, self.rest = data.ArrayLayout(signed(bits), self.lanes), 0
        self.exact_bits = max(bits, spec.formats.decoder_bits) + 2
        fields = {"d": signed(spec.formats.decoder_bits), "u": signed(spec.membrane_bits)}
        if self.output:
            fields["xi"] = xi_shape(config)
        self.state = data.ArrayLayout(data.StructLayout(fields), self.lanes)
        #: d + b of the free phase's end.
        self.base_bits = max(spec.formats.decoder_bits, spec.formats.bias_bits) + 1

    def _banks(self, m):
        """What the free phase left, and deviations: one memory each, both read in each step."""
        banks, slot = [], (self.step.slot,)
        for name, when in (("free", ~self.step.nudge), ("deviations", self.step.nudge)):
            m.submodules[name] = memory = BlockMemory(shape=self.state, depth=SLOTS << bits_for(self.parts - 1))
            banks.append(Bank(memory.read_port(), memory.write_port(), slot, slot, when))
        return banks

    def _add_drives(self, m, at):
        """Stage 1: phi in d's LSB; in a nudged phase each side is shifted as its spikes' sizes say."""
        phi = Signal(self.both, reset_less=True)
        sides = [self._part_of(self.below.payload, at.turn, self.drives)]
        if not self.output:
            sides.append(self._part_of(self.above.payload, at.turn, self.drives))
        for lane in range(self.lanes):
            terms = []
            for n, side in enumerate(sides):
                free, nudged = (shifts[n] for shifts in self.shifts)
                deviation = 0 if self.layer.index == 1 and n == 0 else side[lane] << nudged
                terms.append(Mux(self.step.nudge, deviation, side[lane] << free))
            both = sum(terms[1:], terms[0])
            m.d.sync += bounded(phi[lane], both, -self.most, self.most, "`Layer.phi_bound` by the larger shift")
        return phi

    def _load(self, m, at, group, phi, states, bias):
        """Stage 2: the state, a nudged phase's first one being U alone; and what the free phase left."""
        free, deviation = states
        lanes, step = self.lanes, self.step
        begins = Signal()
        m.d.comb += begins.eq(step.nudge & ~step.state_read)
        old2 = Signal(self.state, name="old2", reset_less=True)
        base = signed(self.config.spec.formats.decoder_bits)
        base2 = [Signal(base, name=f"base2_{i}", reset_less=True) for i in range(lanes)]
        bias2 = Signal(self.biases, name="bias2", reset_less=True)
        phi2 = Signal.like(phi)
        group1 = Signal.like(group)
        m.d.sync += [group1.eq(group), phi2.eq(phi), bias2.eq(self._part_of(bias, at.turn, self.biases))]
        for lane in range(lanes):
            m.d.sync += [old2[lane].eq(Mux(step.nudge, deviation[lane], free[lane])), base2[lane].eq(free[lane].d)]
            with m.If(begins):
                m.d.sync += [old2[lane].eq(0), old2[lane].u.eq(free[lane].u)]
        xi = []
        if self.output:
            xi = [free[lane].xi + Mux(begins, 0, deviation[lane].xi >> self.point) for lane in range(lanes)]
        away2 = self._away(m, at, group1, xi)
        with m.If(step.first):
            m.d.sync += old2.eq(0)
        return old2, (bias2, base2), phi2, away2

    def _decode(self, m, old, offset, phi, away):
        """Stage 3: d and the nudge; and what d is added to, with what xi would be without it."""
        bias, base = offset
        d3, u3, pull3, _ = super()._decode(m, old, bias, phi, away)
        f, point, one_bits = self.config.spec.formats, self.point, self.one_bits
        start3 = [Signal(signed(self.base_bits + point), name=f"start3_{i}", reset_less=True) for i in range(self.lanes)]
        before3 = [Signal(one_bits + point + 1, name=f"before3_{i}", reset_less=True) for i in range(self.lanes)]
        for lane in range(self.lanes):
            v = Signal(signed(self.base_bits + point), name=f"v_{lane}")
            m.d.comb += v.eq((base[lane] + bias[lane]) << point)
            rounded = (v + (1 << (f.round_shift - 1))) >> f.round_shift
            before = self._clipped(rounded, one_bits + point)
            m.d.sync += start3[lane].eq(Mux(self.step.nudge, v, bias[lane]))
            m.d.sync += before3[lane].eq(Mux(self.step.nudge, before, 0))
        return d3, u3, pull3, (start3, before3)

    def _clipped(self, value, bits):
        """Between 0 and 1, which is a power of two."""
        return Mux(value[-1], 0, Mux((value >> bits).any(), 1 << bits, value[:bits]))

    def _integrate(self, m, d, u, pull, offset):
        """Stage 4: xi, of deviations less what it would be without any."""
        f, point, one_bits = self.config.spec.formats, self.point, self.one_bits
        start, before = offset
        xi4 = [Signal(xi_shape(self.config), name=f"xi4_{i}", reset_less=True) for i in range(self.lanes)]
        u4 = [Signal.like(signal, name=f"u4_{i}") for i, signal in enumerate(u)]
        d4 = [Signal.like(signal, name=f"d4_{i}") for i, signal in enumerate(d)]
        for lane in range(self.lanes):
            total = Signal(signed(self.base_bits + point + 2), name=f"total_{lane}")
            rounded = Signal(signed(len(total) - f.round_shift), name=f"rounded_{lane}")
            # nothing pulls in the free phase
            nudge = pull[lane] << point if self.output else 0
            m.d.comb += total.eq(d[lane] + start[lane] + nudge + (1 << (f.round_shift - 1)))
            m.d.comb += rounded.eq(total >> f.round_shift)
            whole = Mux(self.step.nudge, self._clipped(rounded, one_bits + point), self._clipped(rounded, one_bits))
            moved = Signal(signed(one_bits + point + 2), name=f"moved_{lane}")
            m.d.comb += moved.eq(whole - before[lane])
            one = f.one
            m.d.sync += xi4[lane].eq(Mux(moved > one, one, Mux(moved < -one, -one, moved)))
            m.d.sync += [u4[lane].eq(u[lane]), d4[lane].eq(d[lane])]
        return xi4, u4, d4

    def _fire(self, m, xi, u, d):
        """Spikes of either sign in nudged phases, membrane potentials, and the state to write back: where the free phase ends
        the potential that deviations begin with."""
        spec, lanes = self.config.spec, self.lanes
        f, step = spec.formats, self.step
        bits = spec.membrane_bits + spec.schedule.last_shift + 2
        spikes, written = Signal(2 * lanes), Signal(self.state, name="written")
        membranes = [Signal(signed(spec.membrane_bits), name=f"membrane_{i}") for i in range(lanes)]
        ends = Signal()
        m.d.comb += ends.eq(step.sum & step.sum_last & ~step.nudge)
        for lane in range(lanes):
            weighed, sum_ = Signal(signed(bits), name=f"weighed_{lane}"), Signal(signed(bits), name=f"sum_{lane}")
            scaled, kept = self._scaled(xi[lane])
            m.d.comb += [weighed.eq(u[lane] + scaled), sum_.eq(u[lane] + kept)]
            over, under = Signal(name=f"over_{lane}"), Signal(name=f"under_{lane}")
            m.d.comb += [over.eq(weighed > f.threshold), under.eq(step.nudge & (weighed < -f.threshold))]
            m.d.comb += spikes.word_select(lane, 2).eq(Cat(over | under, under))
            less = Mux(over, f.one, Mux(under, -f.one, 0))
            left = Signal(signed(bits + 1), name=f"left_{lane}")
            low, high = spec.membrane_low, spec.membrane_high
            m.d.comb += bounded(membranes[lane], sum_ - less, low, high, "`Spec.membrane_low`, `membrane_high`")
            m.d.comb += left.eq(weighed - less)
            begun = Mux(left > f.threshold, f.threshold, Mux(left < -f.threshold, -f.threshold, left))
            m.d.comb += [written[lane].d.eq(d[lane]), written[lane].u.eq(Mux(ends, begun, membranes[lane]))]
            if self.output:
                m.d.comb += written[lane].xi.eq(xi[lane])
        return spikes, membranes, written


def kind_of(config: Config) -> type[NeuronArray]:
    """The kind of arrays that a network's spikes need."""
    return DeviationArray if config.spec.schedule.fine else NeuronArray


def array_of(config: Config, layer: Layer) -> NeuronArray:
    """The array of a layer, whatever the network's spikes."""
    return kind_of(config)(config, layer)
