"""Equilibrium-propagation update engine of a fully connected bundle: one master word in one or two cycles."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import data_delay, delay, lasting
from nudge.hw.lib.loops import counting

from .correlator import correlate, correlator_of, last_cycle
from .interface import UpdateSignature, products


class DenseUpdate(wiring.Component):
    """Computes the update of each weight w[o,i] from g = pre+[i] post+[o] - pre-[i] post-[o] (pre: the pixel
    on the image), and of each bias from g = post+[o] - post-[o]; with fine spikes g is that of `products`.

    The order is that of the master memory: pre word, post group, pre lane, innermost last; then the biases.

    Latency: busy for `Config.item_cycles` * `master_words` + 2 cycles plus the correlator's latency.
    Integer model: `golden.model.ops.correlation` (paper eq. 11).
    """

    def __init__(self, config: Config, bundle: Bundle):
        if not bundle.full:
            raise ValueError(f"DenseUpdate takes a dense or a pixels bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        super().__init__(UpdateSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        lanes, words, groups = (
            config.lanes[bundle.pre.index],
            config.words(bundle.pre),
            config.groups(bundle.post),
        )

        correlator = correlator_of(m, self)
        active, bias = Signal(), Signal()
        advance = last_cycle(m, config, bundle, active)
        word, group, lane = Signal(range(words)), Signal(range(groups)), Signal(range(lanes))
        address = Signal(range(layout.master_words(config, bundle)))
        with m.If(advance):
            m.d.sync += [address.eq(address + 1), lane.eq(lane + 1)]
            with m.If(bias | (lane == lanes - 1)):
                m.d.sync += lane.eq(0)
                with counting(m, group, groups):
                    m.d.sync += word.eq(word + 1)
                    with m.If(word == words - 1):
                        m.d.sync += bias.eq(1)
                    with m.If(bias):
                        m.d.sync += active.eq(0)
        with m.Elif(self.start):
            m.d.sync += [active.eq(1), bias.eq(0), word.eq(0), group.eq(0), lane.eq(0), address.eq(0)]
        m.d.comb += self.pre_address.eq(word)
        m.d.sync += self.post_address.eq(group)

        # -- two cycles later: the sums, or the pixel, which is the same in both phases
        lane2 = delay(m, lane, 2)
        pre = [data_delay(m, self.pre[name]) for name, _ in products(config, bundle)]
        if not bundle.on_image:
            pre = [lanes[lane2] for lanes in pre]
        correlate(m, self, correlator, active, address, bias, pre)
        m.d.comb += self.busy.eq(lasting(m, active, 2 + correlator.latency))
        return m
