"""The compact core's neuron: the arithmetic of one step, and the synapses between layer 1 and the outputs.

*Control*, *register* and *result* are defined in `datapath`; the quantities in docs/arithmetic.md.
"""

from amaranth.hdl import Cat, Mux, Signal, signed

from nudge.golden.contract.formats import rounded_bound, signed_bits
from nudge.hw.core.encoder import scaled_state
from nudge.hw.lib.block_memory import WrittenMemory
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.chosen import chosen
from nudge.hw.lib.saturate import saturated

from .loop_counters import LoopCounters


class Neuron:
    """The current neuron. From state INPUT on `d`, and from FIRE on `phi`, belong to the next neuron already.

    With phi in d's LSB, lambda = 2^-k, k' the next step's k, theta = 1/2 and y = 1 for the label, else 0:

        d[t+1]   = saturate(d[t] + ((phi[t] - d[t]) >> k))
        nudge[t] = +-beta (y - xi[t]) for outputs in the nudged phases, else 0
        xi[t+1]  = clip(rhu(d[t+1] + bias + nudge[t], `round_shift`), 0, 1)
        s[t+1]   = U[t] + (xi[t+1] << k) > theta
        U[t+1]   = U[t] + (xi[t+1] << k) - (xi[t+1] << k') + xi[t+1] - s[t+1]

    Integer model: `golden.model.ops.neuron` (paper eq. 10, U form).
    """

    def __init__(self, m, core, step, annealing, counters: LoopCounters, bias):
        self.m, self.core, self.step, self.counters = m, core, step, counters
        spec, f = core.config.spec, core.config.spec.formats
        pre, post = spec.layers[1], spec.layers[2]
        #: Register: the decoder; d[t], then d[t+1].
        self.d = Signal(signed(f.decoder_bits))
        #: Register: membrane potential, U[t].
        self.u = Signal(signed(spec.membrane_bits))
        #: Left shift of the drive from below before both sides are added (feedback has a smaller weight).
        self.ahead = spec.schedule.feedback_shift
        #: Left shift of phi to d's LSB.
        self.rest = f.drive_shift - self.ahead
        #: Largest |phi|, in LSBs of phi.
        self.phi_bound = max(pre.phi_bound, post.phi_bound) << self.ahead
        #: Register: phi without the last backward weight.
        self.phi = Signal(signed(signed_bits(-self.phi_bound, self.phi_bound)))
        #: Result: the complete phi.
        self.drive = Signal.like(self.phi)
        #: Register: the neuron's state, xi[t+1].
        self.xi = Signal(spec.state_bits)
        #: Register: the sample's label.
        self.label = Signal.like(core.label)
        with m.If(core.start):
            m.d.sync += self.label.eq(core.label)
        #: Register: the largest window sum of the outputs so far.
        self.best = Signal(spec.sum_bits)
        #: Control: `xi`, `spike` and `membrane` are valid, and xi and spike of an output are stored.
        self.firing = Signal()
        #: Result: xi[t] of the output that was current in the previous cycle.
        self.old_xi = Signal(spec.state_bits)

        #: Result: d[t+1], from `drive`.
        self.decoded = self._decoded(annealing)
        #: Result: +-(y - xi[t]), from `old_xi`, to be multiplied by beta.
        self.away = Signal(signed(spec.state_bits + 1))
        target = Signal(spec.state_bits)
        m.d.comb += target.eq(Mux(self.label == counters.o, f.one, 0))
        way = Mux(step.negative, self.old_xi - target, target - self.old_xi)
        m.d.comb += self.away.eq(way)
        #: Result of the multiplier: beta times `away`; used for outputs in the nudged phases.
        self.nudge = Signal(signed(32))
        #: Result: xi[t+1], from d and `nudge`.
        self.clipped_xi = self._clipped_xi(bias)
        #: Results: s[t+1] and U[t+1], from `xi`.
        scaled, kept = scaled_state(self.xi, spec.schedule, annealing)
        self.spike = Signal()
        self.membrane = Signal(signed(spec.membrane_bits))
        m.d.comb += self.spike.eq(self.u + scaled > f.threshold)
        left, why = self.u + kept - Mux(self.spike, f.one, 0), "`Spec.membrane_low`, `membrane_high`"
        m.d.comb += bounded(self.membrane, left, spec.membrane_low, spec.membrane_high, why)
        self._keep_xi()

    def _keep_xi(self):
        """Build the memory of the outputs' xi, in two banks, for the next step's nudge."""
        m, step, o = self.m, self.step, self.counters.o
        xi = WrittenMemory(shape=len(self.xi), depth=2 << len(o))
        m.submodules.output_xi = xi
        read, write = xi.read_port(), xi.write_port()
        m.d.comb += [
            read.addr.eq(Cat(o, step.state_read)),
            write.addr.eq(Cat(o, step.state_write)),
            write.data.eq(self.xi),
            write.en.eq(self.firing & self.counters.outputs),
            self.old_xi.eq(Mux(step.first, 0, read.data)),
        ]

    def _decoded(self, annealing):
        f, shifts = self.core.config.spec.formats, self.core.config.spec.schedule.shifts
        decoded = Signal(signed(len(self.phi) + self.rest + 1))
        drive = self.drive << self.rest
        ways = [(drive - self.d) >> k for k in shifts]
        self.m.d.comb += decoded.eq(
            self.d + (ways[0] if annealing is None else chosen(annealing.halved, ways))
        )
        return saturated(decoded, f.decoder_bits)

    def _clipped_xi(self, bias):
        f, nudged = self.core.config.spec.formats, self.counters.outputs & self.step.nudge
        pull = Signal(signed(f.decoder_bits))
        most = rounded_bound(f.beta_range[-1] * f.one, f.nudge_shift)
        total = Signal(signed(f.decoder_bits + 2))
        rounded = Signal(signed(f.decoder_bits + 2 - f.round_shift))
        self.m.d.comb += [
            bounded(pull, Mux(nudged, self.nudge >> f.nudge_shift, 0), -most, most, "beta times 1 at most"),
            total.eq(self.d + bias + pull + (1 << (f.round_shift - 1))),
            rounded.eq(total >> f.round_shift),
        ]
        # Clip to 0..`one`, a power of two.
        above = rounded[f.state_fraction : -1].any()
        return Mux(rounded[-1], 0, Mux(above, f.one, rounded))


