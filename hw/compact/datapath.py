"""The compact core's registers, memories and arithmetic, and the control signals that use them.

Each class here, in `memories`, `counters` and `neuron` builds a part into the core's one module.
Its attributes are what the program reads and sets:

- *control*: set by a state of the program for its cycle; "else" says what it is in other states.
- *register*: keeps its value until a state, or the part itself, sets another.
- *result*: follows from registers, control signals and memories within the cycle.
"""

from amaranth.hdl import Mux, Signal, signed
from amaranth.lib.memory import Memory

from golden.contract.errors import ConfigError
from golden.contract.formats import signed_bits
from hw.lib.multiplier import Multiplier
from hw.lib.saturate import saturated

from .counters import Counters
from .memories import ParameterMemory, StateMemory
from .memory_map import LEFT, RIGHT, MemoryMap
from .neuron import Neuron, Synapses

#: Right shift of all updates, from g times rate to a master: see `UpdateShifts`.
SHIFT = 25
#: g is multiplied by its rate in two parts: these low bits, then the rest.
LOW_BITS = 15
#: Width of the sum.
SUM_BITS = 32


class UpdateShifts:
    """Left shifts of g that make `SHIFT` the right shift of updates of every kind.

    Raises `ConfigError` where there are none, or where g, so shifted, has more than the
    SUM_BITS - 1 bits that the multiplier takes in two parts.
    """

    def __init__(self, spec):
        image, dense = spec.bundles
        rights = {bundle.kind: spec.weight_shift(bundle) for bundle in spec.bundles}
        largest = max(*rights.values(), spec.bias_shift)
        if largest > SHIFT:
            raise ConfigError(f"the compact core shifts updates by {SHIFT} bits, not {largest}")
        #: Of a weight of the image bundle, of a dense one, of a bias.
        self.image = SHIFT - rights["image"]
        self.dense = SHIFT - rights["dense"]
        self.bias = SHIFT - spec.bias_shift
        bound = max(
            spec.correlation_bound(image) << self.image,
            spec.correlation_bound(dense) << self.dense,
            max(spec.bias_bound(bundle) for bundle in spec.bundles) << self.bias,
        )
        if (bits := signed_bits(-bound, bound)) > SUM_BITS - 1:
            raise ConfigError(f"the compact core has {SUM_BITS - 1} bits for g, not {bits}")


class MultiplyAdd:
    """The multiplier, the adder and the sum.

    A product is there a cycle after its factors. Products with pixels are added without the
    program's help: in the cycle after `issue` factor and pixel are multiplied, and in the next one
    the product is added.
    """

    def __init__(self, m, pixel, factor_bits):
        m.submodules.multiplier = multiplier = Multiplier()
        #: Control: the factors, signed and unsigned; else `factor` and the pixel.
        self.a, self.b = multiplier.a, multiplier.b
        #: Result: product of the factors of the cycle before.
        self.product = multiplier.product
        #: Register: what four pixels in a row are multiplied by.
        self.factor = Signal(signed(factor_bits))
        #: Control: a pixel is asked for, and its product is to be added; else not.
        self.issue = Signal()
        #: Registers: `issue` of one cycle ago (the pixel is there), of two (the product is there).
        self.multiplying = Signal()
        self.adding = Signal()
        #: Register: the sum.
        self.sum = Signal(signed(SUM_BITS))
        #: Control: what is added to, else `sum`; what is added, else `product`.
        self.augend = Signal(signed(SUM_BITS))
        self.addend = Signal(signed(SUM_BITS))
        #: Control: `sum` becomes augend + addend; else it does so if `adding`.
        self.accumulate = Signal()
        #: Control: it becomes augend - addend instead; else not.
        self.subtract = Signal()
        m.d.sync += [self.multiplying.eq(self.issue), self.adding.eq(self.multiplying)]
        m.d.comb += [
            self.a.eq(self.factor),
            self.b.eq(pixel),
            self.augend.eq(self.sum),
            self.addend.eq(self.product),
            self.accumulate.eq(self.adding),
        ]
        with m.If(self.accumulate):
            term = self.addend ^ self.subtract.replicate(SUM_BITS)
            m.d.sync += self.sum.eq(self.augend + term + self.subtract)


