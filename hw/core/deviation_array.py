"""Neuron array of a network with fine spikes; its nudged phases step deviations from the free phase."""

from amaranth.hdl import Mux, Signal, signed
from amaranth.lib import data
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.rounding import clipped, half_up, limited
from nudge.hw.lib.state_bank import Bank
from nudge.hw.synapse.interface import slot_bits

from .deviation_sums import DeviationSums
from .encoder import DeviationEncoder
from .interface import xi_shape
from .neuron_array import NeuronArray


class DeviationArray(NeuronArray):
    """`NeuronArray` whose nudged phases step deviations from the free phase's last state (d0, U0, xi0).

    In a nudged phase d, U and xi are deviations in units of 2^-p, with p the layer's binary point. Both
    nudged phases begin with d = xi = 0 and U = clip(U0 + (xi0 << k) - xi0, -theta, theta). With v0 = d0 +
    bias, k the free phase's last and r(v) = clip(rhu(v, `round_shift`), 0, 1 << p), a step is

        d[t+1]  = saturate(d[t] + ((phi[t] - d[t]) >> k))
        xi[t+1] = clip(r((v0 << p) + d[t+1] + (nudge[t] << p)) - r(v0 << p), -1, 1)
        s[t+1]  = (U[t] + (xi[t+1] << k) > theta) - (U[t] + (xi[t+1] << k) < -theta)
        U[t+1]  = U[t] + xi[t+1] - s[t+1]

    With `Schedule.linear_output`, xi[t+1] = clip(rhu(d[t+1] + (nudge[t] << p), `round_shift`), -1, 1) in the
    output layer. The nudge uses xi0 + (xi >> p) as the output's xi. The free phase's last state has a memory
    of its own, which each nudged step reads in addition. Members, turns and the free phase are those of
    `NeuronArray`.

    A spike has two bits, *spike* and *negative* (`hw.synapse.interface.weighed`);
    ``spike_count`` counts spikes of both signs.

    d saturates to 16 bits; xi is clipped to 0..256, of deviations to +-256; U stays within
    `Spec.membrane_low` .. `membrane_high` by construction. Latency: that of `NeuronArray`. Integer model:
    `golden.model.ops.neuron`, `golden.model.fine_spikes.begin_deviation`, `deviation`; not in the paper
    (docs/arithmetic.md).
    """

    encoder, window_sums = DeviationEncoder, DeviationSums

    def __init__(self, config: Config, layer: Layer):
        if not config.spec.schedule.fine:
            raise ValueError(
                f"DeviationArray takes a network with fine spikes, which {config.spec.name} hasn't"
            )
        super().__init__(config, layer)
        spec, n = config.spec, layer.index
        #: Deviations are linear in drive and nudge.
        self.linear = self.output and spec.schedule.linear_output
        #: Binary point p: a fine spike is worth 2^-p.
        self.point = spec.schedule.fine[n - 1]
        #: Left shifts of the drives (from below, from above) to d's LSB: free phase, nudged phases.
        self.shifts = [spec.drive_shifts(n), spec.drive_shifts(n, True)]
        # The image sends no deviation, and nothing is above the output layer.
        used = [self.shifts[0][0], *([] if self.output else [self.shifts[0][1], self.shifts[1][1]])]
        used += [] if n == 1 else [self.shifts[1][0]]
        self.most = self.phi_most = layer.phi_bound << max(used)
        bits = signed_bits(-self.most, self.most)
        self.both, self.rest = data.ArrayLayout(signed(bits), self.lanes), 0
        self.exact_bits = max(bits, spec.formats.decoder_bits) + 2
        #: Width of v0 = d0 + bias.
        self.base_bits = max(spec.formats.decoder_bits, spec.formats.bias_bits) + 1
        self.total_bits = self.base_bits + self.point + 2

    def _banks(self, m):
        """Build two memories: the free phase's state, and the deviations. Each step reads both."""
        banks, slots = [], self.config.slots
        slot, depth = tuple(slot_bits(self.step.slot, slots)), slots << bits_for(self.parts - 1)
        for name, when in (("free", ~self.step.nudge), ("deviations", self.step.nudge)):
            m.submodules[name] = memory = BlockMemory(shape=self.state, depth=depth)
            banks.append(Bank(memory.read_port(), memory.write_port(), slot, slot, when))
        return banks

    def _both(self, sides):
        """Return the sum of both sides in d's LSB; nudged phases shift each by the layers' binary points."""
        terms = []
        for n, side in enumerate(sides):
            free, nudged = (shifts[n] for shifts in self.shifts)
            deviation = 0 if self.layer.index == 1 and n == 0 else side << nudged
            terms.append(Mux(self.step.nudge, deviation, side << free))
        return sum(terms[1:], terms[0])

    def _take_state(self, m, old, states):
        """Register the state; in a nudged phase's first step only U is nonzero. Return the output layer's
        registered xi, and d at the end of the free phase.
        """
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
        xi2, most = data_registers("xi2", xi_shape(self.config), self.lanes), self.config.spec.away_bound
        for lane, xi in enumerate(xi2):
            moved = Mux(begins, 0, deviation[lane].xi >> self.point)
            m.d.sync += bounded(
                xi, free[lane].xi + moved, self.config.spec.formats.one - most, most, "`Spec.away_bound`"
            )
        return xi2, base2

    def _offset(self, m, bias, base):
        """Stage 3: return the term to which d is added and the xi of a zero deviation: in a nudged phase
        v0 << p and r(v0 << p), or 0 and 0 if it is linear; in the free phase bias and 0."""
        f = self.config.spec.formats
        bits = f.state_fraction + self.point
        start3 = data_registers("start3", signed(self.base_bits + self.point), self.lanes)
        before3 = data_registers("before3", bits + 1, self.lanes)
        for lane in range(self.lanes):
            v = Signal(signed(self.base_bits + self.point), name=f"v_{lane}")
            m.d.comb += v.eq(0 if self.linear else (base[lane] + bias[lane]) << self.point)
            m.d.sync += start3[lane].eq(Mux(self.step.nudge, v, bias[lane]))
            m.d.sync += before3[lane].eq(Mux(self.step.nudge, clipped(half_up(v, f.round_shift), bits), 0))
        return start3, before3

    def _nudge(self, pull):
        # `pull` is 0 in the free phase.
        return pull << self.point

    def _xi(self, m, lane, rounded, before):
        """Return xi; in a nudged phase minus ``before``, the xi of a zero deviation, or linear."""
        f = self.config.spec.formats
        one, bits = f.one, f.state_fraction
        if self.linear:
            return Mux(self.step.nudge, limited(rounded, one), clipped(rounded, bits))
        whole = Mux(self.step.nudge, clipped(rounded, bits + self.point), clipped(rounded, bits))
        moved = Signal(signed(bits + self.point + 2), name=f"moved_{lane}")
        m.d.comb += moved.eq(whole - before[lane])
        return limited(moved, one)


def array_of(config: Config, layer: Layer) -> NeuronArray:
    """Return the neuron array of a layer: with fine spikes a `DeviationArray`."""
    kind = DeviationArray if config.spec.schedule.fine else NeuronArray
    return kind(config, layer)
