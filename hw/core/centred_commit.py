"""Centred commits: updates common to all samples move the biases alone."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import delay
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.loops import counting
from nudge.hw.lib.rounding import half_up
from nudge.hw.lib.saturate import saturated
from nudge.hw.lib.turns import slice_of

from .commit_memories import READ, Kept, Reading, Widths, Written
from .mean_pass import Means, mean_cycles
from .totals import total_bits
from .weight_memory import MasterPort
from .weight_pass import PRODUCTS, Walk, weigh


def commit_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles of a commit: the pass over the means, then over the weights, then over the biases."""
    slices = Widths(config, bundle).slices
    words, groups = layout.weight_words(config, bundle), config.groups(bundle.post)
    # Clear the sums, pass over the weights until the last slice's sums are complete; the biases follow.
    weights = groups * slices + PRODUCTS * words * slices + 9
    return mean_cycles(config, bundle) + weights + groups * (slices * (READ + 1) + 1) + 1


class CentredCommit(wiring.Component):
    """Centred commit of a bundle's masters. The running means follow the biases in the master memory
    (`golden.contract.layout`).

    Weight updates are added to the masters as they come. The updates of each bias are added up apart from it,
    in B. A commit first moves the running mean of each pre channel. With c = rhu(mean, FOLLOW) before that
    and c' after, it then computes, for w with the batch's updates and `f` = `Formats.bias_fraction`:

        mean' = mean - (mean >> FOLLOW) + rhu(2^f total / whole)      mean: LSB 2^-(f + FOLLOW)
        w'    = clip(w - rhu(c B, f))
        b'    = clip(b + B - rhu(sum of c w' - S, f))                 S: sum of c w after the previous commit
        S'    = sum of c' w'                                          S of the next commit

    Sums are over all weights of a post neuron. A commit without samples, such as the one after the host wrote
    weights, changes no master or mean; it computes only S' and the working copies.

    A commit processes one slice of a word at a time (`slice_lanes`): it is rare, and its adders are wide.

    Latency: `commit_cycles`, of which each slice of weights takes `PRODUCTS`.
    Integer model: `golden.model.centring.commit`.

    Members
    -------
    commit, busy, masters
        As in `Commit`.
    counted : In(1)
        One-cycle pulse for each trained sample, never during a commit.
    group : Out, totals : In, clear : Out(1)
        Ports of the bundle's `hw.core.totals.Totals`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if not config.spec.schedule.centred:
            raise ValueError(
                f"CentredCommit takes a network with centred commits, which {config.spec.name} hasn't"
            )
        self.config, self.bundle = config, bundle
        totals = data.ArrayLayout(unsigned(total_bits(config, bundle)), config.lanes[bundle.pre.index])
        super().__init__(
            {
                "commit": In(1),
                "busy": Out(1),
                "masters": Out(MasterPort(config, bundle)),
                "counted": In(1),
                "group": Out(bits_for(config.groups(bundle.pre) - 1)),
                "totals": In(totals),
                "clear": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        port, spec = self.masters, self.config.spec
        kept = Kept(m, self.config, self.bundle)
        reading, written = Reading(m, port, kept), Written(m, port, kept)
        with m.If(self.counted):
            whole, most = kept.whole + spec.read_bound(self.bundle), spec.total_bound(self.bundle)
            m.d.sync += bounded(kept.whole, whole, 0, most, "at most `max_batch` samples between two commits")
        self._keep(m, kept)
        self._commit(m, reading, kept, written)
        m.d.comb += [port.keeps.eq(1), self.busy.eq(port.reads | delay(m, port.reads, 1))]
        return m

    def _keep(self, m, kept):
        """Add the updates of biases to B."""
        update, words = self.masters.update, layout.weight_words(self.config, self.bundle)
        with m.If(update.valid & (update.payload.address >= words)):
            last = self.config.groups(self.bundle.post) - 1
            m.d.comb += bounded(kept.B.at, update.payload.address - words, 0, last, "a word of biases")
            m.d.comb += kept.B.write.en.eq(1)
            for lane in range(kept.lanes):
                sum_, most = (
                    kept.B.read.data[lane] + update.payload.update[lane],
                    self.config.spec.formats.batch_bound,
                )
                m.d.comb += bounded(kept.B.write.data[lane], sum_, -most, most, "`Formats.batch_bound`")

    def _commit(self, m, reading, kept, written):
        """Build the state machine."""
        config, bundle = self.config, self.bundle
        words, groups = layout.weight_words(config, bundle), config.groups(bundle.post)
        walk, means = Walk(m, kept), Means(kept)
        weighed, word = weigh(m, walk, reading.lanes, kept), written.word
        group, of_all = (
            Signal(range(groups), name="bias_group"),
            Signal(range(groups * kept.slices), name="bias_slice_of_all"),
        )
        place = Signal(range(kept.slices), name="bias_slice")
        m.d.comb += word.weights.eq(weighed.valid)
        with m.FSM() as fsm:
            m.d.comb += self.masters.reads.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [counter.eq(0) for counter in (*means.counters, self.group, group, of_all)]
                m.d.sync += means.at.eq(layout.master_words(config, bundle))
                with m.If(self.commit):
                    reading.go(m, "LOW")
            means.states(m, self, reading, written, "CLEAR")
            with m.State("CLEAR"):
                # A commit aborted by a reset leaves nonzero sums.
                for sums in (kept.now, kept.then):
                    m.d.comb += [sums.at.eq(of_all), sums.write.en.eq(1)]
                with counting(m, of_all, groups * kept.slices):
                    m.d.comb += walk.start.eq(1)
                    m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                m.d.comb += [reading.at.eq(walk.word), reading.slice.eq(weighed.read_slice)]
                with m.If(weighed.made):
                    written.take(m, weighed.new)
                m.d.comb += [written.valid.eq(weighed.valid), word.address.eq(weighed.word)]
                with m.If(~(walk.active | weighed.coming)):
                    reading.go(m, "BIASES")
            with m.State("BIASES"):
                m.d.comb += [reading.at.eq(words + group), reading.slice.eq(place), kept.B.at.eq(group)]
                m.d.comb += [sums.at.eq(of_all) for sums in (kept.now, kept.then, kept.before)]
                new = self._corrected(m, reading.lanes, kept, place)
                with m.If(reading.age == READ):
                    written.take(m, new)
                    m.d.comb += [kept.before.write.en.eq(1), kept.before.write.data.eq(kept.then.read.data)]
                    m.d.sync += [place.eq(place + 1), of_all.eq(of_all + 1)]
                    reading.go(m, "BIASES")
                    with m.If(place == kept.slices - 1):
                        m.d.sync += place.eq(0)
                        m.next = "STORE-BIASES"
            with m.State("STORE-BIASES"):
                m.d.comb += [word.biases.eq(1), written.valid.eq(1), word.address.eq(words + group)]
                m.d.comb += [kept.B.at.eq(group), kept.B.write.en.eq(1)]
                m.d.sync += group.eq(group + 1)
                reading.go(m, "BIASES")
                with m.If(group == groups - 1):
                    m.d.sync += kept.whole.eq(0)
                    m.next = "IDLE"

    def _corrected(self, m, masters, kept, place):
        """Return the new biases of a slice, two cycles after the sums are read:
        b' = clip(b + B - rhu(now - before, bias_fraction))."""
        f, new = self.config.spec.formats, []
        bound = self.config.spec.bias_step_bound(self.bundle)
        updates = slice_of(kept.B.read.data, place, kept.width)
        for lane in range(kept.width):
            difference = Signal(signed(kept.sum_bits + 1), name=f"difference_{lane}", reset_less=True)
            corrected = Signal(signed(signed_bits(-bound, bound)), name=f"corrected_{lane}", reset_less=True)
            m.d.sync += difference.eq(kept.now.read.data[lane] - kept.before.read.data[lane])
            moved = half_up(difference, f.bias_fraction)
            step = Mux(kept.learned, updates[lane] - moved, 0)
            m.d.sync += bounded(corrected, step, -bound, bound, "`Spec.bias_step_bound`")
            new.append(saturated(masters[lane] + corrected, f.committed_bits))
        return new
