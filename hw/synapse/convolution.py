"""Convolution of one window of spikes or pixels with constant kernels, all output lanes in parallel."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.formats import signed_bits
from nudge.hw.lib.adder_tree import carry_tree, data_delay, delay, tree_latency
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.flow import Flow

from .interface import weighed


class Convolution(wiring.Component):
    """``o[lane] = sum over inputs and taps of weight * sample``, exact.

    Spikes need no multiplier: a product is the weight, 0, or with fine spikes the weight's negative.

    Latency: `latency`.
    Integer model: `golden.model.ops.convolution`.

    Parameters
    ----------
    inputs, outputs : int
        Input channels in a word, and output channels computed in parallel.
    taps : int
        Kernel elements, ``k * k``.
    weight_bits : int
    sample_bits : int
        1 for spikes, 2 for fine spikes, 8 for pixels, which are unsigned.

    Members
    -------
    i : In(Flow(ArrayLayout(inputs * sample_bits, taps)))
        Window; bits ``c * sample_bits ...`` of a tap are channel c.
    weights : In(ArrayLayout(signed(weight_bits), outputs * inputs * taps))
        Index ``(output * inputs + input) * taps + tap``. Must be stable from a window until its sum is sent.
    o : Out(Flow(ArrayLayout(signed(output_bits), outputs)))
        Sums, in LSBs of weight times sample. `output_bits` holds the worst case, so they never overflow.
    """

    def __init__(self, *, inputs, outputs, taps, weight_bits, sample_bits=1):
        self.inputs, self.outputs, self.taps, self.sample_bits = inputs, outputs, taps, sample_bits
        #: True if samples are spikes (0 and 1, or -1, 0 and 1).
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
        """Cycles from a window to its sums: the adder tree, for pixels also the multipliers' register."""
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
            # `carry_tree` returns one carry if all terms have one. No addition follows here, so the first
            # product's carry is added beforehand.
            (first, carry), *others = products
            whole = first if carry is None else first + carry
            total, _ = carry_tree(m, [(whole, None), *others])
            why = "all weights and samples at their end"
            m.d.comb += bounded(self.o.payload[output], total, -self.bound, self.bound, why)
        m.d.comb += self.o.valid.eq(delay(m, self.i.valid, self.latency))
        return m
