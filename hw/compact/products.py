"""The compact core's multipliers but that of the nudge: sums of products with pixels; g of dense weights; g times rate.

What *control*, *register* and *result* mean: `datapath`. A product is there a cycle after its
factors. Each use has a multiplier of its own: the part has them, and a multiplexer before one would
cost more logic than all there is around it.
"""

from amaranth.hdl import Mux, Signal, signed

from golden.contract.formats import signed_bits
from hw.lib.bounds import bounded, signed_range
from hw.lib.multiplier import Multiplier
from plumbing.errors import ConfigError

#: Right shift of all updates, from g times rate to a master: see `UpdateShifts`.
SHIFT = 25
#: g is multiplied by its rate in two parts: these low bits, and the rest.
LOW_BITS = 15
#: Bits of g that the multipliers take in two parts.
G_BITS = 31
#: Bits of the window sums of a dense weight, shifted: of a multiplier's signed factor.
SUM_BITS = 15


class UpdateShifts:
    """Left shifts of g that make `SHIFT` the right shift of updates of every kind.

    Raises `ConfigError` where there are none, or where g, so shifted, has more than G_BITS, or its factors more than SUM_BITS.
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
        #: Largest |g|, so shifted, of a dense weight, and of every parameter; their bits.
        self.dense_bound = spec.correlation_bound(dense) << self.dense
        self.dense_bits = signed_bits(-self.dense_bound, self.dense_bound)
        self.bound = max(
            self.dense_bound,
            spec.correlation_bound(image) << self.image,
            max(spec.bias_bound(bundle) for bundle in spec.bundles) << self.bias,
        )
        self.bits = signed_bits(-self.bound, self.bound)
        if self.bits > G_BITS:
            raise ConfigError(f"the compact core has {G_BITS} bits for g, not {self.bits}")
        bits = spec.sum_bits + self.dense
        if bits > SUM_BITS:
            raise ConfigError(f"the compact core has {SUM_BITS} bits for window sums, shifted, not {bits}")


class BoxProducts:
    """The sum of weights times boxes of four pixels, for a static drive; for g of a parameter, that of differences of window
    sums times boxes, or times 1.

    A state that reads both factors sets `issue`; the next cycle multiplies them, the one after that
    adds the product.
    """

    def __init__(self, m, counters, *, bound, weight, left_box, difference, low_box, shifts: UpdateShifts):
        m.submodules.box_products = multiplier = Multiplier()
        #: Control: factors are read, and their product is to be added; else not.
        self.issue = Signal()
        #: Registers: `issue` of one cycle ago (the factors are there), of two (the product is).
        self.multiplying = Signal()
        self.adding = Signal()
        #: Register: the sum.
        self.sum = Signal(signed(signed_bits(-bound, bound)))
        #: Result: nothing more will be added after this cycle.
        self.last = self.adding & ~self.multiplying
        one = 1 << (shifts.bias - shifts.image)
        m.d.sync += [self.multiplying.eq(self.issue), self.adding.eq(self.multiplying)]
        m.d.comb += [
            multiplier.a.eq(Mux(counters.updating, difference << shifts.image, weight)),
            multiplier.b.eq(Mux(counters.updating, Mux(counters.biases, one, low_box), left_box)),
        ]
        with m.If(self.adding):
            total, why = self.sum + multiplier.product, "`Spec.static_bound` and half of a unit, or |g|"
            m.d.sync += bounded(self.sum, total, -bound, bound, why)


class DenseProducts:
    """g of a dense weight: the product of both neurons' +beta sums less that of their -beta sums.

    The cycle after one that reads the sums of the neuron of layer 1 keeps them, and that after one
    that reads the output's multiplies. So the first may be read a cycle before the second.
    """

    def __init__(self, m, plus_sum, minus_sum, shifts: UpdateShifts):
        #: Result: g, two cycles after the output's sums are read.
        self.g = Signal(signed(shifts.dense_bits))
        products = []
        for name, total in (("plus", plus_sum), ("minus", minus_sum)):
            m.submodules[f"{name}_products"] = multiplier = Multiplier()
            pre = Signal.like(total, name=f"pre_{name}")
            m.d.sync += pre.eq(total)
            m.d.comb += [multiplier.a.eq(pre << shifts.dense), multiplier.b.eq(total)]
            products.append(multiplier.product)
        bound, why = shifts.dense_bound, "`Spec.correlation_bound`"
        m.d.comb += bounded(self.g, products[0] - products[1], -bound, bound, why)


class RateProducts:
    """g times its rate, without the `HALVES` bits of it that are below half of a master's LSB."""

    HALVES = SHIFT - 1

    def __init__(self, m, g, rate):
        m.submodules.low_products = low = Multiplier()
        m.submodules.high_products = high = Multiplier()
        #: Register: that product, two cycles after g.
        self.scaled = Signal(signed(len(g) + len(rate) - self.HALVES))
        m.d.comb += [
            low.a.eq(g[:LOW_BITS]),
            low.b.eq(rate),
            high.a.eq(g >> LOW_BITS),
            high.b.eq(rate),
        ]
        total = (low.product >> LOW_BITS) + high.product
        low_end, high_end = signed_range(len(self.scaled))
        whole, why = total >> (self.HALVES - LOW_BITS), "a product has the bits of both factors"
        m.d.sync += bounded(self.scaled, whole, low_end, high_end, why)
