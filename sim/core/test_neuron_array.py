# amaranth: UnusedElaboratable=no
"""Neuron arrays against golden, step by step: all phases, state banks, window sums, spikes, extremes of d, xi and U."""

import random
from dataclasses import replace

import cocotb
import numpy as np
import torch
from cocotb.triggers import gather

from golden.contract.config import Config
from golden.contract.shapes import Layer
from golden.contract.spec import CLASSES
from golden.model import ops
from hw.core.interface import bias_word, trace_word
from hw.core.neuron_array import NeuronArray
from hw.synapse.interface import Step, spike_word
from hw.update.interface import sums_word
from sim.harness.networks import config_of
from sim.harness.random_values import generator, integers
from sim.harness.streams import FlowSource, Monitor, Port, StreamSource, start
from sim.harness.units import Recorder, each, expect, plan, pulse
from sim.harness.words import layer_words, packed


def hidden(shape, lanes, *, phi_bound, window_log2=2, decay_shift=1):
    """The array of layer 1 of any shape."""
    config = config_of((shape[0], 1), (lanes, 1), dense=False, window_log2=window_log2, decay_shift=decay_shift)
    return NeuronArray(config, Layer(1, *shape, phi_bound=phi_bound))


def output(lanes, *, phi_bound, window_log2=2, decay_shift=1):
    """The array of an output layer."""
    spec = config_of((1, 1), (1, 1), dense=True, window_log2=window_log2, decay_shift=decay_shift).spec
    config = Config(spec, (*(1,) * (len(spec.layers) - 1), lanes))
    return NeuronArray(config, replace(spec.layers[-1], phi_bound=phi_bound))


UNITS = {
    "array_3x2x3": hidden((3, 2, 3), 1, phi_bound=20000),
    "array_4x3x1": hidden((4, 3, 1), 2, phi_bound=9000, window_log2=3),
    "array_slow": hidden((2, 2, 2), 2, phi_bound=40000, decay_shift=3),
    "array_one": hidden((1, 1, 1), 1, phi_bound=5000, window_log2=0),
    "array_output_1": output(1, phi_bound=20000),
    "array_output_5": output(5, phi_bound=6000, window_log2=3),
    "array_output_10": output(10, phi_bound=15000, decay_shift=2),
}
AIMS = ("U low", "U high", "rounding", "d low", "d high", "chance")
SAMPLES = len(AIMS)


@cocotb.test()
async def steps_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    array = Driver(dut, name, unit)
    spec, window = unit.config.spec, unit.config.spec.schedule.window
    for sample in range(SAMPLES):
        if sample in (0, 2):
            await array.load_biases()
        if sample == 3:
            await array.clear()
        await array.sample(sample, free=window + (8 << spec.schedule.decay_shift), nudged=window + random.randint(0, 9))
    # from rest U gets no nearer to its bounds than this
    f, step = spec.formats, 1 << spec.schedule.decay_shift
    membrane = spec.membrane_low + step, spec.membrane_high + 1 - step
    bounds = {"d": (f.decoder_low, f.decoder_high), "U": membrane, "s": (0, 1), "xi": (0, f.one)}
    assert array.seen == bounds, f"{name}: only reached {array.seen}, expected {bounds}"


