# amaranth: UnusedElaboratable=no
"""Neuron arrays against the golden model, with two interleaved samples.

Covers all phases, state banks, window sums, spikes, and the extremes of d, xi and U.
"""

import random

import cocotb
import numpy as np
import torch
from cocotb.triggers import gather

from nudge.golden.contract.spec import CLASSES
from nudge.golden.model import ops
from nudge.hw.core.interface import annealing, bias_word, trace_word
from nudge.hw.core.neuron_array import NeuronArray
from nudge.hw.synapse.interface import spikes_of
from sim.harness.networks import hidden_layer, output_layer
from sim.harness.random_values import generator, integers
from sim.harness.streams import FlowSource, Monitor, Port, StreamSource, start
from sim.harness.sums import compare_sums
from sim.harness.units import Recorder, each, expect, halves, pulse
from sim.harness.units import annealing as annealing_at
from sim.harness.words import layer_words, packed


def hidden(shape, lanes, at_once=None, *, window_log2=2, decay_shift=1, **rest):
    """Return the array of layer 1 with any shape."""
    return NeuronArray(
        *hidden_layer(shape, lanes, at_once, window_log2=window_log2, decay_shift=decay_shift, **rest)
    )


def output(lanes, at_once=None, *, window_log2=2, decay_shift=1, **rest):
    """Return the array of an output layer."""
    return NeuronArray(
        *output_layer(lanes, at_once, window_log2=window_log2, decay_shift=decay_shift, **rest)
    )


UNITS = {
    "array_3x2x3": hidden((3, 2, 3), 1, phi_bound=20000),
    "array_4x3x1": hidden((4, 3, 1), 2, phi_bound=9000, window_log2=3),
    "array_slow": hidden((2, 2, 2), 2, phi_bound=40000, decay_shift=3),
    "array_one": hidden((1, 1, 1), 1, phi_bound=5000, window_log2=0),
    "array_turns_3x3": hidden((9, 2, 1), 9, 3, phi_bound=20000),
    "array_turns_2x1": hidden((4, 2, 2), 2, 1, phi_bound=9000, window_log2=1),
    "array_one_word": hidden((4, 1, 1), 4, 1, phi_bound=20000),
    "array_output_turns": output(10, 2, phi_bound=15000),
    "array_output_1": output(1, phi_bound=20000),
    "array_output_5": output(5, phi_bound=6000, window_log2=3),
    "array_output_10": output(10, phi_bound=15000, decay_shift=2),
    "array_annealed": hidden((2, 2, 2), 2, phi_bound=40000, decay_shift=0, halvings=(1, 3, 9)),
    "array_weak_feedback": hidden((4, 2, 1), 2, phi_bound=9000, feedback_shift=2),
    "array_weak_feedback_annealed": hidden(
        (2, 2, 2), 2, phi_bound=20000, decay_shift=0, halvings=(1, 3), feedback_shift=3
    ),
    "array_weak_feedback_output": output(5, phi_bound=6000, feedback_shift=2),
    "array_alone": hidden((4, 2, 2), 2, 1, phi_bound=9000, window_log2=1, slots=1),
    "array_alone_output": output(5, phi_bound=6000, slots=1),
    "array_annealed_output": output(5, phi_bound=20000, decay_shift=1, halvings=(2, 5)),
}
AIMS = ("U low", "U high", "rounding", "d low", "d high", "chance")


