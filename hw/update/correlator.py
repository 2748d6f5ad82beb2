"""Correlator: differences of both nudged phases' products, summed and scaled by the learning rate."""

from amaranth.hdl import Array, Const, Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.lib.adder_tree import data_delay, delay
from hw.lib.bounds import bounded
from hw.lib.data_registers import data_registers
from hw.lib.flow import Flow
from hw.lib.rounding import half_up, limited

from .interface import factors, pre_fields, pre_word, sums_word, update_word


def pre_factor(config: Config, bundle: Bundle):
    """Shape of a pre factor: xi's sum or a pixel, or the sum of four under a pooled position."""
    field = pre_word(config, bundle)[pre_fields(config, bundle)[0]].shape
    lane = Shape.cast(field if bundle.on_image else field.elem_shape)
    return Shape(lane.width + (0 if bundle.full else 2), lane.signed)


def pre_bits(config: Config, bundle: Bundle) -> int:
    """Width of a pre factor."""
    return pre_factor(config, bundle).width


def item(config: Config, bundle: Bundle):
    """Pre and post factors of a position's two products, as `factors` names them: with coarse spikes, plus
    and minus phases.

    The image has one pre value; where its second product isn't used, the second value is ignored.
    """
    sums = sums_word(config, bundle.post)[factors(config)[0][0][1]].shape
    return data.StructLayout(
        {
            "address": unsigned(bits_for(layout.master_words(config, bundle) - 1)),
            "bias": unsigned(1),
            "first": unsigned(1),
            "last": unsigned(1),
            "pre_plus": pre_factor(config, bundle),
            "pre_minus": pre_factor(config, bundle),
            "post_plus": sums,
            "post_minus": sums,
        }
    )


def last_cycle(m, config: Config, bundle: Bundle, active):
    """High in the last of an item's `Config.item_cycles`, while ``active``: the engine's loops go on."""
    if config.item_cycles(bundle) == 1:
        return active
    second = Signal()
    m.d.sync += second.eq(active & ~second)
    return active & second


def scaling_turns(config: Config, bundle: Bundle) -> int:
    """Lanes that one scaler takes in turn: a divisor of the lanes, at most the cycles between sums."""
    lanes, cycles = config.lanes[bundle.index], config.item_cycles(bundle)
    cycles *= 1 if bundle.full else bundle.post.positions
    return max(n for n in range(1, lanes + 1) if lanes % n == 0 and n <= cycles)


#: Unsigned bits that a part's multiplier takes: ECP5's has 18, signed.
FACTOR_BITS = 17


