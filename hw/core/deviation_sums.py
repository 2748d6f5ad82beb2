"""Window sums of a network with fine spikes: means and differences of the nudged phases, for the updates."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data

from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import rounded_bound, signed_bits
from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.adder_tree import data_delay, delay
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.rounding import half_up
from nudge.hw.lib.turns import word_of

from .window_sums import WindowSums


class DeviationSums(WindowSums):
    """Keeps the window sums of the free phase and of the +beta phase until those of the -beta phase are
    complete, then the mean and the difference of both nudged phases for the neighbours' update engines:

        mean       = clip(free + ((plus + minus) >> (p + 1)), 0, M)      M: steps of the window
        difference = plus - minus                                        for the bundle below
        difference = rhu(plus - minus, p - p')                           for the bundle above

    p and p' are the binary points of this layer and of the next one. The free and +beta sums are kept part by
    part, means and differences word by word, each only if one of both bundles reads it. Differences never
    overflow.
    Latency: means and differences are complete two cycles after the last xi, free sums after one.
    Integer model: `golden.model.fine_spikes.deviation_sums`.
    """

    def __init__(self, config: Config, layer: Layer):
        if not config.spec.schedule.fine:
            raise ValueError(
                f"DeviationSums takes a network with fine spikes, which {config.spec.name} hasn't"
            )
        super().__init__(config, layer)
        bits = config.spec.sum_bits
        self.part_sums = data.ArrayLayout(signed(bits + 1), self.sums.length // self.turns)
        self.means = self.sums
        points, n = config.spec.schedule.fine, layer.index
        #: Binary point p of the layer's spikes, and p - p', by which that of the next layer is smaller.
        self.point, self.lost = points[n - 1], 0 if self.output else points[n - 1] - points[n]
        #: Largest |difference| in units of the next layer's spikes.
        self.most = rounded_bound(2 * config.spec.window_bound, self.lost)
        #: Layouts of the differences: "post" for the bundle below, "pre" for the bundle above.
        self.differences = {
            "post": data.ArrayLayout(signed(bits + 2), self.sums.length),
            "pre": data.ArrayLayout(signed(signed_bits(-self.most, self.most)), self.sums.length),
        }

    def elaborate(self, platform):
        m = Module()
        step, bits = self.step, self.config.spec.sum_bits
        grown = self._grow(m)
        free, plus = (
            self._earlier(m, name, grown, phase)
            for name, phase in (("free_parts", ~step.nudge), ("plus_parts", step.nudge & ~step.negative))
        )
        self._finish(m, grown, free, plus)
        # In the free phase sums are nonnegative, so the sign bit is dropped.
        word = word_of(m, self.turns, self.valid, Cat(lane[:bits] for lane in grown), "sums")
        self._tell(m, word)
        if self.output:
            m.d.comb += self.free_sums.eq(
                self._complete(m, "free", word, ~step.nudge, [self.free_address])[0]
            )
        return m

    def _earlier(self, m, name, grown, phase):
        """Return the sums of an earlier phase, stored at its end; valid in the same cycle as ``xi``."""
        enable = self.valid & self.step.sum & self.step.sum_last & phase
        return data_delay(m, self._parts(m, name, grown, enable))

    def _finish(self, m, grown, free, plus):
        """Compute and store means and differences at the end of the last phase, one cycle after its sums."""
        spec, step, lanes = self.config.spec, self.step, self.part_sums.length
        bits, top = spec.sum_bits, spec.window_bound
        there = delay(m, self.valid & step.sum & step.sum_last & step.negative, 1)
        last, word = delay(m, self.last, 1), data_delay(m, self.word)
        minus, free, plus = (data_delay(m, sums) for sums in (grown, free, plus))
        means, post, pre = [], [], []
        for lane in range(lanes):
            mean = Signal(unsigned(bits), name=f"mean_{lane}")
            whole = Signal(signed(bits + 3), name=f"whole_{lane}")
            difference = Signal(signed(bits + 2), name=f"difference_{lane}")
            rounded = Signal(signed(signed_bits(-self.most, self.most)), name=f"rounded_{lane}")
            m.d.comb += whole.eq(free[lane] + ((plus[lane] + minus[lane]) >> (self.point + 1)))
            m.d.comb += mean.eq(Mux(whole < 0, 0, Mux(whole > top, top, whole)))
            m.d.comb += difference.eq(plus[lane] - minus[lane])
            lost = half_up(difference, self.lost)
            m.d.comb += bounded(
                rounded, lost, -self.most, self.most, "both sums are within `Spec.window_bound`"
            )
            means.append(mean)
            post.append(difference)
            pre.append(rounded)
        addresses = {"post": self.post_address, "pre": self.pre_address}
        words = {"post": self.post_sums, "pre": self.pre_sums}
        for name, field, kept, sides in (
            ("means", "mean", means, ("post", "pre")),
            ("posts", "difference", post, ("post",)),
            ("pres", "difference", pre, ("pre",)),
        ):
            shape = self.means if field == "mean" else self.differences[sides[0]]
            read = [side for side in sides if field in words[side].shape().members]
            if not read:
                continue
            found = word_of(m, self.turns, there, Cat(kept), name)
            asked = [self._address(addresses[side], self.words, self.updated) for side in read]
            values = self._memory(m, name, shape, (there & last, word, found), asked)
            for side, value in zip(read, values, strict=True):
                for lane in range(self.sums.length):
                    m.d.comb += words[side][field][lane].eq(value[lane])
