"""The first pass of a centred commit: the running mean of each pre channel follows the batch's mean."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import MASTER_BITS
from nudge.golden.contract.schedule import FOLLOW
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.loops import counting
from nudge.hw.lib.rounding import half_up

from .commit_memories import READ, Kept, Reading, Written
from .totals import total_bits


def mean_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles of the pass. For each lane of each pair of words: read both words (LOW, HIGH), BEGIN,
    one cycle per bit of the quotient (DIVIDE), FOLLOW; for each pair: write both words."""
    lane = 2 * (READ + 1) + 1 + config.spec.formats.bias_fraction + 1 + 1
    return layout.mean_words(config, bundle) // 2 * (config.lanes[bundle.index] * lane + 2)


class Means:
    """Counters and states of the pass, which begins in LOW.

    A pair of words holds one mean in each lane: the low bits in the first word, the others in the second
    (`golden.contract.layout.mean_halves`). Lanes without a channel become 0.
    """

    def __init__(self, kept: Kept):
        self.kept, config, bundle, width = kept, kept.config, kept.bundle, kept.width
        self.channel = Signal(range(bundle.pre.channels + 1), name="mean_channel")
        self.pre_lane = Signal(range(config.lanes[bundle.pre.index]), name="pre_lane")
        #: Lane of the word: its slice, and the lane within the slice.
        self.slice, self.lane = (
            Signal(range(kept.slices), name="mean_slice"),
            Signal(range(width), name="mean_lane"),
        )
        #: Address of the first word of the current pair.
        self.at = Signal(range(layout.image_words(config, bundle) + 2), name="mean_at")
        #: The channel's running mean before this commit.
        self.old = Signal(config.spec.mean_bits, name="old_mean")
        #: Remainder of the division total / whole.
        self.rest = Signal(total_bits(config, bundle) + 1)
        #: Quotient so far: the batch's mean, LSB 2^-`bias_fraction`.
        self.share = Signal(config.spec.formats.bias_fraction + 1)
        self.counters = (self.channel, self.slice, self.lane, self.pre_lane)

    def states(self, m, totals, reading: Reading, written: Written, then: str):
        """Build the states: lane by lane a bit-serial division and

            mean' = mean - (mean >> FOLLOW) + rhu(2^f total / whole),      f = `Formats.bias_fraction`

        then both words of the pair are written. ``totals``: has the ports of `Totals`. ``then``: the state
        after the last pair.
        """
        kept, config, pre = self.kept, self.kept.config, self.kept.bundle.pre
        f, spec, pre_lanes = config.spec.formats, config.spec, config.lanes[pre.index]
        low, _ = layout.mean_halves(config)
        there = Signal(name="channel_there")
        m.d.comb += there.eq(self.channel != pre.channels)
        high = data_registers("high", spec.mean_bits - low, kept.lanes)
        master = Array(reading.lanes[lane] for lane in range(kept.width))[self.lane]
        for state, target, after in (("LOW", self.old[:low], "HIGH"), ("HIGH", self.old[low:], "BEGIN")):
            with m.State(state):
                m.d.comb += [reading.at.eq(self.at + (state == "HIGH")), reading.slice.eq(self.slice)]
                with m.If(reading.age == READ):
                    m.d.sync += target.eq(master[: len(target)])
                    reading.go(m, after)
        with m.State("BEGIN"):
            of_lane = Array(totals.totals[lane] for lane in range(pre_lanes))
            m.d.sync += [self.rest.eq(of_lane[self.pre_lane]), self.share.eq(0)]
            reading.go(m, "DIVIDE")
        with m.State("DIVIDE"):
            # Restoring division: the bits of the quotient from 2^0 down; the remainder is doubled for each.
            fits = self.rest >= kept.whole
            left = Mux(fits, self.rest - kept.whole, self.rest)
            twice, one = 2 * spec.total_bound(kept.bundle), 1 << f.bias_fraction
            m.d.sync += bounded(
                self.rest, left << 1, 0, twice, "what is left is less than `whole`, a total of all 1"
            )
            m.d.sync += bounded(self.share, Cat(fits, self.share), 0, one, "a total is at most `whole`")
            with m.If(reading.age == f.bias_fraction):
                reading.go(m, "FOLLOW")
        with m.State("FOLLOW"):
            # One more bit of the quotient rounds it half up.
            share = Signal(f.bias_fraction + 2)
            m.d.comb += share.eq(self.share + (self.rest >= kept.whole))
            followed = Signal(spec.mean_bits, name="followed")
            moved = Mux(kept.learned, self.old - (self.old >> FOLLOW) + share, self.old)
            with m.If(there):
                low_end, high_end = spec.mean_range[0], spec.mean_range[-1]
                why = "of a mean from 1 on, 2^-`FOLLOW` is no less than the share"
                m.d.comb += bounded(followed, moved, low_end, high_end, why)
            why = "written where there is a channel"
            m.d.comb += bounded(kept.c_write.addr, self.channel, 0, pre.channels - 1, why)
            m.d.comb += kept.c_write.en.eq(there)
            for c, mean in ((kept.c_write.data.now, self.old), (kept.c_write.data.then, followed)):
                m.d.comb += c.eq(half_up(mean, FOLLOW))
            written.take(m, [Cat(followed[:low], Const(0, MASTER_BITS - low)).as_signed()])
            m.d.sync += [
                lane.eq(after) for lane, after in zip(high, [*high[1:], followed[low:]], strict=True)
            ]
            with m.If(there):
                m.d.sync += self.channel.eq(self.channel + 1)
                with counting(m, self.pre_lane, pre_lanes):
                    m.d.comb += totals.clear.eq(1)
                    m.d.sync += totals.group.eq(totals.group + 1)
            reading.go(m, "LOW")
            with counting(m, self.lane, kept.width), counting(m, self.slice, kept.slices):
                m.next = "STORE-LOW"
        with m.State("STORE-LOW"):
            m.d.comb += [written.valid.eq(1), written.word.address.eq(self.at)]
            m.d.sync += [lane.eq(value) for lane, value in zip(written.data, high, strict=True)]
            m.next = "STORE-HIGH"
        with m.State("STORE-HIGH"):
            m.d.comb += [written.valid.eq(1), written.word.address.eq(self.at + 1)]
            m.d.sync += self.at.eq(self.at + 2)
            reading.go(m, "LOW")
            with m.If(~there):
                m.next = then