@cocotb.test()
async def steps_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    array = Driver(dut, name, unit)
    spec, window = unit.config.spec, unit.config.spec.schedule.window

    def steps(count):
        """Draw each sample's (free, nudged) sweeps; d settles in the free phase, so every aim is reached."""
        return [
            (window + (8 << spec.schedule.last_shift), window + random.randint(0, 9)) for _ in range(count)
        ]

    # two samples together, and single samples in either slot
    await array.load_biases()
    await array.run(0, steps(2))
    await array.run(2, steps(1))
    await array.load_biases()
    await array.clear()
    await array.run(3, steps(3))
    # a neuron that starts at U = 0 gets no nearer to the bounds of U
    f, step = spec.formats, 1 << spec.schedule.last_shift
    membrane = spec.membrane_low + step, spec.membrane_high + 1 - step
    bounds = {"d": (f.decoder_low, f.decoder_high), "U": membrane, "s": (0, 1), "xi": (0, f.one)}
    assert array.seen == bounds, f"{name}: only reached {array.seen}, expected {bounds}"


class Going:
    """A sample in progress: label, aims, and the model's state and window sum."""

    def __init__(self, unit, sample):
        self.label, zero = random.randrange(CLASSES), torch.zeros((1, *unit.layer.shape), dtype=torch.int64)
        self.target = (torch.arange(CLASSES) == self.label).long()[
            :, None, None
        ] * unit.config.spec.formats.one
        # the aim of each neuron's drive, which moves on by one neuron from sample to sample
        self.aims = np.resize(np.roll(AIMS, sample), unit.layer.neurons).reshape(zero.shape)
        self.banks: dict[int, ops.State] = {}
        self.sum = zero


