"""Sigma-delta neuron array: from a layer's drives to membrane potentials, spikes and xi."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.bounds import bounded, wraps
from nudge.hw.lib.chosen import chosen
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.rounding import clipped
from nudge.hw.lib.saturate import saturated
from nudge.hw.lib.state_bank import Bank
from nudge.hw.lib.turns import padded, slice_of, word_of
from nudge.hw.synapse.interface import Step, drive, slot_bits, spikes_of

from .array_pass import pass_over, staged
from .encoder import Encoder
from .interface import annealing, bias_word, label_bits, trace_word, xi_shape
from .window_sums import WindowSums, connect_readers, readers


class NeuronArray(wiring.Component):
    """One step of a layer for one of the samples in flight: all words in order, `Config.turns` cycles each.

    With phi in d's LSB, lambda = 2^-k and y = 1 for the label, else 0:

        d[t+1]   = saturate(d[t] + ((phi[t] - d[t]) >> k))
        nudge[t] = +-beta (y - xi[t]) in the output layer's nudged phases, else 0
        xi[t+1]  = clip(rhu(d[t+1] + bias + nudge[t], `round_shift`), 0, 1)

    `Encoder` computes spikes and U from xi.

    With several turns the lanes of a word are processed one part after another, which takes less logic;
    drives and spikes remain whole words. Each sample has its own banks of the state and of all window sums.
    Without a sample (`Step.idle`) drives are taken and zeros are sent as spikes.

    d saturates to 16 bits; xi is clipped to 0..256; U stays within `Spec.membrane_low` ..
    `membrane_high` and a sum over the averaging window within `Spec.sum_bits` by construction.
    Latency: `latency`.
    Integer model: `golden.model.ops.neuron` (paper eq. 10, U form).

    Parameters
    ----------
    config : Config
    layer : Layer
        Layer 1..N; the last one, the output, has no ``above`` and is nudged.

    Members
    -------
    step : In(Step)
        The half of a sweep that ``start`` begins.
    start : In(1)
        One-cycle pulse: begins a pass over all words.
    busy : Out(1)
        High from the cycle after ``start`` until the cycle before the one in which the last results are sent
        and written.
    below : In(stream.Signature(drive))
        Forward drive of the bundle below. Processing of a word begins when both drives are valid; both are
        taken in its last turn.
    above : In(stream.Signature(drive))
        Backward drive of the bundle above; absent in the output layer.
    bias : In(Flow(bias_word))
        Write port of the working biases; only while not ``busy``.
    spikes : Out(Flow(spikes_of))
        New spikes, `latency` cycles after the drives.
    those of `hw.core.window_sums.readers`
        Read ports of the window sums of xi.
    annealing : In(annealing)
        Only if the schedule has halvings: the sample's position in them; stable as ``step`` is.
    label, beta : In
        Output layer only: class of the sample; strength of the nudge, LSB 2^-8.
    clear : In(1)
    spike_count : Out(32)
        Spikes since ``clear``, mod 2^32; updated two cycles after they are sent.
    trace : Out(Flow(trace_word))
        For benches; takes no logic if nothing reads it.
    """

    #: Cycles from the cycle in which a word of drives is taken to its spikes.
    latency = 5
    #: Classes of the encoder of xi, and of the submodule that sums xi over the averaging windows.
    encoder, window_sums = Encoder, WindowSums

    def __init__(self, config: Config, layer: Layer):
        self.config, self.layer = config, layer
        self.output = layer.index == len(config.spec.layers) - 1
        words, lanes, formats = config.words(layer), config.lanes[layer.index], config.spec.formats
        #: Cycles of a word.
        self.turns = config.turns(layer)
        #: Words of the layer, and neurons processed in each turn.
        self.words, self.lanes = words, lanes // self.turns
        #: Words of the state memory in each bank: one for each turn of each word.
        self.parts = words * self.turns
        # Only the output layer needs the last xi: the nudge pulls it towards y.
        fields = {"d": signed(formats.decoder_bits), "u": signed(config.spec.membrane_bits)}
        if self.output:
            fields["xi"] = xi_shape(config)
        #: State of the neurons processed in a turn.
        self.state = data.ArrayLayout(data.StructLayout(fields), self.lanes)
        #: Left shift of the drive from below before both sides are added (feedback has a smaller weight).
        self.ahead = 0 if self.output else config.spec.schedule.feedback_shift
        #: Left shift of that sum to d's LSB.
        self.rest = formats.drive_shift - self.ahead
        #: Layout of a turn's sums of both sides.
        self.both = data.ArrayLayout(signed(layer.phi_bits + self.ahead), self.lanes)
        #: Largest |sum of both sides|, in LSBs of the sum.
        self.phi_most = layer.phi_bound << self.ahead
        #: Largest |drive| in LSBs of d.
        self.most = layer.phi_bound << formats.drive_shift
        #: Width of d before it saturates.
        self.exact_bits = layer.phi_bits + formats.drive_shift + 2
        #: Width of d + bias + nudge.
        self.total_bits = formats.decoder_bits + 2
        #: Layout of a turn's working biases.
        self.biases = data.ArrayLayout(signed(formats.bias_bits), self.lanes)
        members = {
            "step": In(Step),
            "start": In(1),
            "busy": Out(1),
            "below": In(stream.Signature(drive(config, layer))),
            "bias": In(Flow(bias_word(config, layer))),
            "spikes": Out(Flow(spikes_of(config, layer))),
            **readers(config, layer),
            "clear": In(1),
            "spike_count": Out(32),
            "trace": Out(Flow(trace_word(config, layer))),
        }
        if config.spec.schedule.halvings:
            members |= {"annealing": In(annealing(config))}
        if self.output:
            members |= {"label": In(label_bits(config)), "beta": In(formats.beta_bits)}
        else:
            members |= {"above": In(stream.Signature(drive(config, layer)))}
        super().__init__(members)
        #: Drive streams of the bundle below and, except in the output layer, of the bundle above.
        self.sides = [self.below] if self.output else [self.below, self.above]

    def elaborate(self, platform):
        m = Module()
        banks = self._banks(m)
        groups = self.config.groups(self.layer)
        m.submodules.bias = bias_memory = BlockMemory(shape=self.bias.payload.bias.shape(), depth=groups)
        bias_read, bias_write = bias_memory.read_port(), bias_memory.write_port()
        m.d.comb += [
            bias_write.addr.eq(self.bias.payload.address),
            bias_write.data.eq(self.bias.payload.bias),
            bias_write.en.eq(self.bias.valid),
        ]

        running, at, group = pass_over(m, self.config, self.layer, self.start, self.sides)
        for bank in banks:
            bank.fetch(m, padded(at.part, self.parts))
        m.d.comb += bias_read.addr.eq(group)

        # The number at the end of a name is the register's pipeline stage.
        at1 = staged(m, 1, at, self.turns)
        # Stage 1: drives, and meanwhile the state, come from block RAM, which is slow.
        drives = data.ArrayLayout(self.below.payload.shape().elem_shape, self.lanes)
        sides1 = [Signal(drives, name=f"side1_{n}", reset_less=True) for n in range(len(self.sides))]
        for side1, side in zip(sides1, self.sides, strict=True):
            m.d.sync += side1.eq(slice_of(side.payload, at.turn, self.lanes))
        at2 = staged(m, 2, at1, self.turns)
        phi2 = self._add_drives(m, sides1)
        old2, offset2, outputs2 = self._load(
            m, at1, group, [bank.read.data for bank in banks], bias_read.data
        )
        at3 = staged(m, 3, at2, self.turns)
        offset3 = self._offset(m, *offset2)
        d3, u3, pull3 = self._decode(m, old2, phi2, outputs2)
        at4 = staged(m, 4, at3, self.turns)
        xi4, u4, d4 = self._integrate(m, d3, u3, pull3, offset3)

        spikes, membranes, written = self._fire(m, xi4, u4, d4)
        fired = at4.valid & ~self.step.idle
        # Stage 5: the last adder leaves no time for the way to the engines and to block RAM.
        for bank in banks:
            bank.keep(m, padded(at4.part, self.parts), written, fired)
        m.d.sync += [
            self.spikes.valid.eq(at4.valid & at4.last),
            self.spikes.payload.address.eq(at4.word),
            self.spikes.payload.spikes.eq(
                Mux(self.step.idle, 0, word_of(m, self.turns, at4.valid, spikes, "spikes"))
            ),
        ]
        m.d.comb += self.busy.eq(Cat(running, at1.valid, at2.valid, at3.valid, at4.valid).any())
        self._count_spikes(m, fired, spikes[:: self.config.spec.spike_bits])
        self._sum(m, at2, at4, fired, xi4)
        self._trace(m, at4, fired, d4, xi4, membranes, spikes)
        return m

    def _banks(self, m):
        """Build the state memory; return its ports with the bank numbers to read and to write."""
        slots = self.config.slots
        m.submodules.state = states = BlockMemory(
            shape=self.state, depth=2 * slots << bits_for(self.parts - 1)
        )
        slot = slot_bits(self.step.slot, slots)
        of_read, of_write = (self.step.state_read, *slot), (self.step.state_write, *slot)
        return [Bank(states.read_port(), states.write_port(), of_read, of_write, None)]

    def _add_drives(self, m, sides):
        """Stage 2: phi = forward + backward drive."""
        phi = Signal(self.both, name="phi2", reset_less=True)
        for lane in range(self.lanes):
            both = self._both([side[lane] for side in sides])
            most, why = self.phi_most, "`Layer.phi_bound` is of the sum of both sides"
            m.d.sync += bounded(phi[lane], both, -most, most, why)
        return phi

    def _both(self, sides):
        """Return phi = (below << feedback_shift) + above."""
        return (sides[0] << self.ahead) + (0 if self.output else sides[1])

    def _load(self, m, at, group, states, bias):
        """Stage 2: register state and bias; return them, and xi and label flags of the output layer."""
        old2 = Signal(self.state, name="old2", reset_less=True)
        bias2 = Signal(self.biases, name="bias2", reset_less=True)
        group1 = Signal.like(group)
        m.d.sync += [group1.eq(group), bias2.eq(slice_of(bias, at.turn, self.lanes))]
        xi2, base2 = self._take_state(m, old2, states)
        labelled2 = Signal(self.lanes)
        for lane in range(len(xi2)):
            neuron = (group1 * self.turns + at.turn) * self.lanes + lane
            m.d.sync += labelled2[lane].eq(self.label == neuron)
        # In a sample's first sweep these registers are cleared, so its state begins with zeros.
        with m.If(self.step.first):
            m.d.sync += old2.eq(0)
        return old2, (bias2, base2), (xi2, labelled2)

    def _take_state(self, m, old, states):
        """Register the state that was read. Return the output layer's xi, else [], and None: no base."""
        (state,) = states
        for lane, kept in enumerate(old):
            m.d.sync += kept.eq(state[lane])
        return [neuron.xi for neuron in old] if self.output else [], None

    def _offset(self, m, bias, base):
        """Stage 3: return the term to which d is added, and the xi of a zero deviation or None."""
        bias3 = Signal.like(bias)
        m.d.sync += bias3.eq(bias)
        return bias3, None

    def _decode(self, m, old, phi, outputs):
        """Stage 3: d[t+1] = saturate(d[t] + ((phi - d[t]) >> k)), and the output layer's nudge. Return d, U
        and nudge."""
        spec, lanes = self.config.spec, self.lanes
        f, k = spec.formats, spec.schedule.decay_shift
        annealed, most = spec.schedule.halvings, self.most
        d, u = signed(f.decoder_bits), signed(spec.membrane_bits)
        d3 = data_registers("d3", d, lanes)
        u3 = data_registers("u3", u, lanes)
        pull3 = data_registers("pull3", d, lanes)
        for lane in range(lanes):
            exact = Signal(signed(self.exact_bits), name=f"exact_{lane}")
            # d + ((phi - d) >> k) = (phi + (d << k) - d) >> k: saves an adder if k = 1.
            rest = old[lane].d if k == 1 else (old[lane].d << k) - old[lane].d
            moved = ((phi[lane] << self.rest) + rest) >> k
            if annealed:
                way = Signal(signed(self.exact_bits), name=f"way_{lane}")
                left = (phi[lane] << self.rest) - old[lane].d
                m.d.comb += bounded(way, left, -2 * most, 2 * most, "|d| is at most the largest |drive|")
                moved = old[lane].d + chosen(self.annealing.halved, [way >> k for k in spec.schedule.shifts])
            m.d.comb += bounded(exact, moved, -most, most, "d begins with 0 and never goes beyond the drive")
            m.d.sync += [d3[lane].eq(saturated(exact, f.decoder_bits)), u3[lane].eq(old[lane].u)]
        if self.output:
            self._pull(m, *outputs, pull3)
        return d3, u3, pull3

    def _pull(self, m, xi, labelled, pull3):
        """Stage 3 of the output layer: the nudge +-beta (y - xi), or 0 in the free phase."""
        f, step = self.config.spec.formats, self.step
        strength = Signal(signed(f.beta_bits + 1))
        m.d.sync += strength.eq(Mux(step.nudge, Mux(step.negative, -self.beta, self.beta), 0))
        most = self.config.spec.away_bound * ((1 << f.beta_bits) - 1)
        for lane, pull in enumerate(pull3):
            product = Signal(signed(signed_bits(-most, most)), name=f"product_{lane}")
            whole = Mux(labelled[lane], strength * f.one, 0) - xi[lane] * strength
            m.d.comb += bounded(product, whole, -most, most, "`Spec.away_bound` times the largest beta")
            m.d.sync += pull.eq(product >> f.nudge_shift)

    def _integrate(self, m, d, u, pull, offset):
        """Stage 4: xi = clip(rhu(d + bias + nudge), 0, 1). Meanwhile the window sums are read."""
        f, (start, before) = self.config.spec.formats, offset
        xi4 = data_registers("xi4", xi_shape(self.config), self.lanes)
        u4 = data_registers("u4", u[0].shape(), self.lanes)
        d4 = data_registers("d4", d[0].shape(), self.lanes)
        for lane in range(self.lanes):
            total = Signal(signed(self.total_bits), name=f"total_{lane}")
            rounded = Signal(signed(self.total_bits - f.round_shift), name=f"rounded_{lane}")
            nudge = self._nudge(pull[lane]) if self.output else 0
            m.d.comb += total.eq(d[lane] + start[lane] + nudge + (1 << (f.round_shift - 1)))
            m.d.comb += rounded.eq(total >> f.round_shift)
            m.d.sync += xi4[lane].eq(self._xi(m, lane, rounded, before))
            m.d.sync += [u4[lane].eq(u[lane]), d4[lane].eq(d[lane])]
        return xi4, u4, d4

    def _nudge(self, pull):
        """Return the nudge in the LSB of d + bias + nudge."""
        return pull

    def _xi(self, m, lane, rounded, before):
        return clipped(rounded, self.config.spec.formats.state_fraction)

    def _fire(self, m, xi, u, d):
        """Compute spikes, membrane potentials and the state to write back, from the registers of stage 4."""
        lanes, spike_bits, encoder = self.lanes, self.config.spec.spike_bits, self.encoder(m, self)
        spikes, written = Signal(spike_bits * lanes), Signal(self.state, name="written")
        membranes = [
            Signal(signed(self.config.spec.membrane_bits), name=f"membrane_{i}") for i in range(lanes)
        ]
        for lane in range(lanes):
            spike = spikes.word_select(lane, spike_bits)
            kept = encoder.fire(m, lane, xi[lane], u[lane], spike, membranes[lane])
            m.d.comb += [written[lane].d.eq(d[lane]), written[lane].u.eq(kept)]
            if self.output:
                m.d.comb += written[lane].xi.eq(xi[lane])
        return spikes, membranes, written

    def _count_spikes(self, m, valid, spikes):
        """Count the layer's spikes, in two pipeline stages."""
        new, new_spikes = Signal(self.lanes), Signal(range(self.lanes + 1))
        m.d.sync += [new.eq(Mux(valid, spikes, 0)), new_spikes.eq(sum(new[1:], new[0]))]
        count = Mux(self.clear, 0, self.spike_count) + new_spikes
        m.d.sync += wraps(self.spike_count, count, "counters of spikes are modulo 2^32")

    def _sum(self, m, coming, at, valid, xi):
        """Connect the window sums of xi, which are read two cycles before they are written."""
        m.submodules.window = window = self.window_sums(self.config, self.layer)
        m.d.comb += [window.step.eq(self.step), window.coming.eq(coming.part), window.valid.eq(valid)]
        m.d.comb += [getattr(window, name).eq(getattr(at, name)) for name in ("part", "word", "last")]
        m.d.comb += [to.eq(state) for to, state in zip(window.xi, xi, strict=True)]
        connect_readers(m, window, self)

    def _trace(self, m, at, valid, d, xi, membranes, spikes):
        """Drive the trace port, for benches."""
        trace = self.trace.payload
        m.d.comb += [
            self.trace.valid.eq(valid & at.last),
            trace.slot.eq(self.step.slot),
            trace.address.eq(at.word),
            trace.s.eq(word_of(m, self.turns, at.valid, spikes, "trace_s")),
        ]
        for name, values in (("d", d), ("xi", xi), ("u", membranes)):
            m.d.comb += trace[name].eq(word_of(m, self.turns, at.valid, Cat(values), f"trace_{name}"))
