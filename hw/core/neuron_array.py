"""Sigma-delta neuron array: the drives of a layer become membrane potentials, spikes and window sums."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import protocol
from golden.contract.config import Config
from golden.contract.shapes import Layer
from hw.lib.block_memory import BlockMemory
from hw.lib.flow import Flow
from hw.lib.saturate import saturated
from hw.synapse.interface import Step, drive, spike_word
from hw.update.interface import sums_word

from .interface import bias_word, trace_word


class NeuronArray(wiring.Component):
    """One step of a layer: ``lanes`` neurons a cycle, words in order. Model: `golden.model.ops.neuron` (paper eq. 10, U form).

    Parameters
    ----------
    config : Config
    layer : Layer
        Layer 1..N; the last one has no ``above``, and is nudged.

    Members
    -------
    step : In(Step), start : In(1), busy : Out(1)
        One cycle of ``start`` begins a pass over all words; ``busy`` is high from the next cycle until all is written.
    below, above : In(stream.Signature(drive))
        Forward drive of the bundle below, backward drive of the one above; a word is taken when both are there.
    bias : In(Flow(bias_word))
        Write of the working biases, while not busy.
    spikes : Out(Flow(spike_word))
        New spikes, `latency` cycles after the drives.
    post_address, pre_address : In, post_sums, pre_sums : Out(sums_word)
        Two synchronous read ports of the window sums, for the update engines of the bundle whose post layer and of the
        one whose pre layer this is; the first not during steps that sum.
    label, beta : In
        Output layer only: the class that is 1 in y, and the strength of the nudge, LSB 2^-8.
    clear : In(1), spike_count : Out(32)
        Spikes since ``clear``, mod 2^32; follows two cycles after they are sent.
    trace : Out(Flow(trace_word))
        For benches; costs nothing if nothing reads it.

    d saturates to 16 bits; xi is clipped to 0..256; U stays within `Spec.membrane_low` .. `membrane_high` and a window
    sum within `Spec.sum_bits` by construction.
    """

    #: Cycles from a drive to its spike.
    latency = 4

    def __init__(self, config: Config, layer: Layer):
        self.config, self.layer = config, layer
        self.output = layer.index == len(config.spec.layers) - 1
        words, lanes = config.words(layer), config.lanes[layer.index]
        address = bits_for(words - 1)
        members = {
            "step": In(Step),
            "start": In(1),
            "busy": Out(1),
            "below": In(stream.Signature(drive(config, layer))),
            "bias": In(Flow(bias_word(config, layer))),
            "spikes": Out(Flow(spike_word(words, lanes))),
            "post_address": In(address),
            "post_sums": Out(sums_word(config, layer)),
            "pre_address": In(address),
            "pre_sums": Out(sums_word(config, layer)),
            "clear": In(1),
            "spike_count": Out(32),
            "trace": Out(Flow(trace_word(config, layer))),
        }
        if self.output:
            members |= {"label": In(bits_for(protocol.LABELS - 1)), "beta": In(config.spec.formats.beta_bits)}
        else:
            members |= {"above": In(stream.Signature(drive(config, layer)))}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config, layer, spec = self.config, self.layer, self.config.spec
        f, k = spec.formats, spec.schedule.decay_shift
        words, lanes, groups = config.words(layer), config.lanes[layer.index], config.groups(layer)

        # State of one neuron. Only the output layer needs the last xi: the nudge pulls it towards y.
        fields = {"d": signed(f.decoder_bits), "u": signed(spec.membrane_bits)}
        if self.output:
            fields["xi"] = unsigned(spec.state_bits)
        state = data.ArrayLayout(data.StructLayout(fields), lanes)
        m.submodules.state = states = BlockMemory(shape=state, depth=2 << bits_for(words - 1))
        state_read, state_write = states.read_port(), states.write_port()
        biases = data.ArrayLayout(signed(f.bias_bits), lanes)
        m.submodules.bias = bias_memory = BlockMemory(shape=biases, depth=groups)
        bias_read, bias_write = bias_memory.read_port(), bias_memory.write_port()
        m.d.comb += [
            bias_write.addr.eq(self.bias.payload.address),
            bias_write.data.eq(self.bias.payload.bias),
            bias_write.en.eq(self.bias.valid),
        ]

        # -- take a word of drives
        running, word = Signal(), Signal(range(words))
        position, group = Signal(range(layer.positions)), Signal(range(groups))
        take = Signal()
        if self.output:
            m.d.comb += [take.eq(running & self.below.valid), self.below.ready.eq(running)]
        else:
            m.d.comb += take.eq(running & self.below.valid & self.above.valid)
            m.d.comb += [self.below.ready.eq(running & self.above.valid), self.above.ready.eq(running & self.below.valid)]
        with m.If(take):
            m.d.sync += [word.eq(word + 1), position.eq(position + 1)]
            with m.If(position == layer.positions - 1):
                m.d.sync += [position.eq(0), group.eq(group + 1)]
            with m.If(word == words - 1):
                m.d.sync += [word.eq(0), group.eq(0), running.eq(0)]
        with m.Elif(self.start):
            m.d.sync += running.eq(1)
        m.d.comb += [state_read.addr.eq(Cat(self._padded(word), self.step.state_read)), bias_read.addr.eq(group)]

        # -- stage 1: phi, and the state has been read
        valid1, word1 = Signal(), Signal.like(word)
        phi = Signal(self.below.payload.shape(), reset_less=True)
        m.d.sync += [valid1.eq(take), word1.eq(word)]
        for lane in range(lanes):
            above = 0 if self.output else self.above.payload[lane]
            m.d.sync += phi[lane].eq(self.below.payload[lane] + above)

        # -- stage 2: the state is in registers, since block RAM is slow; in the output layer, how far it is from the target
        valid2, word2 = Signal(), Signal.like(word)
        m.d.sync += [valid2.eq(valid1), word2.eq(word1)]
        old2, bias2 = Signal(state, name="old2", reset_less=True), Signal(biases, name="bias2", reset_less=True)
        phi2 = Signal.like(phi)
        away2 = [Signal(signed(spec.state_bits + 1), name=f"away2_{i}", reset_less=True) for i in range(lanes)]
        group1 = Signal.like(group)
        m.d.sync += [group1.eq(group), phi2.eq(phi), bias2.eq(bias_read.data)]
        for lane in range(lanes):
            m.d.sync += old2[lane].eq(state_read.data[lane])
            if self.output:
                target = Signal(spec.state_bits, name=f"target_{lane}")
                xi = Mux(self.step.first, 0, state_read.data[lane].xi)
                m.d.comb += target.eq(Mux(self.label == group1 * lanes + lane, f.one, 0))
                m.d.sync += away2[lane].eq(Mux(self.step.negative, xi - target, target - xi))
        # A sample starts from zeros, by the registers' reset
        with m.If(self.step.first):
            m.d.sync += old2.eq(0)

        # -- stage 3: d; the nudge of the output layer
        valid3, word3 = Signal(), Signal.like(word)
        m.d.sync += [valid3.eq(valid2), word3.eq(word2)]
        d3 = [Signal(signed(f.decoder_bits), name=f"d3_{i}", reset_less=True) for i in range(lanes)]
        u3 = [Signal(signed(spec.membrane_bits), name=f"u3_{i}", reset_less=True) for i in range(lanes)]
        pull3 = [Signal(signed(f.decoder_bits), name=f"pull3_{i}", reset_less=True) for i in range(lanes)]
        bias3 = Signal.like(bias2)
        m.d.sync += bias3.eq(bias2)
        for lane in range(lanes):
            exact = Signal(signed(layer.phi_bits + f.drive_shift + 2), name=f"exact_{lane}")
            # d + ((phi - d) >> k) with one adder less, if k = 1
            rest = old2[lane].d if k == 1 else (old2[lane].d << k) - old2[lane].d
            m.d.comb += exact.eq(((phi2[lane] << f.drive_shift) + rest) >> k)
            m.d.sync += [d3[lane].eq(saturated(exact, f.decoder_bits)), u3[lane].eq(old2[lane].u)]
            if self.output:
                m.d.sync += pull3[lane].eq(Mux(self.step.nudge, (away2[lane] * self.beta) >> f.nudge_shift, 0))

        # -- stage 4: xi, and the window sums are in registers
        valid4, word4 = Signal(), Signal.like(word)
        m.d.sync += [valid4.eq(valid3), word4.eq(word3)]
        xi4 = [Signal(spec.state_bits, name=f"xi4_{i}", reset_less=True) for i in range(lanes)]
        u4 = [Signal.like(u, name=f"u4_{i}") for i, u in enumerate(u3)]
        d4 = [Signal.like(d, name=f"d4_{i}") for i, d in enumerate(d3)]
        one_bits = bits_for(f.one) - 1
        for lane in range(lanes):
            total = Signal(signed(f.decoder_bits + 2), name=f"total_{lane}")
            rounded = Signal(signed(f.decoder_bits + 2 - f.round_shift), name=f"rounded_{lane}")
            m.d.comb += total.eq(d3[lane] + bias3[lane] + (pull3[lane] if self.output else 0) + (1 << (f.round_shift - 1)))
            m.d.comb += rounded.eq(total >> f.round_shift)
            # from 1 on, whatever is above it: one is a power of two
            m.d.sync += xi4[lane].eq(Mux(rounded[-1], 0, Mux((rounded >> one_bits).any(), f.one, rounded[:one_bits])))
            m.d.sync += [u4[lane].eq(u3[lane]), d4[lane].eq(d3[lane])]

        # -- write back: spike, membrane potential, state
        spikes, written = Signal(lanes), Signal(state)
        membranes = [Signal(signed(spec.membrane_bits), name=f"membrane_{i}") for i in range(lanes)]
        for lane in range(lanes):
            weighed, sum_ = (Signal(signed(spec.membrane_bits + k + 1), name=f"{name}_{lane}") for name in ("weighed", "sum"))
            m.d.comb += [weighed.eq(u4[lane] + (xi4[lane] << k)), sum_.eq(u4[lane] + xi4[lane])]
            # above the threshold, a power of two: without a comparator
            over = (weighed >> one_bits).any() | (weighed[one_bits - 1] & weighed[: one_bits - 1].any())
            m.d.comb += spikes[lane].eq(~weighed[-1] & over)
            # a spike takes 1 away, which the low bits don't see
            m.d.comb += membranes[lane].eq(Cat(sum_[:one_bits], (sum_ >> one_bits) - spikes[lane]))
            m.d.comb += [written[lane].d.eq(d4[lane]), written[lane].u.eq(membranes[lane])]
            if self.output:
                m.d.comb += written[lane].xi.eq(xi4[lane])
        m.d.comb += [
            state_write.addr.eq(Cat(self._padded(word4), self.step.state_write)),
            state_write.data.eq(written),
            state_write.en.eq(valid4),
            self.spikes.valid.eq(valid4),
            self.spikes.payload.address.eq(word4),
            self.spikes.payload.spikes.eq(spikes),
            self.busy.eq(running | valid1 | valid2 | valid3 | valid4),
        ]
        new, new_spikes = Signal(lanes), Signal(range(lanes + 1))
        m.d.sync += [new.eq(Mux(valid4, spikes, 0)), new_spikes.eq(sum(new[1:], new[0]))]
        m.d.sync += self.spike_count.eq(Mux(self.clear, 0, self.spike_count) + new_spikes)
        self._window_sums(m, word2, word4, valid4, xi4)

        m.d.comb += [self.trace.valid.eq(valid4), self.trace.payload.address.eq(word4), self.trace.payload.s.eq(spikes)]
        for lane in range(lanes):
            m.d.comb += [
                self.trace.payload.d[lane].eq(d4[lane]),
                self.trace.payload.xi[lane].eq(xi4[lane]),
                self.trace.payload.u[lane].eq(membranes[lane]),
            ]
        return m

    def _padded(self, word):
        """The word's number, wide enough to put a bank number above it."""
        width = bits_for(self.config.words(self.layer) - 1)
        return Cat(word, Const(0, width - len(word)))

    def _window_sums(self, m, read_word, word, valid, xi):
        """Two memories, read two cycles before the write and by both neighbours' update engines."""
        lanes = data.ArrayLayout(unsigned(self.config.spec.sum_bits), self.config.lanes[self.layer.index])
        old, new = Signal(lanes, name="old_sums", reset_less=True), Signal(lanes, name="new_sums")
        for lane, state in enumerate(xi):
            m.d.comb += new[lane].eq(old[lane] + state)
        for name, negative in (("plus", 0), ("minus", 1)):
            memory = BlockMemory(shape=lanes, depth=self.config.words(self.layer))
            m.submodules[f"sums_{name}"] = memory
            post, pre, write = memory.read_port(), memory.read_port(), memory.write_port()
            m.d.comb += [
                post.addr.eq(Mux(self.busy & self.step.sum, read_word, self.post_address)),
                pre.addr.eq(self.pre_address),
                self.post_sums[name].eq(post.data),
                self.pre_sums[name].eq(pre.data),
                write.addr.eq(word),
                write.en.eq(valid & self.step.sum & (self.step.negative == negative)),
            ]
            m.d.comb += write.data.eq(new)
            with m.If(self.step.negative == negative):
                m.d.sync += old.eq(post.data)
        with m.If(self.step.sum_first):
            m.d.sync += old.eq(0)
