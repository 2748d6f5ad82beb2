"""The compact core's neuron: one step's arithmetic, and the synapses with the outputs.

What *control*, *register* and *result* mean: `datapath`. The quantities: docs/arithmetic.md.
"""

from amaranth.hdl import Cat, Const, Mux, Signal, signed
from amaranth.lib.memory import Memory

from hw.lib.saturate import saturated

from .counters import Counters
from .memory_map import SPIKE_BIT


class Neuron:
    """The neuron at hand. In an update, `phi` and `d` hold both window sums of a pre neuron."""

    def __init__(self, m, core, step, counters: Counters, bias):
        self.m, self.core, self.step, self.counters = m, core, step, counters
        spec, f = core.config.spec, core.config.spec.formats
        pre, post = spec.layers[1], spec.layers[2]
        #: Register: the decoder; as it was, then as it becomes.
        self.d = Signal(signed(f.decoder_bits))
        #: Registers: membrane potential and spike as they were.
        self.u = Signal(signed(spec.membrane_bits))
        self.fired = Signal()
        #: Register: the drive.
        self.phi = Signal(signed(max(pre.phi_bits, post.phi_bits)))
        #: Register: the neuron's input as it becomes.
        self.xi = Signal(spec.state_bits)
        #: Register: xi as it was, of an output.
        self.old_xi = Signal(spec.state_bits)
        #: Registers: spikes of the outputs in their last step, of each bank.
        self.kept_spikes = [Signal(post.neurons, name=f"output_spikes_{bank}") for bank in range(2)]
        #: Register: the last neurons' spikes, the latest at the top; at a step's end the outputs'.
        self.new_spikes = Signal(post.neurons)
        #: Register: the largest window sum of the outputs until now.
        self.best = Signal(spec.sum_bits)
        #: Control: the step is done, and d, xi, `spike` and `membrane` are as they become.
        self.firing = Signal()

        #: Result: spikes of the outputs as they were.
        self.output_spikes = Signal(post.neurons)
        kept = Mux(step.state_read, self.kept_spikes[1], self.kept_spikes[0])
        m.d.comb += self.output_spikes.eq(Mux(step.first, 0, kept))
        #: Result: d as it becomes, from phi.
        self.decoded = self._decoded(spec.schedule.decay_shift)
        #: Result: what is multiplied by beta for the nudge, from `old_xi`: the way to the target.
        self.away = Signal(signed(spec.state_bits + 1))
        target = Signal(spec.state_bits)
        m.d.comb += target.eq(Mux(core.label == counters.o, f.one, 0))
        way = Mux(step.negative, self.old_xi - target, target - self.old_xi)
        m.d.comb += self.away.eq(way)
        #: Result of the multiplier: beta times `away`; used for outputs in the nudged phases.
        self.nudge = Signal(signed(32))
        #: Result: xi as it becomes, from d and `nudge`.
        self.clipped_xi = self._clipped_xi(bias)
        #: Results: spike and membrane potential as they become, from xi.
        self.spike = Signal()
        self.membrane = Signal(signed(spec.membrane_bits))
        m.d.comb += [
            self.spike.eq(self.u + (self.xi << spec.schedule.decay_shift) > f.threshold),
            self.membrane.eq(self.u + self.xi - Mux(self.spike, f.one, 0)),
        ]
        #: Result: a word of the membranes with both of them.
        gap = Const(0, SPIKE_BIT - len(self.membrane))
        self.stored_membrane = Cat(self.membrane, gap, self.spike)

    def _decoded(self, decay):
        f = self.core.config.spec.formats
        decoded = Signal(signed(len(self.phi) + f.drive_shift + 1))
        drive = self.phi << f.drive_shift
        self.m.d.comb += decoded.eq(self.d + ((drive - self.d) >> decay))
        return saturated(decoded, f.decoder_bits)

    def _clipped_xi(self, bias):
        f, nudged = self.core.config.spec.formats, self.counters.outputs & self.step.nudge
        pull = Signal(signed(f.decoder_bits))
        total = Signal(signed(f.decoder_bits + 2))
        rounded = Signal(signed(f.decoder_bits + 2 - f.round_shift))
        self.m.d.comb += [
            pull.eq(Mux(nudged, self.nudge >> f.nudge_shift, 0)),
            total.eq(self.d + bias + pull + (1 << (f.round_shift - 1))),
            rounded.eq(total >> f.round_shift),
        ]
        # not negative, and at most `one`, a power of two
        above = rounded[f.state_fraction : -1].any()
        return Mux(rounded[-1], 0, Mux(above, f.one, rounded))


class Synapses:
    """Dense weights between one neuron of layer 1 and all outputs, one weight a cycle.

    Forward they go into the outputs' drives, kept in a memory for their turn in the next step,
    backward into the neuron's own phi.
    """

    def __init__(self, m, post, counters: Counters, neuron: Neuron, weight):
        self.counters = counters
        drives = Memory(shape=signed(post.phi_bits - 2), depth=post.neurons, init=[])
        m.submodules.drives = drives
        read, self.port = drives.read_port(), drives.write_port()
        #: Control, a register: the cycle before read the weight to its output o; else it didn't.
        self.asked = Signal()
        #: Result: the forward drive of output o, for phi in units of 4 LSB.
        self.drive = read.data
        weight_o = Signal.like(counters.o)
        m.d.comb += [
            read.addr.eq(counters.o),
            self.port.addr.eq(weight_o),
            self.port.data.eq(read.data + weight),
        ]
        m.d.sync += [self.asked.eq(0), weight_o.eq(counters.o)]
        with m.If(self.asked):
            m.d.comb += self.port.en.eq(neuron.fired)
            with m.If(neuron.output_spikes.bit_select(weight_o, 1)):
                m.d.sync += neuron.phi.eq(neuron.phi + (weight << 2))

    def clear(self):
        """Statements for `m.d.comb`: the drive of output o becomes 0."""
        return [self.port.addr.eq(self.counters.o), self.port.data.eq(0), self.port.en.eq(1)]
