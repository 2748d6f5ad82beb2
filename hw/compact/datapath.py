"""The compact core's registers, memories and arithmetic, and the control signals that use them.

Each class here and in `memories`, `counters`, `boxes`, `products` and `neuron` builds a part into the core's
one module. The program reads and sets its attributes, which are of three kinds:

- *control*: set by a state of the program for its cycle; "else" gives the value in other states.
- *register*: keeps its value until a state, or the part itself, sets another.
- *result*: combinational, from registers, control signals and memories.
"""

from amaranth.hdl import Cat, Const, Mux, Signal, signed

from nudge.hw.lib.block_memory import WrittenMemory
from nudge.hw.lib.bounds import bounded, low_bits, signed_range
from nudge.hw.lib.multiplier import Multiplier
from nudge.hw.lib.saturate import saturated

from .boxes import Boxes
from .clip import clipped
from .loop_counters import LoopCounters
from .memories import ParameterMemory, StateMemory
from .memory_map import LEFT, RIGHT, MemoryMap
from .neuron import Neuron, Synapses
from .products import BoxProducts, DenseProducts, RateProducts, UpdateShifts


class Learning:
    """Updates masters, derives working copies from them, and stores the working biases:

        master  += clip(rhu(g * rate, SHIFT), -`update_bound`, `update_bound`)       update
        master   = clip(master, -1, 1 - 2^-15)                                       commit
        working  = saturate(rhu(master, 15 - fraction))            fraction: 7 of weights, 12 of biases

    (numbers for the default formats). `SHIFT` and the scaling of g: `products`.
    Integer model: `golden.model.ops.update`, `commit`, `working_weight` and `working_bias`.
    """

    def __init__(self, m, core, counters: LoopCounters, master, g):
        spec, f = core.config.spec, core.config.spec.formats
        pre, post = spec.layers[1], spec.layers[2]
        #: Result: the learning rate of the current parameter.
        self.rate = Signal(f.rate_bits)
        weight_rate, bias_rate = core.settings.weight_rate, core.settings.bias_rate
        of_biases = Mux(counters.of_image, bias_rate[0], bias_rate[1])
        of_weights = Mux(counters.of_image, weight_rate[0], weight_rate[1])
        m.d.comb += self.rate.eq(Mux(counters.biases, of_biases, of_weights))
        #: Register: bit 0 (1): the dense weight begun last (before the last) exists.
        self.under_way = Signal(2)
        scaled = RateProducts(m, g, self.rate).scaled
        #: Result: the master that the previous cycle read, with its update added; two cycles after g.
        self.learned = Signal(signed(f.master_bits))
        # Computed in half LSBs of the master; the added 1 rounds half up.
        update = clipped(scaled, 2 * f.update_bound)
        new = (Cat(Const(1, 1), master).as_signed() + update) >> 1
        m.d.comb += bounded(self.learned, new, *signed_range(f.master_bits), "`Formats.update_bound`")
        #: Result: the master that the previous cycle read, clipped by a commit.
        self.clipped = Signal(signed(f.committed_bits))
        m.d.comb += self.clipped.eq(saturated(master, f.committed_bits))
        #: Results: its working copy as a weight, and as a bias.
        self.working_weight = self._rounded(m, f, f.weight_bits, f.weight_fraction, "weight")
        self.working_bias = self._rounded(m, f, f.bias_bits, f.bias_fraction, "bias")

        biases = WrittenMemory(shape=signed(f.bias_bits), depth=pre.channels + post.neurons)
        m.submodules.biases = biases
        read, write = biases.read_port(), biases.write_port()
        #: Result: the working bias of the neuron addressed in the previous cycle.
        self.bias = read.data
        #: Control: store `working_bias` at `LoopCounters.bias_at`; else not.
        self.keep_bias = write.en
        m.d.comb += [
            read.addr.eq(Mux(counters.outputs, pre.channels + counters.o, counters.c)),
            write.addr.eq(counters.bias_at),
            write.data.eq(self.working_bias),
        ]

    def _rounded(self, m, f, bits, fraction, name):
        """Return the clipped master rounded half up to an LSB of ``2^-fraction``, saturated to ``bits``."""
        shift = f.master_fraction - fraction
        rounded = Signal(signed(bits + 1), name=f"rounded_{name}")
        result = Signal(signed(bits), name=f"working_{name}")
        m.d.comb += rounded.eq((self.clipped + (1 << (shift - 1))) >> shift)
        m.d.comb += result.eq(saturated(rounded, bits))
        return result


class Datapath:
    """All parts of the datapath.

    core: component with the ports to connect. step: the sequencer's `Step`. annealing: the sequencer's
    ``annealing``, or None if the schedule has no halvings.
    """

    def __init__(self, m, core, step, annealing):
        config, spec = core.config, core.config.spec
        self.core, self.spec, self.step = core, spec, step
        self.map, self.shifts = MemoryMap(config), UpdateShifts(spec)
        #: Initial value of a static drive's sum: half of its LSB after the shift, for rounding half up.
        self.static_half = 1 << (spec.static_shift - 1)
        self.counters = counters = LoopCounters(m, config, self.map)
        self.left, self.right = StateMemory(m, LEFT, self.map), StateMemory(m, RIGHT, self.map)
        self.parameters = ParameterMemory(m, spec.formats, self.map, counters)
        self.boxes = Boxes(m, core, counters)

        #: Results: the window sums that the previous cycle read, and their difference, +beta minus -beta.
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
        # g of a dense weight, else of a weight of the image bundle or of a bias.
        g = Mux(counters.outputs & ~counters.biases, dense_g, self.box_products.sum)[
            : self.shifts.bits
        ].as_signed()
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
        """Return a window sum with this step's xi added; ``old`` is ignored in the window's first step."""
        return low_bits(
            Mux(self.step.sum_first, 0, old) + self.neuron.xi, self.spec.sum_bits, "`Spec.window_bound`"
        )

    def read_sums(self, n):
        """Return the statements for `m.d.comb` that read both window sums of neuron n for the next cycle."""
        plus = self.left.read(self.map.plus_sums, n)
        return [*plus, *self.right.read(self.map.minus_sums, n)]
