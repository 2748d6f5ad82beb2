"""Sigma-delta encoder of a neuron: from xi to spikes and the next membrane potential."""

from amaranth.hdl import Cat, Mux, Signal, signed

from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.chosen import chosen
from nudge.hw.lib.rounding import limited


def scaled_state(xi, schedule, annealing):
    """Return xi << k, which the spike decision adds to U, and the change of U without a spike:
    (xi << k) - (xi << k') + xi. ``annealing`` is None if the schedule has no halvings."""
    if annealing is None:
        return xi << schedule.decay_shift, xi
    scaled = chosen(annealing.halved, [xi << k for k in schedule.shifts])
    # At a halving k' = k + 1, so (xi << k) - (xi << k') = -(xi << k).
    return scaled, xi - Mux(annealing.falls, scaled, 0)


class Encoder:
    """The spike decision and the next U, without registers:

        s[t+1]   = U[t] + (xi[t+1] << k) > theta
        U[t+1]   = U[t] + (xi[t+1] << k) - (xi[t+1] << k') + xi[t+1] - s[t+1]

    k' is the next step's k, and theta = 1/2. ``array``: the `NeuronArray`, whose `step` and `annealing` are
    read.
    """

    def __init__(self, m, array):
        self.spec, self.step, self.annealing = (
            array.config.spec,
            array.step,
            getattr(array, "annealing", None),
        )

    def fire(self, m, lane, xi, u, spike, membrane):
        """Set ``spike`` and ``membrane``, U[t+1]. Return the membrane potential to write back."""
        spec = self.spec
        bits = spec.membrane_bits + spec.schedule.last_shift + spec.spike_bits
        weighed, sum_ = Signal(signed(bits), name=f"weighed_{lane}"), Signal(signed(bits), name=f"sum_{lane}")
        scaled, kept = scaled_state(xi, spec.schedule, self.annealing)
        most = spec.formats.one << spec.schedule.last_shift
        for target, term in ((weighed, scaled), (sum_, kept)):
            low, high = spec.membrane_low - most, spec.membrane_high + most
            m.d.comb += bounded(target, u + term, low, high, "|xi| is at most 1")
        less = self._spike(m, lane, weighed, spike)
        low, high, why = spec.membrane_low, spec.membrane_high, "`Spec.membrane_low`, `membrane_high`"
        m.d.comb += bounded(membrane, self._left(sum_, less), low, high, why)
        return self._next_u(m, lane, membrane, weighed, less)

    def _spike(self, m, lane, weighed, spike):
        """Set ``spike`` if U + (xi << k) > theta; return the amount that a spike subtracts, in units of 1."""
        # The threshold is a power of two, so bits are tested instead of a comparison.
        one_bits = self.spec.formats.state_fraction
        half = weighed[one_bits - 1] & weighed[: one_bits - 1].any()
        over = (weighed >> one_bits).any() | half
        m.d.comb += spike.eq(~weighed[-1] & over)
        return spike

    def _left(self, sum_, less):
        """Return ``sum_`` after the spike. It subtracts 1 (``less``), so the low bits stay as they are."""
        one_bits = self.spec.formats.state_fraction
        return Cat(sum_[:one_bits], (sum_ >> one_bits) - less)

    def _next_u(self, m, lane, membrane, weighed, less):
        return membrane


class DeviationEncoder(Encoder):
    """Encoder with fine spikes, which in nudged phases have both signs:

        s[t+1]  = (U[t] + (xi[t+1] << k) > theta) - (U[t] + (xi[t+1] << k) < -theta)

    After the last step of the free phase (``ends``) U is written as deviations begin with it:
    clip(U[t] + (xi[t+1] << k) - s[t+1], -theta, theta).
    """

    def __init__(self, m, array):
        super().__init__(m, array)
        self.ends = Signal(name="ends")
        m.d.comb += self.ends.eq(self.step.sum & self.step.sum_last & ~self.step.nudge)

    def _spike(self, m, lane, weighed, spike):
        """Set ``spike``, which in nudged phases may be negative; return its value."""
        f = self.spec.formats
        over, under = Signal(name=f"over_{lane}"), Signal(name=f"under_{lane}")
        m.d.comb += [over.eq(weighed > f.threshold), under.eq(self.step.nudge & (weighed < -f.threshold))]
        m.d.comb += spike.eq(Cat(over | under, under))
        return Mux(over, f.one, Mux(under, -f.one, 0))

    def _left(self, sum_, less):
        return sum_ - less

    def _next_u(self, m, lane, membrane, weighed, less):
        left = Signal(signed(len(weighed) + 1), name=f"left_{lane}")
        m.d.comb += left.eq(weighed - less)
        return Mux(self.ends, limited(left, self.spec.formats.threshold), membrane)