class Learning:
    """Masters from g times rate, in the sum; working copies from masters; working biases."""

    def __init__(self, m, core, counters: Counters, master, total):
        spec, f = core.config.spec, core.config.spec.formats
        pre, post = spec.layers[1], spec.layers[2]
        #: Result: the rate of the parameter at hand.
        self.rate = Signal(f.rate_bits)
        weight_rate, bias_rate = core.settings.weight_rate, core.settings.bias_rate
        of_biases = Mux(counters.of_image, bias_rate[0], bias_rate[1])
        of_weights = Mux(counters.of_image, weight_rate[0], weight_rate[1])
        m.d.comb += self.rate.eq(Mux(counters.biases, of_biases, of_weights))
        #: Result: the master with its update, from a sum that lacks `LOW_BITS` of g times rate.
        self.learned = Signal(signed(f.master_bits))
        bound = f.update_bound
        scaled = Signal(signed(SUM_BITS - (SHIFT - LOW_BITS)))
        update = Signal(signed(signed_bits(-bound, bound)))
        m.d.comb += [
            scaled.eq(total >> (SHIFT - LOW_BITS)),
            update.eq(Mux(scaled > bound, bound, Mux(scaled < -bound, -bound, scaled))),
            self.learned.eq(master + update),
        ]
        #: Result: the master after a commit.
        self.clipped = Signal(signed(f.committed_bits))
        m.d.comb += self.clipped.eq(saturated(master, f.committed_bits))
        #: Results: its working copy, if it is a weight's, if it is a bias's.
        self.working_weight = self._rounded(m, f, f.weight_bits, f.weight_fraction, "weight")
        self.working_bias = self._rounded(m, f, f.bias_bits, f.bias_fraction, "bias")

        biases = Memory(shape=signed(f.bias_bits), depth=pre.channels + post.neurons, init=[])
        m.submodules.biases = biases
        read, write = biases.read_port(), biases.write_port()
        #: Result: the working bias of the neuron at hand.
        self.bias = read.data
        #: Control: store `working_bias` at `Counters.bias_at`; else not.
        self.keep_bias = write.en
        m.d.comb += [
            read.addr.eq(Mux(counters.outputs, pre.channels + counters.o, counters.c)),
            write.addr.eq(counters.bias_at),
            write.data.eq(self.working_bias),
        ]

    def _rounded(self, m, f, bits, fraction, name):
        """The clipped master rounded half up to ``2^-fraction``; only the largest saturates."""
        shift = f.master_fraction - fraction
        rounded = Signal(signed(bits + 1), name=f"rounded_{name}")
        result = Signal(signed(bits), name=f"working_{name}")
        m.d.comb += rounded.eq((self.clipped + (1 << (shift - 1))) >> shift)
        m.d.comb += result.eq(saturated(rounded, bits))
        return result


class Datapath:
    """All parts. core: whose ports they are joined to. step: of the sequencer, a `Step`."""

    def __init__(self, m, core, step):
        config, spec = core.config, core.config.spec
        self.core, self.spec, self.step = core, spec, step
        self.map, self.shifts = MemoryMap(config), UpdateShifts(spec)
        #: What the sum of a static drive begins with: half of its last bit, for rounding.
        self.static_half = 1 << (spec.static_shift - 1)
        self.counters = counters = Counters(m, config, self.map)
        self.left, self.right = StateMemory(m, LEFT, self.map), StateMemory(m, RIGHT, self.map)
        self.parameters = ParameterMemory(m, spec.formats, self.map, counters)
        self.multiply_add = MultiplyAdd(m, core.pixel, spec.sum_bits + 1 + self.shifts.image)
        master, total = self.parameters.master, self.multiply_add.sum
        self.learning = Learning(m, core, counters, master, total)
        self.neuron = Neuron(m, core, step, counters, self.learning.bias)
        self.synapses = Synapses(m, spec.layers[2], counters, self.neuron, self.parameters.weight)

        #: Results: the window sums that the cycle before read, and +beta less -beta.
        self.plus_sum = self.left.data[: spec.sum_bits]
        self.minus_sum = self.right.data[: spec.sum_bits]
        self.difference = Signal(signed(spec.sum_bits + 1))
        m.d.comb += [
            core.pixel_address.eq(counters.pixel_address),
            self.neuron.nudge.eq(self.multiply_add.product),
            self.difference.eq(self.plus_sum - self.minus_sum),
        ]

    def sum_onto(self, old):
        """A window sum with xi of this step."""
        return (Mux(self.step.sum_first, 0, old) + self.neuron.xi)[: self.spec.sum_bits]

    def read_sums(self, n):
        """Statements for `m.d.comb`: both window sums of neuron n are there in the next cycle."""
        plus = self.left.read(self.map.plus_sums, n)
        return [*plus, *self.right.read(self.map.minus_sums, n)]
