"""The compact core's registers, memories and arithmetic, and the control signals that use them.

Each class here, in `memories`, `counters`, `boxes`, `products` and `neuron` builds a part into the core's one module.
Its attributes are what the program reads and sets:

- *control*: set by a state of the program for its cycle; "else" says what it is in other states.
- *register*: keeps its value until a state, or the part itself, sets another.
- *result*: follows from registers, control signals and memories within the cycle.
"""

from amaranth.hdl import Cat, Const, Mux, Signal, signed
from amaranth.lib.memory import Memory

from hw.lib.bounds import bounded, low_bits, signed_range
from hw.lib.multiplier import Multiplier
from hw.lib.saturate import saturated

from .boxes import Boxes
from .clip import clipped
from .counters import Counters
from .memories import ParameterMemory, StateMemory
from .memory_map import LEFT, RIGHT, MemoryMap
from .neuron import Neuron, Synapses
from .products import BoxProducts, DenseProducts, RateProducts, UpdateShifts


class Learning:
    """Masters from g times rate; working copies from masters; working biases."""

    def __init__(self, m, core, counters: Counters, master, g):
        spec, f = core.config.spec, core.config.spec.formats
        pre, post = spec.layers[1], spec.layers[2]
        #: Result: the rate of the parameter at hand.
        self.rate = Signal(f.rate_bits)
        weight_rate, bias_rate = core.settings.weight_rate, core.settings.bias_rate
        of_biases = Mux(counters.of_image, bias_rate[0], bias_rate[1])
        of_weights = Mux(counters.of_image, weight_rate[0], weight_rate[1])
        m.d.comb += self.rate.eq(Mux(counters.biases, of_biases, of_weights))
        #: Register: of the dense weights whose g was begun last and before it, which there are.
        self.under_way = Signal(2)
        scaled = RateProducts(m, g, self.rate).scaled
        #: Result: the master that the cycle before read with its update, two cycles after g.
        self.learned = Signal(signed(f.master_bits))
        # in halves of the master's LSB, so that one more rounds half up
        update = clipped(scaled, 2 * f.update_bound)
        new = (Cat(Const(1, 1), master).as_signed() + update) >> 1
        m.d.comb += bounded(self.learned, new, *signed_range(f.master_bits), "`Formats.update_bound`")
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
    """All parts. core: whose ports they are joined to. step: of the sequencer, a `Step`. annealing: likewise, or None."""

    def __init__(self, m, core, step, annealing):
        config, spec = core.config, core.config.spec
        self.core, self.spec, self.step = core, spec, step
        self.map, self.shifts = MemoryMap(config), UpdateShifts(spec)
        #: What the sum of a static drive begins with: half of its last bit, for rounding.
        self.static_half = 1 << (spec.static_shift - 1)
        self.counters = counters = Counters(m, config, self.map)
        self.left, self.right = StateMemory(m, LEFT, self.map), StateMemory(m, RIGHT, self.map)
        self.parameters = ParameterMemory(m, spec.formats, self.map, counters)
        self.boxes = Boxes(m, core, counters)

        #: Results: the window sums that the cycle before read, and +beta less -beta.
        self.plus_sum = self.left.data[: spec.sum_bits]
        self.minus_sum = self.right.data[: spec.sum_bits]
        self.difference = Signal(signed(spec.sum_bits + 1))
        m.d.comb += self.difference.eq(self.plus_sum - self.minus_sum)
        self.box_products = BoxProducts(
            m,
            counters,
            bound=max(self.shifts.bound, spec.static_bound + self.static_half),
            weight=self.parameters.weight,
            left_box=self.left.data[: self.map.left_boxes.bits],
            difference=self.difference,
            low_box=self.parameters.box,
            shifts=self.shifts,
        )
        dense_g = DenseProducts(m, self.plus_sum, self.minus_sum, self.shifts).g
        # of an outputs' bias or of the image bundle, or of a dense weight
        g = Mux(counters.outputs & ~counters.biases, dense_g, self.box_products.sum)[: self.shifts.bits].as_signed()
        self.learning = Learning(m, core, counters, self.parameters.master, g)

        self.neuron = Neuron(m, core, step, annealing, counters, self.learning.bias)
        self.synapses = Synapses(m, spec.layers[2], counters, self.neuron, self.parameters.weight)
        m.submodules.nudge = nudge = Multiplier()
        m.d.comb += [
            nudge.a.eq(self.neuron.away),
            nudge.b.eq(core.settings.beta),
            self.neuron.nudge.eq(nudge.product),
        ]

    def sum_onto(self, old):
        """A window sum with xi of this step."""
        return low_bits(Mux(self.step.sum_first, 0, old) + self.neuron.xi, self.spec.sum_bits, "`Spec.window_bound`")

    def read_sums(self, n):
        """Statements for `m.d.comb`: both window sums of neuron n are there in the next cycle."""
        plus = self.left.read(self.map.plus_sums, n)
        return [*plus, *self.right.read(self.map.minus_sums, n)]
