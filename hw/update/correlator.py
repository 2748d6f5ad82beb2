"""Correlator: sums the difference of the nudged phases' products and scales it by the learning rate."""

from amaranth.hdl import Array, Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import data_delay, delay
from nudge.hw.lib.bounds import bounded, low_bits
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.rounding import half_up

from .interface import post_word, pre_word, products, update_word


def pre_factor(config: Config, bundle: Bundle):
    """Shape of a pre factor: a window sum or pixel; in a convolution the sum of a 2x2 box of them."""
    field = pre_word(config, bundle)[products(config, bundle)[0][0]].shape
    lane = Shape.cast(field if bundle.on_image else field.elem_shape)
    return Shape(lane.width + (0 if bundle.full else 2), lane.signed)


def pre_bits(config: Config, bundle: Bundle) -> int:
    """Width of a pre factor, in bits."""
    return pre_factor(config, bundle).width


def item(config: Config, bundle: Bundle):
    """Layout of an item: ``pre`` and ``post`` factors of one position's `products`, in their order."""
    pairs = products(config, bundle)
    sums = post_word(config, bundle)[pairs[0][1]].shape
    return data.StructLayout(
        {
            "address": unsigned(bits_for(layout.master_words(config, bundle) - 1)),
            "bias": unsigned(1),
            "first": unsigned(1),
            "last": unsigned(1),
            "pre": data.ArrayLayout(pre_factor(config, bundle), len(pairs)),
            "post": data.ArrayLayout(sums, len(pairs)),
        }
    )


def last_cycle(m, config: Config, bundle: Bundle, active):
    """Return a signal that is high in the last of each item's `Config.item_cycles` cycles while ``active``:
    the engine's loops advance."""
    if config.item_cycles(bundle) == 1:
        return active
    second = Signal()
    m.d.sync += second.eq(active & ~second)
    return active & second


def scaling_turns(config: Config, bundle: Bundle) -> int:
    """Return the number of lanes that share one scaler, in turns: the largest divisor of the bundle's lanes
    that is at most the number of cycles between two sums."""
    lanes, cycles = config.lanes[bundle.index], config.item_cycles(bundle)
    cycles *= 1 if bundle.full else bundle.post.positions
    return max(n for n in range(1, lanes + 1) if lanes % n == 0 and n <= cycles)


def latency(config: Config, bundle: Bundle) -> int:
    """Return the cycles from the last cycle of the last item of a sum to its update: registers of the item,
    factors, products, their difference (unless they share a multiplier), sum; then factor, products, scaled,
    rounded, compared, clipped. Several turns add registers for the kept sum and the selected lane.
    """
    turns = scaling_turns(config, bundle)
    return term_depth(config, bundle) + 8 + (0 if turns == 1 else 1 + turns)


def term_depth(config: Config, bundle: Bundle) -> int:
    """Return the number of registers from an item's to the term that its sum adds."""
    return 2 if config.item_cycles(bundle) == 2 else 3


#: Width of an unsigned factor that a multiplier of the part takes: ECP5's has 18 bits, signed.
FACTOR_BITS = 17