class Driver:
    """The array's neighbours and its model."""

    def __init__(self, dut, name, unit):
        self.dut, self.name, self.unit = dut, name, unit
        self.config, self.layer, self.spec = unit.config, unit.layer, unit.config.spec
        self.words, self.lanes = unit.config.words(unit.layer), unit.config.lanes[unit.layer.index]
        self.port = Port(dut, name)
        sides = ("below",) if unit.output else ("below", "above")
        self.sources = [StreamSource(dut, f"{name}__{side}") for side in sides]
        self.trace, self.spikes = Monitor(dut, f"{name}__trace"), Monitor(dut, f"{name}__spikes")
        self.taken = Recorder(dut, *(f"{name}__{side}__{end}" for side in sides for end in ("valid", "ready")))
        self.shape = (1, *self.layer.shape)
        self.zero = torch.zeros(self.shape, dtype=torch.int64)
        self.count = 0
        self.sums = {"plus": self.zero, "minus": self.zero}
        self.seen = dict.fromkeys(ops.State._fields, (1 << 20, -(1 << 20)))

    async def load_biases(self):
        """New biases, in any order."""
        f, shape = self.spec.formats, bias_word(self.config, self.layer)
        bias = integers(f.bias_low, f.bias_high, (self.layer.channels,))
        rows = bias.reshape(-1, self.lanes).tolist()
        words = [shape.const({"address": n, "bias": row}).as_bits() for n, row in enumerate(rows)]
        await FlowSource(self.dut, f"{self.name}__bias").send(random.sample(words, len(words)), gap=0.3)
        self.bias = bias[:, None, None]

    async def clear(self):
        """Zeroes the spike counter."""
        await pulse(self.port.clear, self.port.edge)
        self.count = 0

    async def sample(self, sample, free, nudged):
        """All steps of one sample; sums are compared after each phase."""
        spec, f = self.spec, self.spec.formats
        label = random.randrange(CLASSES)
        beta = random.choice((1, (1 << f.beta_bits) - 1, random.randint(2, 1 << (f.beta_bits - 1))))
        if self.unit.output:
            self.port.label.value, self.port.beta.value = label, beta
        target = (torch.arange(CLASSES) == label).long()[:, None, None] * f.one
        rng = generator()
        # what each neuron's drive is for: its bounds, another one in each sample, or chance
        self.aims = np.resize(np.roll(AIMS, sample), self.layer.neurons).reshape(self.shape)
        banks: dict[int, ops.State] = {}
        for planned in plan(spec.schedule.window, free, nudged):
            fields, where = planned.fields, f"{self.name}, sample {sample}, {planned.phase} step {planned.t}"
            old = ops.State(*[self.zero] * 4) if fields["first"] else banks[fields["state_read"]]
            sign = -1 if fields["negative"] else 1
            pull = ops.nudge(old.xi, target, beta, sign, f) if self.unit.output and fields["nudge"] else None
            phi = self.drive(rng, old, self.bias if pull is None else self.bias + pull)
            new = ops.neuron(old, phi, self.bias, pull, spec)
            await self.step(where, fields, phi)
            self.compare(where, new)
            banks[fields["state_write"]] = new
            if fields["sum"]:
                side = "minus" if fields["negative"] else "plus"
                self.sums[side] = new.xi + (0 if fields["sum_first"] else self.sums[side])
                if planned.t + 1 in (free, nudged) and random.random() < 0.9:
                    await self.compare_sums(where, ["plus"] if planned.phase != "minus" else ["plus", "minus"])

    def drive(self, rng, old, offset):
        """phi that takes each neuron towards its aim, given the state before; offset: what is added to d."""
        f, k, bound = self.spec.formats, self.spec.schedule.decay_shift, self.layer.phi_bound
        # U falls most if xi just suffices for a spike, and rises most if it just doesn't
        spiking, silent = ((f.threshold - old.U + (1 << k)) >> k).clamp(0, f.one), ((f.threshold - old.U) >> k).clamp(0, f.one)
        wanted = np.select([self.aims == "U low", self.aims == "U high"], [spiking, silent], rng.integers(0, f.one, self.shape))
        v = wanted << f.round_shift
        # xi changes where v is half a step further
        v[self.aims == "rounding"] += 1 << (f.round_shift - 1)
        d = torch.from_numpy(v) - offset
        phi = ((((d - old.d) << k) + old.d) >> f.drive_shift).clamp(-bound, bound).numpy()
        chance = rng.choice([0, 1, -1, bound, -bound, *rng.integers(-bound, bound, 5, endpoint=True)], self.shape)
        chosen = [np.full(self.shape, -bound), np.full(self.shape, bound), chance]
        conditions = [self.aims == "d low", self.aims == "d high", self.aims == "chance"]
        return torch.from_numpy(np.select(conditions, chosen, phi))

    async def step(self, where, fields, phi):
        """Both drives with stalls, to the end of the step."""
        bound, bits = self.layer.phi_bound, self.layer.phi_bits
        parts = [phi]
        if not self.unit.output:
            # below + above = phi, both within the bound
            low, high = (phi - bound).clamp(min=-bound), (phi + bound).clamp(max=bound)
            share = torch.from_numpy(generator().random(self.shape))
            parts = [low + ((high - low) * share).long()]
            parts.append(phi - parts[0])
        self.port.step.value = Step.const(fields).as_bits()
        words = [packed(layer_words(self.config, self.layer, part[0]), bits) for part in parts]
        self.done = len(self.trace.words)
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
        for _ in range(50 * self.words + 100):
            await self.port.edge
            if not self.port.busy.value:
                break
        else:
            raise AssertionError(f"{where}: doesn't end")
        await gather(*puts)
        for _ in range(2):  # the spike count follows
            await self.port.edge

    def compare(self, where, new):
        """Trace, spikes, their latency and their count."""
        words, rows = self.words, [layer_words(self.config, self.layer, x[0]).tolist() for x in new]
        got = [trace_word(self.config, self.layer).from_bits(bits) for bits in self.trace.words[self.done :]]
        expect(f"{where}, trace address", [w.address for w in got], range(words), ("word",))
        spike_bits = packed(rows[2], 1)
        columns = {"d": [list(w.d) for w in got], "U": [list(w.u) for w in got], "xi": [list(w.xi) for w in got]}
        for field, column in columns.items():
            expect(f"{where}, {field}", column, rows[new._fields.index(field)])
        expect(f"{where}, s", [w.s for w in got], spike_bits, ("word",))
        for field, x in new._asdict().items():
            low, high = self.seen[field]
            self.seen[field] = min(low, int(x.min())), max(high, int(x.max()))

        shape = spike_word(words, self.lanes)
        sent = [shape.from_bits(bits) for bits in self.spikes.words[self.done :]]
        expect(f"{where}, spike address", [w.address for w in sent], range(words), ("word",))
        expect(f"{where}, spikes", [w.spikes for w in sent], spike_bits, ("word",))
        cycles = [cycle + self.unit.latency for cycle in self.taken.cycles[self.done :]]
        expect(f"{where}, cycle of the spikes", self.spikes.cycles[self.done :], cycles, ("word",))
        self.count += int(new.s.sum())
        count = int(self.port.spike_count.value)
        assert count == self.count, f"{where}: spike count {count}, expected {self.count}"

    async def compare_sums(self, where, sides):
        """Both read ports, at different addresses in each cycle; data belong to the address of the cycle before."""
        shape = sums_word(self.config, self.layer)
        rows = {side: layer_words(self.config, self.layer, self.sums[side][0]) for side in sides}
        asked: list[tuple[int, int]] = []
        for _ in range(2 * self.words + 2):
            asked.append((random.randrange(self.words), len(asked) % self.words))
            self.port.post_address.value, self.port.pre_address.value = asked[-1]
            await self.port.edge
            if len(asked) > 1:
                values = self.port.post_sums.value, self.port.pre_sums.value
                for kind, at, value in zip(("post", "pre"), asked[-2], values, strict=True):
                    word = shape.from_bits(int(value))
                    for side in sides:
                        expect(f"{where}, {kind} port, word {at}, {side} sum", list(word[side]), rows[side][at], ("lane",))
