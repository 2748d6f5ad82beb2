"""Scatter engine of a conv bundle: its cells grow with the lanes, its cycles with the spikes."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Bundle, Layer, taps_of
from nudge.hw.synapse.interface import SynapseSignature, bank_for, banks_of, put_off, slot_bits

from .backward import BackwardScatter
from .folding import FoldedWeights
from .forward import ForwardScatter
from .queue import SpikeQueue
from .sums import DriveSums
from .weights import TransposedWeights


def largest_drive(config: Config, bundle: Bundle, forward: bool) -> int:
    """Return the largest magnitude of a drive: each weight at its end as often as the drive has it."""
    channels, positions = (bundle.pre.channels, 4) if forward else (bundle.post.channels, 1)
    return channels * positions * bundle.kernel**2 * -config.spec.formats.weight_low


class ScatterEngine(wiring.Component):
    """Adds the kernel of each spike to the drives that it reaches, which a memory keeps. The drives of the
    next half are computed in this way during the current half.

    - forward: queue of pre spikes -> taps, read from the working memory, or folded taps, from a copy
      (`Config.folded`) -> drives of the post layer
    - backward: queue of post spikes -> folded taps, from a transposed copy -> drives of the pre layer

    Both directions run in parallel, each with one adder for each lane of the layer that it drives.

    Latency: `hw.synapse.scatter.forward.spike_cycles` for a pre spike: at most ``k * k * groups(post)``
    cycles, folded ``(k // 2 + 1)**2 * groups(post)``, and more where additions to the same word must lie
    apart (`DriveSums`); ``(k + 1)**2 * groups(pre)`` for a post spike; a word without spikes takes none.
    ``start`` may come before all spikes of the previous half are processed; the half then begins after the
    last one, and other engines don't wait for this one. Integer model: `golden.model.ops.conv_forward` and
    `golden.model.ops.conv_backward`; sums are exact.

    Members
    -------
    those of `SynapseSignature`
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "conv":
            raise ValueError(f"ScatterEngine takes a conv bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post = bundle.pre, bundle.post
        working = Signal()
        begin, begin_waits = put_off(m, self.start, working, "begin")
        prepare, prepare_waits = put_off(m, self.prepare, working, "prepare")

        m.submodules.forward_scatter = there = ForwardScatter(config, bundle)
        m.submodules.backward_scatter = back = BackwardScatter(config, bundle)
        m.submodules.weights = weights = TransposedWeights(config, bundle)
        copying = [weights.busy]
        if there.folds:
            m.submodules.folded = folded = FoldedWeights(config, bundle)
            copying.append(folded.busy)
            m.d.comb += [
                folded.prepare.eq(prepare),
                weights.prepare.eq(folded.done),
                self.tile_address.eq(Mux(folded.busy, folded.tile_address, weights.tile_address)),
                folded.tile.eq(self.tile),
                folded.address.eq(there.weight_address),
                there.weights.eq(folded.weights),
            ]
        else:
            m.d.comb += [
                weights.prepare.eq(prepare),
                self.tile_address.eq(Mux(weights.busy, weights.tile_address, there.weight_address)),
                there.weights.eq(self.tile),
            ]
        m.d.comb += [
            weights.tile.eq(self.tile),
            weights.read.eq(back.read),
            weights.address.eq(back.weight_address),
            back.weights.eq(weights.weights),
        ]
        clearing, parts = [], []
        # an odd last row or column, which pooling drops, can be out of reach of the kernel
        rows, columns = (sum(map(bool, taps)) for taps in taps_of(bundle))
        for scatter, source, reach, target, spikes, out, steps in (
            (
                there,
                pre,
                (rows, columns),
                post,
                self.pre_spikes,
                self.forward,
                (self.pre_step, self.post_step),
            ),
            (
                back,
                post,
                (post.height, post.width),
                pre,
                self.post_spikes,
                self.backward,
                (self.post_step, self.pre_step),
            ),
        ):
            queue = self._take_spikes(m, begin, scatter, source, reach, spikes, steps[0])
            sums = self._keep_drives(m, begin, scatter, source, target, out, steps)
            m.d.comb += sums.clear.eq(prepare)
            clearing.append(sums.clearing)
            parts += [~queue.empty, scatter.busy, sums.adding]
        m.d.comb += working.eq(Cat(*parts, *clearing, *copying).any())
        m.d.comb += [
            self.busy.eq(begin_waits),
            self.preparing.eq(Cat(prepare_waits, *copying, *clearing).any()),
        ]
        return m

    def _take_spikes(self, m, begin, scatter, source: Layer, reach, spikes, step):
        """Queue a layer's spikes for a direction. reach: rows and columns with targets. step: the layer's."""
        m.submodules[f"queue_{source.index}"] = queue = SpikeQueue(self.config, source, reach)
        connect(m, queue.o, scatter.i)
        m.d.comb += [queue.start.eq(begin), queue.i.payload.eq(spikes.payload)]
        dropped = Signal(name=f"dropped_{source.index}")
        if banks_of(source.index, self.config) > self.config.slots:
            # The last spikes of a nudged phase drive nothing, and would remain in the memory.
            with m.If(begin):
                m.d.sync += dropped.eq(step.nudge & step.sum_last)
        m.d.comb += [queue.i.valid.eq(spikes.valid), queue.mute.eq(dropped)]
        return queue

    def _keep_drives(self, m, begin, scatter, source: Layer, target: Layer, out, steps):
        """Add a direction's terms to its drives, and send the drives. steps: of source and target."""
        forward = target.index == self.bundle.index
        most, slots = largest_drive(self.config, self.bundle, forward), self.config.slots
        banks = banks_of(source.index, self.config)
        m.submodules[f"drives_{target.index}"] = sums = DriveSums(
            words=self.config.words(target),
            lanes=self.config.lanes[target.index],
            banks=banks,
            bits=signed_bits(-most, most),
            most=most,
            term_bits=scatter.terms.shape().elem_shape.width,
        )
        from_step, to_step = steps
        # Kept drives are zeroed when they are read for the last time, in the -beta phase, or else in the
        # first sweep of the slot's next sample, in which nothing is read.
        kept, keep = to_step.kept | to_step.silent, to_step.kept & ~to_step.negative
        if slots == 1:
            # An idle layer doesn't read its drives, to which terms are being added.
            keep |= to_step.idle
        slot = slot_bits(to_step.slot, slots)
        write_bank = Signal.like(sums.write_bank, name=f"write_bank_{target.index}")
        with m.If(begin):
            m.d.sync += write_bank.eq(bank_for(from_step, slots))
        m.d.comb += [
            sums.start.eq(begin),
            sums.silent.eq(to_step.silent),
            sums.keep.eq(keep),
            sums.read_bank.eq(Cat(*slot, kept) if banks > slots else Cat(*slot)),
            sums.write_bank.eq(write_bank),
            sums.add.eq(scatter.add),
            scatter.ready.eq(sums.ready),
            sums.address.eq(scatter.address),
            sums.terms.eq(scatter.terms),
            sums.carry.eq(scatter.carry),
            out.valid.eq(sums.o.valid),
            sums.o.ready.eq(out.ready),
        ]
        m.d.comb += [lane.eq(drive) for lane, drive in zip(out.payload, sums.o.payload, strict=True)]
        return sums