class Correlator(wiring.Component):
    """Sums the products of the items from ``first`` to ``last`` and scales the sum g, with one rounding and
    one clip:

        g      = sum of pre[0] post[0] - pre[1] post[1]        a weight; with fine spikes the products' sum
        g      = sum of post[0] - post[1]                      a bias; with fine spikes post[0]
        update = clip(rhu(g * rate, shift), -`update_bound`, `update_bound`)

    Some networks have the first of the `products` alone. Rate and shift are those of weights or, for ``bias``
    items, of biases. g is as wide as its worst case (`Spec.correlation_bits`), so the order of additions
    doesn't matter.

    Where `Config.item_cycles` is 2, each lane has one multiplier for both products. `scaling_turns` lanes of
    a sum share a multiplier by the rate.
    Latency: `latency`.
    Integer model: `golden.model.ops.correlation` and `golden.model.ops.update` (paper eq. 11).

    Members
    -------
    i : In(Flow(item))
        Each item for `Config.item_cycles` successive cycles. From one ``last`` to the next at least
        `scaling_turns` cycles.
    weight_rate : In
        Learning rate of the weights, LSB 2^-18.
    bias_rate : In
        Learning rate of the biases, LSB 2^-18.
    o : Out(Flow(update_word))
        The update, `latency` cycles after the (last cycle of the) item with ``last``.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.turns = scaling_turns(config, bundle)
        self.latency = latency(config, bundle)
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
        spec, bundle, turns = self.config.spec, self.bundle, self.turns
        lanes = self.config.lanes[bundle.index]
        g_bits, most = (
            spec.correlation_bits(bundle),
            max(spec.correlation_bound(bundle), spec.bias_bound(bundle)),
        )

        # -- products of both phases, and the sum of their differences
        shared, depth = self.config.item_cycles(bundle) == 2, term_depth(self.config, bundle)
        # Block RAM is too slow for logic in the same cycle, so the item is registered.
        i, arriving, second = (
            Signal.like(self.i.payload, reset_less=True),
            delay(m, self.i.valid, 1),
            Signal(),
        )
        m.d.sync += i.eq(self.i.payload)
        if shared:
            m.d.sync += second.eq(arriving & ~second)
        adding, first = delay(m, arriving, depth), delay(m, i.first & ~second, depth)
        ended = delay(m, arriving & i.last & (second if shared else 1), depth + 1)
        ended_bias, ended_address = delay(m, i.bias, depth + 1), data_delay(m, i.address, depth + 1)

        # A bias has no pre factor: it counts as 1 in both products, with fine spikes as 1 and 0. The factors
        # are registered, because the multipliers of all lanes are spread across the part.
        fine = bool(spec.schedule.fine)
        factors = [Mux(i.bias, int(n == 0 or not fine), pre) for n, pre in enumerate(i.pre)]
        sums = data_registers("g", signed(g_bits), lanes)
        if shared:
            factor = Signal(signed(pre_bits(self.config, bundle) + 1), reset_less=True)
            m.d.sync += factor.eq(Mux(second, factors[1] if fine else -factors[1], factors[0]))
            posts = [data_delay(m, Mux(second, i.post[1][lane], i.post[0][lane])) for lane in range(lanes)]
            terms = [data_delay(m, factor * post) for post in posts]
        else:
            factors, posts = [data_delay(m, factor) for factor in factors], data_delay(m, i.post)
            each = [
                [data_delay(m, a * post[lane]) for a, post in zip(factors, posts, strict=True)]
                for lane in range(lanes)
            ]
            terms = [data_delay(m, sum(both) if fine else both[0] - both[1]) for both in each]
        for g, term in zip(sums, terms, strict=True):
            with m.If(adding):
                m.d.sync += bounded(
                    g, Mux(first, 0, g) + term, -most, most, "`Spec.correlation_bound`, `bias_bound`"
                )

        # -- a sum is kept while its lanes pass the scalers in turns
        scalers = range(0, lanes, turns)
        if turns == 1:
            chosen, bias, address = sums, ended_bias, ended_address
        else:
            kept = [Signal.like(g, name=f"kept_{lane}") for lane, g in enumerate(sums)]
            bias, address, turn = Signal(), Signal.like(ended_address), Signal(range(turns))
            with m.If(ended):
                m.d.sync += [old.eq(g) for old, g in zip(kept, sums, strict=True)]
                m.d.sync += [bias.eq(ended_bias), address.eq(ended_address), turn.eq(0)]
            with m.Else():
                m.d.sync += turn.eq(turn + 1)
            of_turn = [Array(kept[scaler : scaler + turns])[turn] for scaler in scalers]
            chosen = [data_delay(m, g) for g in of_turn]
            bias, address = delay(m, bias, 1), data_delay(m, address)
            # Until the last turn's result: one cycle for `kept`, one for `chosen`, one for each further turn.
            ended = delay(m, ended, 1 + turns)
        rounding_bias = delay(m, bias, 3)
        for scaler, g in zip(scalers, chosen, strict=True):
            update = self._scaled(m, g, bias, rounding_bias, scaler)
            results = [self.o.payload.update[scaler + turn] for turn in range(turns)]
            m.d.sync += [old.eq(new) for old, new in zip(results, [*results[1:], update], strict=True)]
        m.d.sync += [
            self.o.valid.eq(delay(m, ended, 5)),
            self.o.payload.address.eq(data_delay(m, address, 5)),
        ]
        return m

    def _scaled(self, m, g, bias, rounding_bias, lane):
        """Return the update of a sum g, five cycles later: clip(rhu(g * rate, shift)). The product takes two
        of the part's multipliers if g is wider than `FACTOR_BITS`."""
        spec, bundle = self.config.spec, self.bundle
        rate = Signal(spec.formats.rate_bits, name=f"rate_{lane}")
        m.d.sync += rate.eq(Mux(bias, self.bias_rate, self.weight_rate))
        scaled = Signal(signed(len(g) + len(rate) + 1), name=f"scaled_{lane}", reset_less=True)
        factor = data_delay(m, g)
        if len(g) <= FACTOR_BITS:
            m.d.sync += scaled.eq(data_delay(m, factor * rate))
        else:
            low = data_delay(m, factor[:FACTOR_BITS] * rate)
            high = data_delay(m, factor[FACTOR_BITS:].as_signed() * rate)
            m.d.sync += scaled.eq(low + (high << FACTOR_BITS))
        rounded = Signal.like(scaled, name=f"rounded_{lane}", reset_less=True)
        shifts = spec.bias_shift, spec.weight_shift(bundle)
        bias_update, weight_update = (half_up(scaled, shift) for shift in shifts)
        m.d.sync += rounded.eq(Mux(rounding_bias, bias_update, weight_update))
        most = spec.formats.update_bound
        above, below = (data_delay(m, over) for over in (rounded > most, rounded < -most))
        within = low_bits(rounded, bits_for(most) + 1, "a sum that needs more is above or below").as_signed()
        return Mux(above, most, Mux(below, -most, data_delay(m, within)))


