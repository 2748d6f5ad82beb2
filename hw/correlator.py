"""Correlator: products of both nudged phases, their difference summed over positions, times the learning rate."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.spec import Bundle

from . import layout
from .adder_tree import delay
from .config import Config
from .flow import Flow


def pre_bits(config: Config, bundle: Bundle) -> int:
    """Width of the pre factor: a window sum or a pixel, or the sum of four under a pooled position."""
    spec = config.spec
    bits = spec.formats.pixel_bits if bundle.kind == "image" else spec.sum_bits
    return bits if bundle.kind == "dense" else bits + 2


def item(config: Config, bundle: Bundle):
    """One position's factors: the pre values of both phases and the post window sums of both phases."""
    lanes = config.lanes[bundle.index]
    sums = data.ArrayLayout(unsigned(config.spec.sum_bits), lanes)
    return data.StructLayout(
        {
            "address": unsigned(bits_for(layout.master_words(config, bundle) - 1)),
            "bias": unsigned(1),
            "first": unsigned(1),
            "last": unsigned(1),
            "pre_plus": unsigned(pre_bits(config, bundle)),
            "pre_minus": unsigned(pre_bits(config, bundle)),
            "post_plus": sums,
            "post_minus": sums,
        }
    )


def update_word(config: Config, bundle: Bundle):
    """Updates of one master word, LSB 2^-15, within +-`Formats.update_bound`."""
    bound = config.spec.formats.update_bound
    return data.StructLayout(
        {
            "address": unsigned(bits_for(layout.master_words(config, bundle) - 1)),
            "update": data.ArrayLayout(signed(bits_for(bound) + 1), config.lanes[bundle.index]),
        }
    )


class Correlator(wiring.Component):
    """``g = sum of pre+ post+ - pre- post-`` from ``first`` to ``last``; then one rounding and one clip.

    ``update = clip(round_half_up(g * rate / 2^shift))`` with the rate and shift of weights or, for ``bias`` items, of
    biases. g is as wide as its worst case (`Spec.correlation_bits`): no order of additions matters.
    Model: `golden.ops.correlation` and `golden.ops.update` (paper eq. 11).

    Members
    -------
    i : In(Flow(item))
        One item a cycle.
    weight_rate, bias_rate : In
        Registers, LSB 2^-18.
    o : Out(Flow(update_word))
        `latency` cycles after each ``last``.
    """

    latency = 5

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        rate = config.spec.formats.rate_bits
        super().__init__(
            {
                "i": In(Flow(item(config, bundle))),
                "weight_rate": In(rate),
                "bias_rate": In(rate),
                "o": Out(Flow(update_word(config, bundle))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, bundle = self.config.spec, self.bundle
        i, bound = self.i.payload, spec.formats.update_bound
        g_bits = spec.correlation_bits(bundle)
        shifts = {0: spec.weight_shift(bundle), 1: spec.bias_shift}

        valid = [self.i.valid]
        for _ in range(self.latency - 1):
            valid.append(delay(m, valid[-1], 1))
        first2 = delay(m, i.first, 2)
        bias3, bias4 = delay(m, i.bias, 3), delay(m, i.bias, 4)
        rate = Signal(spec.formats.rate_bits)
        m.d.comb += rate.eq(Mux(bias3, self.bias_rate, self.weight_rate))

        for lane in range(self.config.lanes[bundle.index]):
            # The bias has no pre factor: its phases differ by the post sums alone.
            plus = delay(m, Mux(i.bias, i.post_plus[lane], i.pre_plus * i.post_plus[lane]), 1, reset_less=True)
            minus = delay(m, Mux(i.bias, i.post_minus[lane], i.pre_minus * i.post_minus[lane]), 1, reset_less=True)
            difference = delay(m, plus - minus, 1, reset_less=True)
            g = Signal(signed(g_bits), name=f"g_{lane}", reset_less=True)
            with m.If(valid[2]):
                m.d.sync += g.eq(Mux(first2, 0, g) + difference)
            scaled = Signal(signed(g_bits + spec.formats.rate_bits + 1), name=f"scaled_{lane}", reset_less=True)
            m.d.sync += scaled.eq(g * rate)
            rounded = Signal.like(scaled, name=f"rounded_{lane}")
            m.d.comb += rounded.eq(
                Mux(
                    bias4,
                    (scaled + (1 << (shifts[1] - 1))) >> shifts[1],
                    (scaled + (1 << (shifts[0] - 1))) >> shifts[0],
                )
            )
            clipped = Mux(rounded > bound, bound, Mux(rounded < -bound, -bound, rounded))
            m.d.sync += self.o.payload.update[lane].eq(clipped)
        m.d.sync += self.o.valid.eq(valid[4] & delay(m, i.last, 4))
        m.d.comb += self.o.payload.address.eq(delay(m, i.address, self.latency, reset_less=True))
        return m