class Synapses:
    """Adds the dense weights between one neuron of layer 1 and the outputs, one weight a cycle.

    Backward, before the neuron fires: adds the weights to outputs that spiked in the previous sweep to the
    neuron's phi. Forward, if it has spiked: adds all its weights to the outputs' drives, which a memory holds
    until the outputs step in the same sweep.
    """

    def __init__(self, m, post, counters: LoopCounters, neuron: Neuron, weight):
        self.m, self.counters = m, counters
        #: Lists of the outputs that spiked.
        self.spiking = Spiking(m, post, counters, neuron)
        #: Register: the previous cycle read a weight for phi.
        self.backward = Signal()
        #: Register: the previous cycle read a weight for the drive of output o; set by a state, else 0.
        self.forward = Signal()
        m.d.sync += [self.backward.eq(self.spiking.take), self.forward.eq(0)]

        drives = WrittenMemory(shape=signed(post.phi_bits - 2), depth=1 << len(counters.o))
        m.submodules.drives = drives
        read, self.port = drives.read_port(), drives.write_port()
        #: Result: the forward drive of the output addressed in the previous cycle, in units of 4 LSBs of phi.
        self.drive = read.data
        weight_o = Signal.like(counters.o)
        most, of_outputs = neuron.phi_bound, post.phi_bound >> 2
        m.d.sync += weight_o.eq(counters.o)
        m.d.comb += [
            bounded(
                neuron.drive,
                neuron.phi + Mux(self.backward, weight << 2, 0),
                -most,
                most,
                "`Layer.phi_bound`",
            ),
            read.addr.eq(counters.o),
            self.port.addr.eq(weight_o),
            bounded(
                self.port.data, read.data + weight, -of_outputs, of_outputs, "`Layer.phi_bound`, in 4 LSB"
            ),
            self.port.en.eq(self.forward),
        ]

    def clear(self):
        """Return the statements for `m.d.comb` that zero the drive of output o."""
        return [self.port.addr.eq(self.counters.o), self.port.data.eq(0), self.port.en.eq(1)]


class Spiking:
    """Lists of the outputs that spiked in a sweep, one for each bank; less logic than a mask of spikes."""

    def __init__(self, m, post, counters: LoopCounters, neuron: Neuron):
        step = neuron.step
        lists = WrittenMemory(shape=len(counters.o), depth=2 << len(counters.o))
        m.submodules.spiking = lists
        read, write = lists.read_port(), lists.write_port()
        lengths = [Signal(range(post.neurons + 1), name=f"spiking_{bank}") for bank in range(2)]
        at, following = Signal.like(lengths[0]), Signal.like(lengths[0])

        #: Control: read the weight to `output` and advance the list; else reading restarts at its head.
        self.take = Signal()
        #: Result: the list's current output.
        self.output = read.data
        #: Results: the list isn't empty; `output` is its last entry.
        self.any, self.last = Signal(), Signal()
        #: Control: empties the list that is written, before the outputs step; else not.
        self.restart = Signal()
        length = Mux(step.state_read, lengths[1], lengths[0])
        written = Mux(step.state_write, lengths[1], lengths[0])
        m.d.comb += [
            following.eq(Mux(self.take, at + 1, 0)),
            read.addr.eq(Cat(following[: len(counters.o)], step.state_read)),
            self.any.eq(~step.first & (length != 0)),
            self.last.eq(following == length),
            write.addr.eq(Cat(written[: len(counters.o)], step.state_write)),
            write.data.eq(counters.o),
            write.en.eq(neuron.firing & counters.outputs & neuron.spike),
        ]
        m.d.sync += at.eq(following)
        for bank, mine in enumerate(lengths):
            with m.If(step.state_write == bank):
                with m.If(self.restart):
                    m.d.sync += mine.eq(0)
                with m.Elif(write.en):
                    m.d.sync += mine.eq(written + 1)
