"""Weight memories with centred commits: updates common to all samples move the biases alone."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data
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
from .weight_memory import Walked, WeightMemory, learned
from .weight_pass import PRODUCTS, Walk, weigh


def commit_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles of a commit: the pass over the means, then over the weights, then over the biases."""
    slices = Widths(config, bundle).slices
    words, groups = layout.weight_words(config, bundle), config.groups(bundle.post)
    # Clear the sums, pass over the weights until the last slice's sums are complete; the biases follow.
    weights = groups * slices + PRODUCTS * words * slices + 9
    return mean_cycles(config, bundle) + weights + groups * (slices * (READ + 1) + 1) + 1


class CentredMemory(WeightMemory):
    """`WeightMemory` with a centred commit. The running means follow the biases in the master memory
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

    Latency: updates and reads as in `WeightMemory`; a commit takes `commit_cycles`, of which each slice of
    weights takes `PRODUCTS`.
    Integer model: `golden.model.centring.commit`, `golden.model.ops.working_weight`, `working_bias`.

    Members
    -------
    those of `WeightMemory`, and
    counted : In(1)
        One-cycle pulse for each trained sample, never during a commit.
    group : Out, totals : In, clear : Out(1)
        Ports of the bundle's `hw.core.totals.Totals`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if not config.spec.schedule.centred:
            raise ValueError(f"CentredMemory takes a network with centred commits, which {config.spec.name} hasn't")
        super().__init__(config, bundle)

    def _members(self):
        config, pre = self.config, self.bundle.pre
        totals = data.ArrayLayout(unsigned(total_bits(config, self.bundle)), config.lanes[pre.index])
        own = {"counted": In(1), "group": Out(bits_for(config.groups(pre) - 1)), "totals": In(totals), "clear": Out(1)}
        return super()._members() | own

    def elaborate(self, platform):
        m = Module()
        master_read, master_write, working_write = self._memories(m)
        kept, written, busy = Kept(m, self), Written(self), Signal()
        at = Signal(range(self.depth))
        values = self._read(m, at, busy, master_read)
        reading = Reading(m, self, values, kept)
        m.d.comb += at.eq(reading.at)
        with m.If(self.counted):
            spec = self.config.spec
            whole, most = kept.whole + spec.read_bound(self.bundle), spec.total_bound(self.bundle)
            m.d.sync += bounded(kept.whole, whole, 0, most, "at most `max_batch` samples between two commits")
        walked = self._commit(m, busy, reading, kept, written)
        self._write_masters(m, values, kept, master_write, written)
        self._write_working(m, walked, written.data, working_write, layout.tile_rows(self.config, self.bundle))
        m.d.comb += self.busy.eq(busy | delay(m, busy, 1))
        return m

    def _write_masters(self, m, values, kept, write, written):
        """Write a commit's masters, else master + update, else the host's word. Add bias updates to B."""
        words = layout.weight_words(self.config, self.bundle)
        updated, update = self._update(m)
        bias = update.address >= words
        with m.If(updated & bias):
            last = self.config.groups(self.bundle.post) - 1
            m.d.comb += bounded(kept.B.at, update.address - words, 0, last, "a word of biases")
            m.d.comb += kept.B.write.en.eq(1)
            for lane in range(self.lanes):
                sum_, most = kept.B.read.data[lane] + update.update[lane], self.config.spec.formats.batch_bound
                m.d.comb += bounded(kept.B.write.data[lane], sum_, -most, most, "`Formats.batch_bound`")
        m.d.comb += [
            write.addr.eq(Mux(written.valid, written.address, Mux(updated, update.address, self.address))),
            write.en.eq(written.valid | (updated & ~bias) | self.write),
        ]
        for lane in range(self.lanes):
            other = Mux(updated, values[lane] + update.update[lane], self.write_data[lane])
            m.d.comb += learned(write.data[lane], Mux(written.valid, written.data[lane], other), self.config)

    def _commit(self, m, busy, reading, kept, written):
        """Build the state machine; return the position of the word it writes, for the working copies."""
        config, bundle = self.config, self.bundle
        words, groups = layout.weight_words(config, bundle), config.groups(bundle.post)
        walk, means = Walk(m, self), Means(self, kept)
        weighed = weigh(m, self, walk, reading.lanes, kept)
        group, of_all = Signal(range(groups), name="bias_group"), Signal(range(groups * kept.slices), name="bias_slice_of_all")
        place, stored = Signal(range(kept.slices), name="bias_slice"), Signal(name="biases_stored")
        with m.FSM() as fsm:
            m.d.comb += busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [counter.eq(0) for counter in (*means.counters, self.group, group, of_all)]
                m.d.sync += means.at.eq(layout.master_words(config, bundle))
                with m.If(self.commit):
                    reading.go(m, "LOW")
            means.states(m, reading, written, "CLEAR")
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
                m.d.comb += [written.valid.eq(weighed.valid), written.address.eq(weighed.word)]
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
                m.d.comb += [stored.eq(1), written.valid.eq(1), written.address.eq(words + group)]
                m.d.comb += [kept.B.at.eq(group), kept.B.write.en.eq(1)]
                m.d.sync += group.eq(group + 1)
                reading.go(m, "BIASES")
                with m.If(group == groups - 1):
                    m.d.sync += kept.whole.eq(0)
                    m.next = "IDLE"
        return Walked(weighed.valid | stored, stored, written.address, weighed.row, weighed.tile)

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


def memory_of(config: Config, bundle: Bundle) -> WeightMemory:
    """Return the weight memories of a bundle: `CentredMemory` if the network's commits are centred."""
    return (CentredMemory if config.spec.schedule.centred else WeightMemory)(config, bundle)