class Driver:
    """Drive the ports of a neuron array, and compute its model."""

    def __init__(self, dut, name, unit):
        self.dut, self.name, self.unit = dut, name, unit
        self.config, self.layer, self.spec = unit.config, unit.layer, unit.config.spec
        self.words, self.lanes = unit.words, unit.config.lanes[unit.layer.index]
        self.port = Port(dut, name)
        sides = ("below",) if unit.output else ("below", "above")
        self.sources = [StreamSource(dut, f"{name}__{side}") for side in sides]
        self.trace, self.spikes = Monitor(dut, f"{name}__trace"), Monitor(dut, f"{name}__spikes")
        self.taken = Recorder(
            dut, *(f"{name}__{side}__{end}" for side in sides for end in ("valid", "ready"))
        )
        self.shape = (1, *self.layer.shape)
        self.zero = torch.zeros(self.shape, dtype=torch.int64)
        #: Left shift of the drive from below relative to the one from above (0 at the output layer, which has
        #: none from above), and of phi to d's LSB.
        self.ahead = 0 if unit.output else self.spec.schedule.feedback_shift
        self.shift = self.spec.formats.drive_shift - self.ahead
        self.count = 0
        #: The last complete sums, by slot and phase.
        self.sums: dict[tuple[int, str], torch.Tensor] = {}
        self.seen = dict.fromkeys(ops.State._fields, (1 << 20, -(1 << 20)))

    @property
    def bound(self):
        """Largest |phi|."""
        return self.layer.phi_bound << self.ahead

    async def load_biases(self):
        """Load random biases, their words in random order."""
        f, shape = self.spec.formats, bias_word(self.config, self.layer)
        bias = integers(f.bias_low, f.bias_high, (self.layer.channels,))
        rows = bias.reshape(-1, self.lanes).tolist()
        words = [shape.const({"address": n, "bias": row}).as_bits() for n, row in enumerate(rows)]
        await FlowSource(self.dut, f"{self.name}__bias").send(random.sample(words, len(words)), gap=0.3)
        self.bias = bias[:, None, None]

    async def clear(self):
        """Zero the spike counter."""
        await pulse(self.port.clear, self.port.edge)
        self.count = 0

    async def run(self, first, steps):
        """Run samples alternately in both slots, numbered from `first`; compare the sums after each phase.

        steps: (free, nudged) sweeps of each sample.
        """
        f = self.spec.formats
        beta = random.choice((1, (1 << f.beta_bits) - 1, random.randint(2, 1 << (f.beta_bits - 1))))
        if self.unit.output:
            self.port.beta.value = beta
        going: dict[int, Going] = {}
        schedule = self.spec.schedule
        for number, half in enumerate(
            halves(schedule.window, steps, first, fine=bool(schedule.fine), slots=self.config.slots)
        ):
            planned = half[self.layer.index % 2]
            if planned.idle:
                await self.rest(f"{self.name}, half {number} without a sample", planned)
                continue
            if planned.fields["first"]:
                going[planned.slot] = Going(self.unit, planned.sample)
            free = steps[planned.sample - first][0]
            annealed = annealing_at(schedule.halvings, planned.phase, planned.t, free)
            if schedule.halvings:
                self.port.annealing.value = annealing(self.config).const(annealed).as_bits()
            self.k = schedule.decay_shift + annealed["halved"]
            self.following = self.k + annealed["falls"]
            where = f"{self.name}, sample {planned.sample}, {planned.phase} sweep {planned.t}"
            await self.sweep(where, planned, going[planned.slot], beta)

    async def rest(self, where, planned):
        """Run an idle half: drives are taken and zero spikes sent, with no trace and no spikes counted."""
        traced, bound = len(self.trace.words), self.bound
        phi = torch.from_numpy(generator().integers(-bound, bound, self.shape, endpoint=True))
        await self.step(where, planned, self.parts(phi))
        assert len(self.trace.words) == traced, f"{where}: a trace of nothing"
        sent = [spikes_of(self.config, self.layer).from_bits(bits) for bits in self.spikes.words[self.sent :]]
        expect(f"{where}, spikes", [(w.address, w.spikes) for w in sent], [(n, 0) for n in range(self.words)])
        assert int(self.port.spike_count.value) == self.count, f"{where}: spikes were counted"

    async def sweep(self, where, planned, going, beta):
        """Run and compare the layer's half of one sweep of a sample."""
        fields = planned.fields
        if self.unit.output:
            self.port.label.value = going.label
        self.aims = going.aims
        parts, new = self.model(fields, going, beta)
        await self.step(where, planned, parts)
        self.compare(where, planned, new)
        going.banks[fields["state_write"]] = new
        if fields["sum"]:
            going.sum = new.xi + (0 if fields["sum_first"] else going.sum)
        if fields["sum_last"]:
            self.sums[planned.slot, planned.phase] = going.sum
            self.finish(planned)
            await compare_sums(where, self.port, self.unit, self.sums)

    def model(self, fields, going, beta):
        """Return the drive from each side, and the model's state after them."""
        old = ops.State(*[self.zero] * 4) if fields["first"] else going.banks[fields["state_read"]]
        sign = -1 if fields["negative"] else 1
        pull = (
            ops.nudge(old.xi, going.target, beta, sign, self.spec.formats)
            if self.unit.output and fields["nudge"]
            else None
        )
        phi = self.drive(generator(), old, self.bias if pull is None else self.bias + pull)
        return self.parts(phi), ops.neuron(
            old, phi, self.bias, pull, self.spec, self.k, self.following, self.shift
        )

    def finish(self, planned):
        """Process the complete sums of a phase; a subclass may override this."""

    def drive(self, rng, old, offset):
        """Return the phi that moves each neuron from state `old` towards its aim.

        offset: bias and nudge, which are added to d.
        """
        f, k, bound = self.spec.formats, self.k, self.bound
        # U falls most when xi just suffices for a spike, and rises most when it just doesn't
        spiking, silent = (
            ((f.threshold - old.U + (1 << k)) >> k).clamp(0, f.one),
            ((f.threshold - old.U) >> k).clamp(0, f.one),
        )
        wanted = np.select(
            [self.aims == "U low", self.aims == "U high"],
            [spiking, silent],
            rng.integers(0, f.one, self.shape),
        )
        v = wanted << f.round_shift
        # half an LSB of xi: the point where rounding goes up
        v[self.aims == "rounding"] += 1 << (f.round_shift - 1)
        d = torch.from_numpy(v) - offset
        phi = ((((d - old.d) << k) + old.d) >> self.shift).clamp(-bound, bound).numpy()
        chance = rng.choice(
            [0, 1, -1, bound, -bound, *rng.integers(-bound, bound, 5, endpoint=True)], self.shape
        )
        chosen = [np.full(self.shape, -bound), np.full(self.shape, bound), chance]
        conditions = [self.aims == "d low", self.aims == "d high", self.aims == "chance"]
        return torch.from_numpy(np.select(conditions, chosen, phi))

    def parts(self, phi):
        """Split phi into drives from below and above, within +-phi_bound: (below << ahead) + above = phi.

        The output layer has a drive from below only.
        """
        if self.unit.output:
            return [phi]
        bound = self.layer.phi_bound
        low, high = (
            (-((bound - phi) >> self.ahead)).clamp(min=-bound),
            ((phi + bound) >> self.ahead).clamp(max=bound),
        )
        share = torch.from_numpy(generator().random(self.shape))
        below = low + ((high - low) * share).long()
        return [below, phi - (below << self.ahead)]

    async def step(self, where, planned, parts):
        """Run one step of the array: start it, and send the drives with random stalls."""
        self.port.step.value = planned.bits
        words = [packed(layer_words(self.config, self.layer, part[0]), self.layer.phi_bits) for part in parts]
        self.done, self.sent = len(self.trace.words), len(self.spikes.words)
        puts = [
            cocotb.start_soon(source.put(column, stall=random.choice((0.0, 0.0, 0.4))))
            for source, column in zip(self.sources, words, strict=True)
        ]
        for _ in range(random.choice((0, 0, 5))):
            await self.port.edge
            assert not self.port.busy.value, f"{where}: busy without start"
        await pulse(self.port.start, self.port.edge)
        await self.port.edge
        assert self.port.busy.value, f"{where}: not busy after start"
        for _ in range(50 * self.unit.parts + 100):
            await self.port.edge
            if not self.port.busy.value:
                break
        else:
            raise AssertionError(f"{where}: doesn't end")
        await gather(*puts)
        for _ in range(2):  # the spike count follows
            await self.port.edge

    def compare(self, where, planned, new):
        """Compare the trace, the spikes, their latency and their count with the model's state `new`."""
        words, rows = self.words, [layer_words(self.config, self.layer, x[0]).tolist() for x in new]
        got = [trace_word(self.config, self.layer).from_bits(bits) for bits in self.trace.words[self.done :]]
        assert {word.slot for word in got} == {planned.slot}, f"{where}: trace of another slot"
        expect(f"{where}, trace address", [w.address for w in got], range(words), ("word",))
        spike_bits = packed(rows[2], self.spec.spike_bits)
        columns = {
            "d": [list(w.d) for w in got],
            "U": [list(w.u) for w in got],
            "xi": [list(w.xi) for w in got],
        }
        for field, column in columns.items():
            expect(f"{where}, {field}", column, rows[new._fields.index(field)])
        expect(f"{where}, s", [w.s for w in got], spike_bits, ("word",))
        self.note(planned, new)
        shape = spikes_of(self.config, self.layer)
        sent = [shape.from_bits(bits) for bits in self.spikes.words[self.sent :]]
        expect(f"{where}, spike address", [w.address for w in sent], range(words), ("word",))
        expect(f"{where}, spikes", [w.spikes for w in sent], spike_bits, ("word",))
        cycles = [cycle + self.unit.latency for cycle in self.taken.cycles[self.sent :]]
        expect(f"{where}, cycle of the spikes", self.spikes.cycles[self.sent :], cycles, ("word",))
        self.count += int(new.s.count_nonzero())
        count = int(self.port.spike_count.value)
        assert count == self.count, f"{where}: spike count {count}, expected {self.count}"

    def note(self, planned, new):
        """Update the smallest and largest value of each quantity."""
        for field, x in new._asdict().items():
            low, high = self.seen[field]
            self.seen[field] = min(low, int(x.min())), max(high, int(x.max()))
