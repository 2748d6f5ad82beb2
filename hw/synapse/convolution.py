"""Convolution: one window of spikes or pixels against kernels held still, all output lanes at once."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.formats import signed_bits
from hw.lib.adder_tree import carry_tree, data_delay, delay, tree_latency
from hw.lib.bounds import bounded
from hw.lib.flow import Flow

from .interface import weighed


class Convolution(wiring.Component):
    """``o[lane] = sum over inputs and taps of weight * sample``, exact. Model: `golden.model.ops.convolution`.

    Spikes need no multiplier: each product is a gate, or the weight's negative.

    Parameters
    ----------
    inputs, outputs : int
        Input channels in a word and output channels computed side by side.
    taps : int
        Kernel elements, ``k * k``.
    weight_bits : int
    sample_bits : int
        1 for spikes, 2 for those with a sign, 8 for pixels, which are unsigned.

    Members
    -------
    i : In(Flow(ArrayLayout(inputs * sample_bits, taps)))
        Window; channel c of a tap is bits ``c * sample_bits ...``.
    weights : In(ArrayLayout(signed(weight_bits), outputs * inputs * taps))
        Index ``(output * inputs + input) * taps + tap``. Must be stable from a window until its sum has left.
    o : Out(Flow(ArrayLayout(signed(output_bits), outputs)))
        `output_bits` holds the worst case; overflow can't happen. In LSBs of the weights (times the samples').
    """

    def __init__(self, *, inputs, outputs, taps, weight_bits, sample_bits=1):
        self.inputs, self.outputs, self.taps, self.sample_bits = inputs, outputs, taps, sample_bits
        #: Whether samples are spikes, of -1, 0 and 1 at most.
        self.spikes = sample_bits <= 2
        #: Largest |sum|.
        self.bound = inputs * taps * (1 if self.spikes else (1 << sample_bits) - 1) << (weight_bits - 1)
        self.output_bits = signed_bits(-self.bound, self.bound)
        super().__init__(
            {
                "i": In(Flow(data.ArrayLayout(inputs * sample_bits, taps))),
                "weights": In(data.ArrayLayout(signed(weight_bits), outputs * inputs * taps)),
                "o": Out(Flow(data.ArrayLayout(signed(self.output_bits), outputs))),
            }
        )

    @property
    def latency(self):
        """Cycles from a window to its sums: the adder tree, and a register after the multipliers of pixels."""
        return tree_latency(self.inputs * self.taps) + (not self.spikes)

    def elaborate(self, platform):
        m = Module()
        for output in range(self.outputs):
            products = []
            for channel in range(self.inputs):
                for tap in range(self.taps):
                    sample = self.i.payload[tap].word_select(channel, self.sample_bits)
                    weight = self.weights[(output * self.inputs + channel) * self.taps + tap]
                    if self.spikes:
                        products.append(weighed(sample, weight))
                    else:
                        products.append((data_delay(m, weight * sample), None))
            # nothing is added to the sum, so the carry that the tree has no room for is added to the first product
            (first, carry), *others = products
            whole = first if carry is None else first + carry
            total, _ = carry_tree(m, [(whole, None), *others])
            why = "all weights and samples at their end"
            m.d.comb += bounded(self.o.payload[output], total, -self.bound, self.bound, why)
        m.d.comb += self.o.valid.eq(delay(m, self.i.valid, self.latency))
        return m