class Correlator(wiring.Component):
    """``g = sum of pre+ post+ - pre- post-`` from ``first`` to ``last``; then one rounding and one clip. With
    fine spikes g is the sum of mean * difference + difference * mean; for the image and for biases it is the
    first product alone.

    ``update = clip(round_half_up(g * rate / 2^shift))`` with the rate and shift of weights or, for ``bias`` items, of
    biases. g is as wide as its worst case (`Spec.correlation_bits`): no order of additions matters.
    Where a bundle has `Config.item_cycles` of two, each lane has one multiplier, for the products of both phases. The rate
    meets the lanes of a sum in `scaling_turns`.
    Model: `golden.model.ops.correlation` and `golden.model.ops.update` (paper eq. 11).

    Members
    -------
    i : In(Flow(item))
        `Config.item_cycles` cycles of each item, one after the other. From one ``last`` to the
        next, at least `scaling_turns` cycles.
    weight_rate : In
        Learning rate of the weights, LSB 2^-18.
    bias_rate : In
        Learning rate of the biases, LSB 2^-18.
    o : Out(Flow(update_word))
        `latency` cycles after (the last cycle of) each ``last``.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.turns = scaling_turns(config, bundle)
        #: Cycles to the update: factors, product, difference (shared: chosen factors, product), sum, and factor, products,
        #: scaling, rounding, clipping of each turn. Several turns keep the sum and choose a lane of it.
        self.latency = 9 + (0 if self.turns == 1 else 1 + self.turns)
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
        g_bits, most = spec.correlation_bits(bundle), max(spec.correlation_bound(bundle), spec.bias_bound(bundle))

        # -- products of both phases, and the sum of their differences
        shared = self.config.item_cycles(bundle) == 2
        # block RAM is too slow for more in the same cycle
        i, arriving, second = Signal.like(self.i.payload, reset_less=True), delay(m, self.i.valid, 1), Signal()
        m.d.sync += i.eq(self.i.payload)
        if shared:
            m.d.sync += second.eq(arriving & ~second)
        valid = [arriving & second if shared else arriving]
        for _ in range(3):
            valid.append(delay(m, valid[-1], 1))
        first2, last3 = delay(m, i.first & ~second, 2), delay(m, i.last, 3)
        bias3, address3 = delay(m, i.bias, 3), data_delay(m, i.address, 3)

        # The bias has no pre factor: its phases differ by the post sums alone, of fine spikes by the first one.
        sign = factors(self.config)[1]
        pre_plus, pre_minus = Mux(i.bias, 1, i.pre_plus), Mux(i.bias, 1, i.pre_minus)
        if sign > 0:
            pre_minus = Const(0) if bundle.on_image else Mux(i.bias, 0, i.pre_minus)
        if shared:
            adding = delay(m, arriving, 2)
            pre = Signal(signed(len(i.pre_plus) + 1), reset_less=True)
            m.d.sync += pre.eq(Mux(second, pre_minus if sign > 0 else -pre_minus, pre_plus))
        else:
            adding = valid[2]

        sums = data_registers("g", signed(g_bits), lanes)
        for lane, g in enumerate(sums):
            if shared:
                post = data_delay(m, Mux(second, i.post_minus[lane], i.post_plus[lane]))
                term = data_delay(m, pre * post)
            else:
                plus = data_delay(m, pre_plus * i.post_plus[lane])
                minus = data_delay(m, pre_minus * i.post_minus[lane])
                term = data_delay(m, plus - minus if sign < 0 else plus + minus)
            with m.If(adding):
                m.d.sync += bounded(g, Mux(first2, 0, g) + term, -most, most, "`Spec.correlation_bound`, `bias_bound`")

        # -- a sum is kept while its lanes pass the scalers
        ended = valid[3] & last3
        scalers = range(0, lanes, turns)
        if turns == 1:
            chosen, bias, address = sums, bias3, address3
        else:
            kept = [Signal.like(g, name=f"kept_{lane}") for lane, g in enumerate(sums)]
            bias, address, turn = Signal(), Signal.like(address3), Signal(range(turns))
            with m.If(ended):
                m.d.sync += [old.eq(g) for old, g in zip(kept, sums, strict=True)]
                m.d.sync += [bias.eq(bias3), address.eq(address3), turn.eq(0)]
            with m.Else():
                m.d.sync += turn.eq(turn + 1)
            of_turn = [Array(kept[scaler : scaler + turns])[turn] for scaler in scalers]
            chosen = [data_delay(m, g) for g in of_turn]
            bias, address = delay(m, bias, 1), data_delay(m, address)
            # to the last turn's result, two more than without turns: ended, kept, chosen, scaled, rounded, clipped
            ended = delay(m, ended, 1 + turns)
        bias6 = delay(m, bias, 3)
        for scaler, g in zip(scalers, chosen, strict=True):
            update = self._scaled(m, g, bias, bias6, scaler)
            results = [self.o.payload.update[scaler + turn] for turn in range(turns)]
            m.d.sync += [old.eq(new) for old, new in zip(results, [*results[1:], update], strict=True)]
        m.d.sync += [
            self.o.valid.eq(delay(m, ended, 4)),
            self.o.payload.address.eq(data_delay(m, address, 4)),
        ]
        return m

    def _scaled(self, m, g, bias, bias6, lane):
        """Update of a sum, four cycles later: times the rate, in two of the part's multipliers, rounded half up, clipped."""
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
        m.d.sync += rounded.eq(Mux(bias6, bias_update, weight_update))
        return limited(rounded, spec.formats.update_bound)


def correlator_of(m, engine) -> Correlator:
    """The correlator of an engine with `UpdateSignature`, as its submodule, with its learning rates and
    updates."""
    m.submodules.correlator = correlator = Correlator(engine.config, engine.bundle)
    m.d.comb += [correlator.weight_rate.eq(engine.weight_rate), correlator.bias_rate.eq(engine.bias_rate)]
    connect(m, flipped(engine.updates), correlator.o)
    return correlator


def correlate(m, engine, correlator: Correlator, active, address, bias, pre, ends=None):
    """Sends the factors that an engine addresses in this cycle: a cycle later.

    active: whether there are any. pre: both pre factors, as they are a cycle later. ends: whether they are
    the first of a sum, and the last one; without it each item is a sum.
    """
    i = correlator.i.payload
    m.d.comb += [
        correlator.i.valid.eq(delay(m, active, 1)),
        i.address.eq(delay(m, address, 1)),
        i.bias.eq(delay(m, bias, 1)),
    ]
    first, last = (delay(m, end, 1) for end in ends) if ends else (1, 1)
    pre_plus, pre_minus = pre
    post_plus, post_minus = (engine.post[name] for _, name in factors(engine.config)[0])
    m.d.comb += [
        i.first.eq(first),
        i.last.eq(last),
        i.pre_plus.eq(pre_plus),
        i.pre_minus.eq(pre_minus),
        i.post_plus.eq(post_plus),
        i.post_minus.eq(post_minus),
    ]