def correlator_of(m, engine) -> Correlator:
    """Build the correlator of an engine with `UpdateSignature` as its submodule, and connect learning rates
    and updates."""
    m.submodules.correlator = correlator = Correlator(engine.config, engine.bundle)
    m.d.comb += [correlator.weight_rate.eq(engine.weight_rate), correlator.bias_rate.eq(engine.bias_rate)]
    connect(m, flipped(engine.updates), correlator.o)
    return correlator


def correlate(m, engine, correlator: Correlator, active, address, bias, pre, ends=None):
    """Send the factors of the item at an engine's loops in this cycle to the correlator, two cycles later.
    One of them is for the choice of a pre lane, since block RAM is slow; the engine's `post` is addressed in
    the other.

    active: there is an item. pre: those of the products, valid two cycles later. ends: the item is the first,
    the last one of its sum; if None, each item is a sum of its own.
    """
    i = correlator.i.payload
    m.d.comb += [
        correlator.i.valid.eq(delay(m, active, 2)),
        i.address.eq(delay(m, address, 2)),
        i.bias.eq(delay(m, bias, 2)),
    ]
    first, last = (delay(m, end, 2) for end in ends) if ends else (1, 1)
    m.d.comb += [i.first.eq(first), i.last.eq(last)]
    for n, (_, name) in enumerate(products(engine.config, engine.bundle)):
        m.d.comb += [i.pre[n].eq(pre[n]), i.post[n].eq(engine.post[name])]
