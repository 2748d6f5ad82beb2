# amaranth: UnusedElaboratable=no
"""Neuron arrays with fine spikes against the golden model.

Covers the free phase, deviations in both nudged phases, their sums, and extremes.
"""

import random

import cocotb
import numpy as np
import torch

from nudge.golden.contract.shapes import Layer
from nudge.golden.model import fine_spikes, ops
from nudge.hw.core.deviation_array import DeviationArray
from sim.harness.networks import config_of, hidden_layer, output_layer
from sim.harness.random_values import generator
from sim.harness.streams import start
from sim.harness.sums import finished
from sim.harness.units import each

from .test_neuron_array import Driver


def first(shape, lanes, at_once=None, *, window_log2=2, decay_shift=1, **rest):
    """Return the array of layer 1, whose static drive doesn't count in nudged phases."""
    return DeviationArray(
        *hidden_layer(shape, lanes, at_once, window_log2=window_log2, decay_shift=decay_shift, **rest)
    )


def second(shape, lanes, *, phi_bound, window_log2=2, decay_shift=1, **rest):
    """Return the array of layer 2 with any shape."""
    config = config_of(
        (1, shape[0]), (1, lanes), dense=False, window_log2=window_log2, decay_shift=decay_shift, **rest
    )
    return DeviationArray(config, Layer(2, *shape, phi_bound=phi_bound))


def output(lanes, at_once=None, *, window_log2=2, decay_shift=1, **rest):
    """Return the array of an output layer."""
    return DeviationArray(
        *output_layer(lanes, at_once, window_log2=window_log2, decay_shift=decay_shift, **rest)
    )


UNITS = {
    "deviation_3x2x3": first((3, 2, 3), 1, phi_bound=20000, fine=(4, 3, 1)),
    "deviation_weak": first((4, 3, 1), 2, phi_bound=9000, window_log2=3, feedback_shift=2, fine=(8, 6, 4)),
    "deviation_turns": first((4, 2, 2), 2, 1, phi_bound=9000, window_log2=1, fine=(2, 2, 0)),
    "deviation_annealed": first(
        (2, 2, 2), 2, phi_bound=40000, decay_shift=0, halvings=(1, 3, 9), fine=(3, 1, 1)
    ),
    "deviation_second": second((3, 2, 2), 1, phi_bound=5000, fine=(6, 4, 1)),
    "deviation_second_weak": second(
        (2, 3, 1), 2, phi_bound=9000, decay_shift=0, halvings=(2, 5), feedback_shift=2, fine=(8, 6, 4)
    ),
    "deviation_coarse": second((2, 2, 1), 1, phi_bound=9000, decay_shift=2, fine=(0, 0, 0)),
    "deviation_output": output(5, phi_bound=9000, window_log2=3, fine=(4, 2, 1)),
    "deviation_output_turns": output(10, 2, phi_bound=40000, feedback_shift=2, fine=(9, 7, 4)),
    "deviation_output_linear": output(5, phi_bound=9000, window_log2=3, fine=(4, 2, 1), linear_output=True),
    "deviation_output_linear_turns": output(
        10, 2, phi_bound=40000, feedback_shift=2, fine=(9, 7, 4), linear_output=True
    ),
    "deviation_output_annealed": output(1, phi_bound=20000, decay_shift=0, halvings=(1, 4), fine=(3, 2, 0)),
}

#: Largest number of additional samples until the deviation of xi has reached both bounds.
MORE = 20


@cocotb.test()
async def steps_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    array = Deviating(dut, name, unit)
    spec, window = unit.config.spec, unit.config.spec.schedule.window

    def steps(count):
        longest = 4 << spec.schedule.last_shift
        return [
            (window + longest + random.randint(0, 9), window + longest + random.randint(0, 9))
            for _ in range(count)
        ]

    await array.load_biases()
    await array.run(0, steps(2))
    await array.run(2, steps(1))
    await array.load_biases()
    await array.clear()
    await array.run(3, steps(6))
    f = spec.formats
    for number in range(9, 9 + MORE):
        if array.moved["xi"] == (-f.one, f.one):
            break
        await array.run(number, steps(1))
    assert array.seen["d"] == array.moved["d"] == (f.decoder_low, f.decoder_high), (
        f"{name}: d only {array.seen}, {array.moved}"
    )
    assert array.seen["xi"] == (0, f.one), f"{name}: xi only reached {array.seen['xi']}"
    assert array.moved["xi"] == (-f.one, f.one), f"{name}: deviations of xi only reached {array.moved['xi']}"
    spikes = array.seen["s"], array.moved["s"]
    assert spikes == ((0, 1), (-1, 1)), f"{name}: spikes only reached {spikes}"
    low, high = array.moved["U"]
    assert spec.membrane_low <= low < -f.threshold, f"{name}: deviations of U only reached {low}"
    assert spec.membrane_high >= high > f.threshold, f"{name}: deviations of U only reached {high}"


