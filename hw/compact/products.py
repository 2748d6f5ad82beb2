"""The compact core's multipliers, except the nudge's: products with boxes, g of dense weights, g * rate.

*Control*, *register* and *result* are defined in `datapath`. A product is valid one cycle after its
factors. Each use has its own multiplier: the part has enough of them, and a multiplexer in front of
one would cost more logic than everything around it.
"""

from amaranth.hdl import Mux, Signal, signed

from nudge.golden.contract.formats import signed_bits
from nudge.hw.lib.bounds import bounded, signed_range
from nudge.hw.lib.multiplier import Multiplier
from nudge.plumbing.errors import ConfigError

#: Right shift of all updates, from g * rate to a master's LSB: see `UpdateShifts`.
SHIFT = 25
#: Width of the low part of g; g is multiplied by its rate in two parts, these bits and the rest.
LOW_BITS = 15
#: Width of g that the multipliers take in two parts.
G_BITS = 31
#: Width of the shifted window sums of a dense weight: that of a multiplier's signed factor, without its sign.
SUM_BITS = 15


class UpdateShifts:
    """Left shifts of g that give the updates of all kinds of parameters the same right shift, `SHIFT`.

    Raises `ConfigError` if an update's right shift exceeds `SHIFT`, or if the shifted g has more than G_BITS,
    or its shifted factors more than SUM_BITS.
    """

    def __init__(self, spec):
        image, dense = spec.bundles
        rights = {bundle.kind: spec.weight_shift(bundle) for bundle in spec.bundles}
        largest = max(*rights.values(), spec.bias_shift)
        if largest > SHIFT:
            raise ConfigError(f"the compact core shifts updates by {SHIFT} bits, not {largest}")
        #: Left shifts of g for a weight of the image bundle, for a dense weight, for a bias.
        self.image = SHIFT - rights["image"]
        self.dense = SHIFT - rights["dense"]
        self.bias = SHIFT - spec.bias_shift
        #: Largest |shifted g| of a dense weight (`dense_bound`) and of any parameter (`bound`); their widths.
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
    """Sums of products with boxes (2x2 pixels); plus and minus are the window sums of the post neuron:

        static drive              sum of weight * box
        g of an image weight      sum of (plus - minus) * box
        g of a bias               sum of (plus - minus)

    A state that reads both factors sets `issue`; the next cycle multiplies them, and the cycle after
    that adds the product.
    """

    def __init__(self, m, counters, *, bound, weight, left_box, difference, low_box, shifts: UpdateShifts):
        m.submodules.box_products = multiplier = Multiplier()
        #: Control: factors are read, and their product is to be added; else not.
        self.issue = Signal()
        #: Register: `issue` of the previous cycle; the factors are valid.
        self.multiplying = Signal()
        #: Register: `issue` of two cycles before; the product is valid.
        self.adding = Signal()
        #: Register: the sum.
        self.sum = Signal(signed(signed_bits(-bound, bound)))
        #: Result: this cycle adds the last product.
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
    """g of a dense weight: pre+ post+ - pre- post-, products of both neurons' window sums.

    The sums that a cycle reads are multiplied in the next cycle by those that the cycle before it read. So
    the sums of the neuron of layer 1 (pre) are read one cycle before those of the output (post).
    Integer model: `golden.model.ops.correlation` (paper eq. 11).
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
    """(g * rate) >> `HALVES`: the product in units of half a master's LSB."""

    #: Right shift of the product to half a master's LSB.
    HALVES = SHIFT - 1

    def __init__(self, m, g, rate):
        m.submodules.low_products = low = Multiplier()
        m.submodules.high_products = high = Multiplier()
        #: Register: the shifted product, two cycles after g.
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
