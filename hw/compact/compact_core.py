"""A core for the smallest parts: one neuron, one synapse at a time, all state in four single-port memories."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Out

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.errors import ConfigError
from hw.core.interface import CoreSignature, trace_word
from hw.core.sequencer import Sequencer
from hw.lib.flow import Flow
from hw.lib.multiplier import Multiplier
from hw.lib.saturate import saturated
from hw.lib.single_port_memory import DEPTH, SinglePortMemory

#: Updates of all kinds are scaled to one right shift: g is shifted left by what a kind's own shift is less.
SHIFT = 25
#: g is multiplied by its rate in two parts: 15 low bits, then the rest.
LOW_BITS = 15


class CompactCore(wiring.Component):
    """Does what `hw.core.core.Core` does, with the same result, for networks of one convolution and the output;
    lanes must be 1.

    Memories, one word a cycle each:

    - ``low``, ``high``: weight w of the dense bundle at w, of the image bundle at 8192 + w; biases follow the weights. Bits
      0..15 of a master in ``low``; in ``high`` its bits 16, 17 at 8, 9 and its working copy at 0..7.
    - ``left``: d of neuron n (both layers in a row) at ``bank 1024 + n``; sums of the free and +beta phase at 2048 + n; xi of
      the outputs at 3072 + 16 bank + o.
    - ``right``: U and, as bit 15, s at ``bank 1024 + n``; static drive at 2048 + n; sums of the -beta phase at 3072 + n.
    - ``biases``: working biases; ``drives``: forward drives of the outputs, while they are summed.

    Cycles: 49 a neuron for the image; in each step 6 a neuron, 11 more where it or an output spiked, 2 more in the window; in
    the update 846 a weight of the image bundle and 8 a dense one; 2 a weight for the commit.

    Members: those of `Core`.
    """

    def __init__(self, config: Config):
        spec = config.spec
        if [bundle.kind for bundle in spec.bundles] != ["image", "dense"]:
            raise ConfigError(f"the compact core takes one convolution and the output, not {spec.name}")
        if set(config.lanes) != {1}:
            raise ConfigError(f"the compact core has one lane a layer, not {config.lanes}")
        sizes = (sum(layer.neurons for layer in spec.layers[1:]), layout.master_words(config, spec.bundles[1]))
        if sizes[0] > 1024 or sizes[1] > DEPTH // 2:
            raise ConfigError(f"the compact core has room for 1024 neurons, {DEPTH // 2} weights, not {sizes[0]}, {sizes[1]}")
        self.config = config
        members = dict(CoreSignature(config).members)
        for layer in spec.layers[1:]:
            members[f"trace_{layer.index}"] = Out(Flow(trace_word(config, layer)))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config, spec, f = self.config, self.config.spec, self.config.spec.formats
        image, dense = spec.bundles
        pre, post = spec.layers[1], spec.layers[2]
        taps, kernel, side = image.kernel**2, image.kernel, image.pre.width
        image_weights, image_words = layout.weight_words(config, image), layout.master_words(config, image)
        dense_weights, dense_words = layout.weight_words(config, dense), layout.master_words(config, dense)
        decay, one, window_bits = spec.schedule.decay_shift, f.one, spec.sum_bits

        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.multiplier = multiplier = Multiplier()
        m.submodules.low = low = SinglePortMemory()
        m.submodules.high = high = SinglePortMemory()
        m.submodules.left = left = SinglePortMemory()
        m.submodules.right = right = SinglePortMemory()
        m.submodules.biases = bias_memory = Memory(shape=signed(f.bias_bits), depth=pre.channels + post.neurons, init=[])
        bias_read, bias_write = bias_memory.read_port(), bias_memory.write_port()
        m.submodules.drives = drives = Memory(shape=signed(post.phi_bits - 2), depth=post.neurons, init=[])
        drive_read, drive_write = drives.read_port(), drives.write_port()
        step = sequencer.step

        # -- where it is: a neuron, a position of the map, a weight
        n, row_n, o = Signal(10), Signal(10), Signal(range(post.neurons))
        x, y, c = Signal(range(pre.width)), Signal(range(pre.height)), Signal(range(pre.channels))
        kx, ky, corner = Signal(range(kernel)), Signal(range(kernel)), Signal(2)
        weight, row_weight, of_image = Signal(13), Signal(range(image_words)), Signal()
        base = Signal(range(side * side))
        outputs, biases, updating = Signal(), Signal(), Signal()  # which layer, which kind of weight, what for
        last_x, last_y = x == pre.width - 1, y == pre.height - 1
        last_position, last_channel, last_output = Signal(), Signal(), Signal()
        last_tap = (kx == kernel - 1) & (ky == kernel - 1)
        m.d.comb += [
            last_position.eq(last_x & last_y),
            last_channel.eq(c == pre.channels - 1),
            last_output.eq(o == post.neurons - 1),
        ]

        def next_position():
            m.d.sync += [x.eq(x + 1), base.eq(base + 2)]
            with m.If(last_x):
                m.d.sync += [x.eq(0), y.eq(y + 1), base.eq(base + 2 * side - 2 * (pre.width - 1))]
            with m.If(last_position):
                m.d.sync += [y.eq(0), base.eq(0)]

        def next_tap():
            m.d.sync += kx.eq(kx + 1)
            with m.If(kx == kernel - 1):
                m.d.sync += [kx.eq(0), ky.eq(Mux(ky == kernel - 1, 0, ky + 1))]

        down, across = Signal(range(kernel + 1)), Signal(range(kernel + 1))
        m.d.comb += [
            down.eq(ky + corner[1]),
            across.eq(kx + corner[0]),
            self.pixel_address.eq(base + Mux(down[0], side, 0) + Mux(down[1], 2 * side, 0) + across),
        ]

        # -- addresses and data of the memories
        at_weight, at_left, at_right = Signal(14), Signal(12), Signal(12)
        m.d.comb += [low.address.eq(at_weight), high.address.eq(at_weight)]
        m.d.comb += [left.address.eq(at_left), right.address.eq(at_right), left.mask.eq(0xF), right.mask.eq(0xF)]
        m.d.comb += [at_weight.eq(Cat(weight, of_image)), low.mask.eq(0xF)]
        master = Signal(signed(f.master_bits))
        m.d.comb += master.eq(Cat(low.read_data, high.read_data[8:10]).as_signed())

        def at(region, bank, where):
            """Address in `left` or `right`."""
            return Cat(Cat(where, Const(0, 10))[:10], bank, Const(region, 1))

        def kept_xi(bank):
            return at(1, 1, Cat(o, Const(0, 4 - len(o)), bank))

        of_output = (pre.neurons + o)[:10]

        # -- multiply and add
        a, b, product, sum_ = multiplier.a, multiplier.b, multiplier.product, Signal(signed(32))
        factor = Signal(signed(window_bits + 2))
        difference = Signal(signed(window_bits + 1))
        m.d.comb += difference.eq(left.read_data[:window_bits] - right.read_data[:window_bits])
        issue, multiplying, adding = Signal(), Signal(), Signal()
        m.d.sync += [multiplying.eq(issue), adding.eq(multiplying)]
        m.d.comb += [a.eq(factor), b.eq(self.pixel)]
        # one adder for all sums
        augend, addend, accumulate, subtract = Signal(signed(32)), Signal(signed(32)), Signal(), Signal()
        m.d.comb += [augend.eq(sum_), addend.eq(product), accumulate.eq(adding)]
        with m.If(accumulate):
            m.d.sync += sum_.eq(augend + (addend ^ subtract.replicate(32)) + subtract)

        rate = Signal(f.rate_bits)
        weight_rate, bias_rate = self.settings.weight_rate, self.settings.bias_rate
        m.d.comb += rate.eq(
            Mux(biases, Mux(of_image, bias_rate[0], bias_rate[1]), Mux(of_image, weight_rate[0], weight_rate[1]))
        )

        # -- a neuron
        d, phi = Signal(signed(f.decoder_bits)), Signal(signed(max(pre.phi_bits, post.phi_bits)))
        u, fired = Signal(signed(spec.membrane_bits)), Signal()
        xi, old_xi = Signal(spec.state_bits), Signal(spec.state_bits)
        kept = [Signal(post.neurons, name=f"output_spikes_{bank}") for bank in range(2)]
        output_spikes, new_spikes = Signal(post.neurons), Signal(post.neurons)
        m.d.comb += output_spikes.eq(Mux(step.first, 0, Mux(step.state_read, kept[1], kept[0])))

        decoded = Signal(signed(max(pre.phi_bits, post.phi_bits) + f.drive_shift + 1))
        total, rounded = Signal(signed(f.decoder_bits + 2)), Signal(signed(f.decoder_bits + 2 - f.round_shift))
        pull, target, away = Signal(signed(f.decoder_bits)), Signal(spec.state_bits), Signal(signed(spec.state_bits + 1))
        m.d.comb += [
            decoded.eq(d + (((phi << f.drive_shift) - d) >> decay)),
            target.eq(Mux(self.label == o, one, 0)),
            away.eq(Mux(step.negative, old_xi - target, target - old_xi)),
            pull.eq(Mux(outputs & step.nudge, product >> f.nudge_shift, 0)),
            total.eq(d + bias_read.data + pull + (1 << (f.round_shift - 1))),
            rounded.eq(total >> f.round_shift),
            bias_read.addr.eq(Mux(outputs, pre.channels + o, c)),
        ]
        spike, membrane = Signal(), Signal(signed(spec.membrane_bits))
        m.d.comb += [spike.eq(u + (xi << decay) > f.threshold), membrane.eq(u + xi - Mux(spike, one, 0))]
        total_sum = Signal(window_bits)
        m.d.comb += total_sum.eq(
            Mux(step.sum_first, 0, Mux(step.negative, right.read_data[:window_bits], left.read_data[:window_bits])) + xi
        )

        # a synapse: its weight is there a cycle after its address
        synapse, o1 = Signal(), Signal.like(o)
        value = Signal(signed(f.weight_bits))
        m.d.comb += [value.eq(high.read_data[: f.weight_bits].as_signed()), drive_read.addr.eq(o), drive_write.addr.eq(o1)]
        m.d.comb += drive_write.data.eq(drive_read.data + value)
        m.d.sync += [synapse.eq(0), o1.eq(o)]
        with m.If(synapse):
            m.d.comb += drive_write.en.eq(fired)
            with m.If(output_spikes.bit_select(o1, 1)):
                m.d.sync += phi.eq(phi + (value << 2))

        # -- an update, and a commit
        scaled, update = Signal(signed(32 - (SHIFT - LOW_BITS))), Signal(signed(12))
        bound = f.update_bound
        m.d.comb += [
            scaled.eq(sum_ >> (SHIFT - LOW_BITS)),
            update.eq(Mux(scaled > bound, bound, Mux(scaled < -bound, -bound, scaled))),
        ]
        learned, clipped = Signal(signed(f.master_bits)), Signal(signed(f.committed_bits))
        m.d.comb += [
            learned.eq(master + update),
            clipped.eq(saturated(master, f.committed_bits)),
        ]
        working_weight = self._rounded(m, clipped, f.weight_bits, f.weight_fraction, "weight")
        working_bias = self._rounded(m, clipped, f.bias_bits, f.bias_fraction, "bias")
        bias_at = Signal(range(pre.channels + post.neurons))
        m.d.comb += [bias_write.addr.eq(bias_at), bias_write.data.eq(working_bias)]
        shifts = [SHIFT - spec.weight_shift(image), SHIFT - spec.weight_shift(dense), SHIFT - spec.bias_shift]
        if min(shifts) < 0:
            raise ConfigError(f"the compact core shifts by {SHIFT}: {spec.name} needs more")

        firing, best = Signal(), Signal(window_bits)
        with m.FSM() as fsm:
            running = ~fsm.ongoing("IDLE")
            with m.State("IDLE"):
                for counter in (n, row_n, o, x, y, c, kx, ky, corner, weight, row_weight, base, biases, outputs, bias_at):
                    m.d.sync += counter.eq(0)
                m.d.sync += [of_image.eq(~sequencer.step_start), updating.eq(sequencer.update_start)]
                m.d.sync += sum_.eq(Mux(sequencer.update_start, 0, 1 << (spec.static_shift - 1)))
                # the host's access to the masters
                m.d.comb += at_weight.eq(Cat(self.address[:13], Const(0, 13 - len(self.address[:13])), self.bundle == 0))
                m.d.comb += [low.write.eq(self.write & ~self.busy), high.write.eq(self.write & ~self.busy), high.mask.eq(0b100)]
                m.d.comb += [low.write_data.eq(self.write_data), high.write_data[8:10].eq(self.write_data[15].replicate(2))]
                with m.If(sequencer.step_start):
                    m.next = "READ"
                with m.Elif(sequencer.commit_start):
                    m.next = "COMMIT-READ"
                with m.Elif(sequencer.image_start | sequencer.update_start):
                    m.next = "FETCH"

            # -- one step of one neuron
            with m.State("READ"):
                m.d.comb += [at_left.eq(at(0, step.state_read, n)), at_right.eq(at(0, step.state_read, n))]
                m.next = "STATE"
            with m.State("STATE"):
                m.d.comb += [at_left.eq(kept_xi(step.state_read)), at_right.eq(at(1, 0, n))]
                m.d.sync += [
                    d.eq(Mux(step.first, 0, left.read_data.as_signed())),
                    u.eq(Mux(step.first, 0, right.read_data[: spec.membrane_bits].as_signed())),
                    fired.eq(~step.first & right.read_data[15]),
                ]
                m.next = "DRIVE"
            with m.State("DRIVE"):
                m.d.sync += [old_xi.eq(Mux(step.first, 0, left.read_data)), phi.eq(right.read_data.as_signed())]
                m.next = "DECODE"
                with m.If(outputs):
                    m.d.sync += phi.eq(Mux(step.first, 0, drive_read.data << 2))
                    m.d.comb += [drive_write.addr.eq(o), drive_write.data.eq(0), drive_write.en.eq(1)]
                with m.Elif(fired | output_spikes.any()):
                    m.next = "SYNAPSE"
                with m.Else():
                    m.d.sync += weight.eq(weight + post.neurons)
            with m.State("SYNAPSE"):
                m.d.sync += [synapse.eq(1), weight.eq(weight + 1), o.eq(o + 1)]
                with m.If(last_output):
                    m.d.sync += o.eq(0)
                    m.next = "LAST-SYNAPSE"
            with m.State("LAST-SYNAPSE"):
                m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += d.eq(saturated(decoded, f.decoder_bits))
                m.d.comb += [a.eq(away), b.eq(self.settings.beta)]
                m.next = "INPUT"
            with m.State("INPUT"):
                # not negative, and at least `one`, a power of two
                m.d.sync += xi.eq(Mux(rounded[-1], 0, Mux(rounded[f.state_fraction : -1].any(), one, rounded)))
                m.next = "FIRE"
            with m.State("FIRE"):
                m.d.comb += [at_left.eq(at(0, step.state_write, n)), left.write_data.eq(d), left.write.eq(1)]
                m.d.comb += [at_right.eq(at(0, step.state_write, n)), right.write.eq(1)]
                m.d.comb += right.write_data.eq(Cat(membrane, Const(0, 15 - spec.membrane_bits), spike))
                m.d.sync += new_spikes.eq(Cat(new_spikes[1:], spike))
                m.d.comb += firing.eq(1)
                m.next = "NEXT"
                with m.If(step.sum):
                    m.next = "READ-SUM"
            with m.State("READ-SUM"):
                m.d.comb += [at_left.eq(at(1, 0, n)), at_right.eq(at(1, 1, n))]
                m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += [at_left.eq(at(1, 0, n)), left.write_data.eq(total_sum), left.write.eq(~step.negative)]
                m.d.comb += [at_right.eq(at(1, 1, n)), right.write_data.eq(total_sum), right.write.eq(step.negative)]
                m.next = "NEXT"
                # the prediction: the sums of the free phase's last step stay
                with m.If(outputs & ~step.nudge & ((o == 0) | (total_sum > best))):
                    m.d.sync += [best.eq(total_sum), self.prediction.eq(o)]
            with m.State("NEXT"):
                m.d.comb += [at_left.eq(kept_xi(step.state_write)), left.write_data.eq(xi), left.write.eq(outputs)]
                m.d.sync += n.eq(n + 1)
                m.next = "READ"
                with m.If(~outputs):
                    next_position()
                    with m.If(last_position):
                        m.d.sync += c.eq(c + 1)
                        with m.If(last_channel):
                            m.d.sync += outputs.eq(1)
                with m.Else():
                    m.d.sync += o.eq(o + 1)
                    with m.If(last_output):
                        for bank in range(2):
                            with m.If(step.state_write == bank):
                                m.d.sync += kept[bank].eq(new_spikes)
                        m.next = "IDLE"

            # -- image and update of its weights: products with the four pixels under a pooled position
            with m.State("FETCH"):
                m.d.comb += [at_left.eq(at(1, 0, n)), at_right.eq(at(1, 1, n))]
                m.next = "PIXELS"
                with m.If(biases):
                    m.next = "ADD-BIAS"
            with m.State("PIXELS"):
                with m.If(corner == 0):
                    # of an update: twice, since the shift of its weights is one less than SHIFT
                    m.d.sync += factor.eq(Mux(updating, difference << shifts[0], value))
                m.d.comb += issue.eq(1)
                m.d.sync += corner.eq(corner + 1)
                with m.If(corner == 3):
                    m.next = "FETCH"
                    with m.If(updating):
                        next_position()
                        m.d.sync += n.eq(n + 1)
                        with m.If(last_position):
                            m.next = "LAST-PRODUCTS"
                    with m.Else():
                        next_tap()
                        m.d.sync += weight.eq(weight + 1)
                        with m.If(last_tap):
                            m.next = "LAST-PRODUCTS"
            with m.State("LAST-PRODUCTS"):
                with m.If(adding & ~multiplying):
                    m.next = "STATIC"
                    with m.If(updating):
                        m.next = "LOW"
            with m.State("STATIC"):
                m.d.comb += [at_right.eq(at(1, 0, n)), right.write.eq(1), right.write_data.eq(sum_ >> spec.static_shift)]
                m.d.sync += [sum_.eq(1 << (spec.static_shift - 1)), n.eq(n + 1), weight.eq(row_weight)]
                next_position()
                m.next = "FETCH"
                with m.If(last_position):
                    m.d.sync += [c.eq(c + 1), row_weight.eq(row_weight + taps), weight.eq(row_weight + taps)]
                    with m.If(last_channel):
                        m.next = "IDLE"
            with m.State("ADD-BIAS"):
                m.d.comb += [addend.eq(difference << shifts[2]), accumulate.eq(1)]
                m.d.sync += n.eq(n + 1)
                next_position()
                m.next = "FETCH"
                with m.If(outputs | last_position):
                    m.next = "LOW"

            # -- update of the dense weights
            with m.State("PRE"):
                m.d.comb += [at_left.eq(at(1, 0, n)), at_right.eq(at(1, 1, n))]
                m.next = "PRE-SUMS"
            with m.State("PRE-SUMS"):
                m.d.sync += [phi.eq(left.read_data), d.eq(right.read_data)]
                m.next = "POST"
            with m.State("POST"):
                m.d.comb += [at_left.eq(at(1, 0, of_output)), at_right.eq(at(1, 1, of_output))]
                m.next = "PLUS"
            with m.State("PLUS"):
                m.d.comb += [at_left.eq(at(1, 0, of_output)), at_right.eq(at(1, 1, of_output))]
                m.d.comb += [a.eq(phi), b.eq(left.read_data)]
                m.next = "MINUS"
            with m.State("MINUS"):
                m.d.comb += [a.eq(d), b.eq(right.read_data)]
                m.d.comb += [augend.eq(0), accumulate.eq(1)]
                m.next = "SUBTRACT"
            with m.State("SUBTRACT"):
                m.d.comb += [subtract.eq(1), accumulate.eq(1)]
                m.next = "LOW"

            # -- g times rate, in two parts, and onto the master
            with m.State("LOW"):
                m.d.comb += [a.eq(sum_[:LOW_BITS]), b.eq(rate)]
                m.next = "HIGH"
            with m.State("HIGH"):
                m.d.comb += [a.eq(sum_ >> LOW_BITS), b.eq(rate)]
                m.d.comb += [augend.eq(1 << (SHIFT - 1)), accumulate.eq(1)]
                m.next = "BOTH"
            with m.State("BOTH"):
                m.d.comb += [augend.eq(sum_ >> LOW_BITS), accumulate.eq(1)]
                m.next = "LEARN"
            with m.State("LEARN"):
                m.d.comb += [low.write.eq(1), low.write_data.eq(learned[:16])]
                m.d.comb += [high.write.eq(1), high.write_data[8:10].eq(learned[16:]), high.mask.eq(0b100)]
                m.d.sync += [weight.eq(weight + 1), sum_.eq(0)]
                with m.If(~outputs):
                    m.next = "FETCH"
                    with m.If(biases):
                        m.d.sync += c.eq(c + 1)
                        with m.If(last_channel):
                            m.d.sync += [n.eq(0), weight.eq(0), biases.eq(0), outputs.eq(1), of_image.eq(0)]
                            m.next = "PRE"
                    with m.Else():
                        next_tap()
                        m.d.sync += n.eq(row_n)
                        with m.If(last_tap):
                            m.d.sync += [row_n.eq(row_n + pre.positions), n.eq(row_n + pre.positions), c.eq(c + 1)]
                            with m.If(last_channel):
                                m.d.sync += [n.eq(0), c.eq(0), biases.eq(1)]
                with m.Else():
                    m.d.sync += o.eq(o + 1)
                    m.next = "POST"
                    with m.If(biases):
                        m.next = "FETCH"
                    with m.If(last_output):
                        m.d.sync += [o.eq(0), n.eq(n + 1)]
                        m.next = "PRE"
                        with m.If(n == pre.neurons - 1):
                            # now the outputs' own sums
                            m.d.sync += biases.eq(1)
                            m.next = "FETCH"
                        with m.If(biases):
                            m.next = "IDLE"

            # -- commit
            with m.State("COMMIT-READ"):
                m.next = "COMMIT-WRITE"
            with m.State("COMMIT-WRITE"):
                m.d.comb += [low.write.eq(1), low.write_data.eq(clipped), high.write.eq(1), high.mask.eq(0b111)]
                m.d.comb += high.write_data.eq(Cat(working_weight, clipped[-1], clipped[-1]))
                m.d.sync += weight.eq(weight + 1)
                m.next = "COMMIT-READ"
                with m.If(weight >= Mux(of_image, image_weights, dense_weights)):
                    m.d.comb += bias_write.en.eq(1)
                    m.d.sync += bias_at.eq(bias_at + 1)
                with m.If(weight == Mux(of_image, image_words, dense_words) - 1):
                    m.d.sync += [weight.eq(0), of_image.eq(0)]
                    with m.If(~of_image):
                        m.next = "IDLE"

        # -- what the host side sees
        m.d.comb += [
            sequencer.start.eq(self.start & ~running),
            sequencer.operation.eq(self.operation),
            sequencer.free_steps.eq(self.settings.free_steps),
            sequencer.nudged_steps.eq(self.settings.nudged_steps),
            # the sequencer would begin the next sample beside the update; here there is nothing beside
            self.busy.eq(sequencer.busy | running),
            self.phase.eq(sequencer.phase),
            self.read_data.eq(low.read_data),
        ]
        for part in ("image", "step", "update", "commit"):
            m.d.comb += getattr(sequencer, f"{part}_busy").eq(running)
        for i, cycles in enumerate(self.phase_cycles):
            with m.If(self.clear):
                m.d.sync += cycles.eq(0)
            with m.Elif(self.phase[i]):
                m.d.sync += cycles.eq(cycles + 1)
        for i, (layer, mine) in enumerate(((pre, ~outputs), (post, outputs))):
            with m.If(self.clear):
                m.d.sync += self.spikes[i].eq(0)
            with m.Elif(firing & mine & spike):
                m.d.sync += self.spikes[i].eq(self.spikes[i] + 1)
            trace = getattr(self, f"trace_{layer.index}")
            m.d.comb += [
                trace.valid.eq(firing & mine),
                trace.payload.address.eq(Mux(outputs, o, n)),
                trace.payload.d[0].eq(d),
                trace.payload.xi[0].eq(xi),
                trace.payload.u[0].eq(membrane),
                trace.payload.s.eq(spike),
            ]
        return m

    def _rounded(self, m, value, bits, fraction, name):
        """Round half up from the master's LSB to ``2^-fraction``; only the largest masters can overflow: saturate."""
        shift = self.config.spec.formats.master_fraction - fraction
        rounded, result = Signal(signed(bits + 1), name=f"rounded_{name}"), Signal(signed(bits), name=f"working_{name}")
        m.d.comb += [rounded.eq((value + (1 << (shift - 1))) >> shift), result.eq(saturated(rounded, bits))]
        return result