class Deviating(Driver):
    """Drive the ports of a deviation array, and compute its model."""

    def __init__(self, dut, name, unit):
        super().__init__(dut, name, unit)
        spec, n = self.spec, self.layer.index
        # phi is in d's LSB
        self.shift = 0
        sides = 1 if unit.output else 2
        self.shifts = [spec.drive_shifts(n, mode)[:sides] for mode in (False, True)]
        self.deviating = 0
        self.moved = dict.fromkeys(ops.State._fields, (1 << 20, -(1 << 20)))

    @property
    def bound(self):
        """Largest |phi| in the current phase, in d's LSB."""
        sides = zip(self.shifts[self.deviating], self.used, strict=True)
        return self.layer.phi_bound << max(shift for shift, used in sides if used)

    @property
    def used(self):
        """For the side below and (except at the output layer) the side above: whether its drive counts.

        Only the image's drive of layer 1 is ignored, in nudged phases.
        """
        return [not (self.deviating and self.layer.index == 1), *[True] * (len(self.shifts[0]) - 1)]

    def parts(self, phi):
        """Split phi into one drive per side, with |below| + |above| <= phi_bound.

        Their shifted sum is as near to phi as possible. A side that doesn't count gets a random drive within
        +-phi_bound.
        """
        bound, shifts, used = self.layer.phi_bound, self.shifts[self.deviating], self.used
        share = torch.from_numpy(generator().random(self.shape)) * all(used)
        out: list[tuple[int, torch.Tensor]] = []
        rest, left = phi, torch.full(self.shape, bound)
        for n in sorted(range(len(shifts)), key=lambda n: -shifts[n]):
            if not used[n]:
                part = torch.from_numpy(generator().integers(-bound, bound, self.shape, endpoint=True))
            else:
                wanted = (
                    (phi * share).long() if not out and all(used) and len(shifts) > 1 else rest
                ) >> shifts[n]
                part = torch.maximum(torch.minimum(wanted, left), -left)
                # only the side with the larger shift reaches the bound itself
                part = torch.where(
                    phi.abs() == self.bound,
                    torch.maximum(torch.minimum(rest >> shifts[n], left), -left),
                    part,
                )
                rest, left = rest - (part << shifts[n]), left - part.abs()
            out.append((n, part))
        return [part for _, part in sorted(out, key=lambda each: each[0])]

    def phi(self, parts):
        """Return phi = sum of (drive << shift) over the sides that count, in d's LSB."""
        shifts = self.shifts[self.deviating]
        return sum(
            (part << shift for part, shift, used in zip(parts, shifts, self.used, strict=True) if used),
            self.zero,
        )

    def model(self, fields, going, beta):
        spec, f, n = self.spec, self.spec.formats, self.layer.index
        self.deviating = fields["nudge"]
        if not self.deviating:
            old = ops.State(*[self.zero] * 4) if fields["first"] else going.banks[0]
            parts = self.parts(self.drive(generator(), old, self.bias))
            return parts, ops.neuron(old, self.phi(parts), self.bias, None, spec, self.k, self.following, 0)
        begun, base = fine_spikes.begin_deviation(going.banks[0], self.bias, spec, self.k)
        old = going.banks[1] if fields["state_read"] else begun
        pull = None
        if self.unit.output:
            pull = ops.nudge(
                fine_spikes.whole(old.xi, base, spec), going.target, beta, -1 if fields["negative"] else 1, f
            )
        parts = self.parts(self.drift(generator(), old, base, 0 if pull is None else pull))
        return parts, fine_spikes.deviation(old, base, self.phi(parts), pull, spec, n, 0, self.k)

    def drift(self, rng, old, base, pull):
        """Return the phi that moves each neuron's deviation towards its aim.

        The aims are an extreme of d, an extreme of U (xi just large enough for a spike, or just too small), a
        rounding boundary of xi, or a random phi. pull: the nudge that is added to d, 0 except at the output
        layer.
        """
        f, k, bound, point = (
            self.spec.formats,
            self.k,
            self.bound,
            self.spec.schedule.fine[self.layer.index - 1],
        )
        before = ops.rhu(base.v << point, f.round_shift).clamp(0, f.one << point)
        sign = torch.from_numpy(rng.choice([1, -1], self.shape))
        spiking, silent = (f.threshold - sign * old.U + (1 << k)) >> k, (f.threshold - sign * old.U) >> k
        # `sign` gives either sign below; one + 1 makes up for rounding, so that xi's deviation reaches one
        any_xi = np.where(rng.random(self.shape) < 0.3, f.one + 1, rng.integers(0, f.one, self.shape))
        wanted = np.select([self.aims == "U low", self.aims == "U high"], [spiking, silent], any_xi)
        v = (before + sign * torch.from_numpy(wanted)) << f.round_shift
        v[self.aims == "rounding"] += 1 << (f.round_shift - 1)
        d = v - (base.v << point) - (pull << point)
        phi = (((d - old.d) << k) + old.d).clamp(-bound, bound).numpy()
        chance = rng.choice(
            [0, 1, -1, bound, -bound, *rng.integers(-bound, bound, 5, endpoint=True)], self.shape
        )
        chosen = [np.full(self.shape, -bound), np.full(self.shape, bound), chance]
        return torch.from_numpy(
            np.select([self.aims == "d low", self.aims == "d high", self.aims == "chance"], chosen, phi)
        )

    def finish(self, planned):
        if planned.phase == "minus":
            phases = (self.sums[planned.slot, phase] for phase in ("free", "plus", "minus"))
            found = finished(self.config, self.layer, *phases)
            self.sums |= {(planned.slot, name): sums for name, sums in found.items()}

    def note(self, planned, new):
        seen = self.moved if planned.phase != "free" else self.seen
        for field, x in new._asdict().items():
            low, high = seen[field]
            seen[field] = min(low, int(x.min())), max(high, int(x.max()))
