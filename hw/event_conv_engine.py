"""Event-driven synapse engine of a conv bundle: spikes cost time, silence does not."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect

from golden.spec import Bundle, signed_bits

from .config import Config
from .drive_memory import DriveMemory
from .event_adder import CANDIDATES, EventAdder
from .folded_kernels import BACKWARD_CHANNELS, FORWARD_CHANNELS, PAIR, SPOTS, FoldedKernels, banks, weight_bits
from .skid_buffer import SkidBuffer
from .spike_window import SpikeWindow
from .synapse import SynapseSignature


def sizes(bundle: Bundle) -> dict[str, tuple[int, int]]:
    """Units and lanes of both directions' adders."""
    pre, post = bundle.pre.channels, bundle.post.channels
    return {
        "forward": (SPOTS * banks(pre, FORWARD_CHANNELS), post),
        "backward": (SPOTS * banks(post, BACKWARD_CHANNELS), SPOTS * pre),
    }


class EventConvEngine(wiring.Component):
    """Adds the folded kernels of the spikes in each window, and so computes the next step's drives during this one.

    - forward: a pooled position sees 4x4 pre positions, as 2x2 blocks.
    - backward: a block of 2x2 pre positions sees 2x2 pooled positions.

    Both directions go on side by side; a window is worked on as soon as its spikes have come. A step ends a few cycles after
    the last window. The drives of the spikes that the free phase left stay in their copy of the `DriveMemory`, so the nudged
    phases start without computing them again.
    Model: `golden.ops.conv_forward` and `golden.ops.conv_backward`.

    Members
    -------
    those of `SynapseSignature`, and
    forward_adder, backward_adder
        As attributes: what a bench watches.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        pre, post = bundle.pre, bundle.post
        bound = -config.spec.formats.weight_low * bundle.kernel**2
        forward, backward = 4 * pre.channels * bound, post.channels * bound
        (forward_units, forward_lanes), (backward_units, backward_lanes) = sizes(bundle).values()
        self.forward_adder = EventAdder(
            units=forward_units,
            lanes=forward_lanes,
            chunks=config.groups(post),
            weight_bits=weight_bits(config),
            bits=signed_bits(-forward, forward),
            interval=config.groups(post),
        )
        self.backward_adder = EventAdder(
            units=backward_units,
            lanes=backward_lanes,
            chunks=SPOTS * pre.channels // PAIR,
            weight_bits=weight_bits(config),
            bits=signed_bits(-backward, backward),
            interval=SPOTS * config.groups(pre),
        )
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post = bundle.pre, bundle.post
        rows, columns = post.height, post.width

        m.submodules.kernels = kernels = FoldedKernels(config, bundle)
        m.submodules.forward_adder, m.submodules.backward_adder = self.forward_adder, self.backward_adder
        m.d.comb += [
            self.tile_address.eq(kernels.tile_address),
            kernels.tile.eq(self.tile),
            kernels.prepare.eq(self.prepare),
            self.preparing.eq(kernels.busy),
        ]
        connect(m, kernels.forward, self.forward_adder.kernels)
        connect(m, kernels.backward, self.backward_adder.kernels)

        m.submodules.pre_window = pre_window = SpikeWindow(config, pre, block=2, border=0)
        m.submodules.post_window = post_window = SpikeWindow(config, post, block=1, border=1)
        for window, spikes in ((pre_window, self.pre_spikes), (post_window, self.post_spikes)):
            m.d.comb += [window.i.valid.eq(spikes.valid), window.i.payload.eq(spikes.payload), window.start.eq(self.start)]

        # The first pooled row sees four rows of the last pre group, each further one two more; the first row of blocks sees
        # one pooled row, each further one one more, until there are none.
        def needed(layer, row):
            return (config.groups(layer) - 1) * layer.positions + row * layer.width

        working = [
            self._side(
                m, "forward", pre_window, self.forward_adder, FORWARD_CHANNELS, rows, columns,
                first=needed(pre, 4), each=2 * pre.width, last=needed(pre, 2 * rows + 2),
                target=post, out=self.forward, offsets=[0], pitch=(columns, 1),
            ),
            self._side(
                m, "backward", post_window, self.backward_adder, BACKWARD_CHANNELS, rows + 1, columns + 1,
                first=needed(post, 1), each=post.width, last=needed(post, rows),
                target=pre, out=self.backward, offsets=[0, 1, pre.width, pre.width + 1], pitch=(2 * pre.width, 2),
            ),
        ]
        m.d.comb += self.busy.eq(Cat(working).any())
        return m

    def _side(self, m, name, window, adder, of_unit, rows, columns, *, first, each, last, target, out, offsets, pitch):
        """Windows in raster order to the adder, and its sums word by word to the drive memory; returns whether it is busy.

        first, each, last: words of spikes that the first row of windows needs, more of them for each next row, all.
        offsets: word of each spot of a sum within a group of the target layer. pitch: from one row of sums, or column, to the
        next.
        """
        config = self.config
        lanes, groups = config.lanes[target.index], config.groups(target)

        # -- windows, as soon as their spikes have come
        m.submodules[f"{name}_skid"] = skid = SkidBuffer(adder.i.payload.shape())
        connect(m, skid.o, adder.i)
        active, row, column = Signal(name=f"{name}_active"), Signal.like(window.row), Signal.like(window.column)
        need = Signal(range(last + each + 1), name=f"{name}_need", init=first)
        m.d.comb += [window.row.eq(row), window.column.eq(column), skid.i.valid.eq(active & (window.count >= need))]
        with m.If(skid.i.valid & skid.i.ready):
            m.d.sync += column.eq(column + 1)
            with m.If(column == columns - 1):
                m.d.sync += [column.eq(0), row.eq(row + 1)]
                with m.If(need < last):
                    m.d.sync += need.eq(need + each)
                with m.If(row == rows - 1):
                    m.d.sync += [row.eq(0), need.eq(first), active.eq(0)]
        with m.If(self.start):
            m.d.sync += active.eq(1)
        spots = window.block**2
        channels = window.layer.channels
        units = banks(channels, of_unit)
        for block in range(4):
            seen = window.window[block // 2][block % 2]
            for bank in range(units):
                of_bank = [seen[spot][bank * of_unit : (bank + 1) * of_unit] for spot in range(spots)]
                padded = [Cat(bits, *[0] * (of_unit - len(bits))) for bits in of_bank]
                mask = Cat(padded)
                assert len(mask) == CANDIDATES
                m.d.comb += skid.i.payload[block * units + bank].eq(mask)

        # -- a sum is kept while its words are written: spot after spot of each group
        m.submodules[f"{name}_drives"] = drives = DriveMemory(words=config.words(target), lanes=lanes, bits=adder.bits)
        m.d.comb += [drives.step.eq(self.step), drives.start.eq(self.start)]
        words = groups * len(offsets)
        word = data.ArrayLayout(adder.o.payload.shape().elem_shape, lanes)
        held, left = Signal(data.ArrayLayout(word, words), name=f"{name}_held", reset_less=True), Signal(range(words + 1))
        base, line = Signal(range(target.positions), name=f"{name}_base"), Signal(range(target.positions), name=f"{name}_line")
        at_column = Signal(range(columns), name=f"{name}_column")
        at, offset = Signal(range(words), name=f"{name}_at"), Signal(range(config.words(target)), name=f"{name}_offset")
        with m.Switch(at):
            for n in range(words):
                with m.Case(n):
                    m.d.comb += offset.eq(n // len(offsets) * target.positions + offsets[n % len(offsets)])
        m.d.comb += [
            drives.i.valid.eq(left != 0),
            drives.i.payload.address.eq(base + offset),
            drives.i.payload.drives.eq(held[0]),
        ]
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), at.eq(at + 1)]
            m.d.sync += [held[n].eq(held[n + 1]) for n in range(words - 1)]
            with m.If(left == 1):
                m.d.sync += [at_column.eq(at_column + 1), base.eq(base + pitch[1]), at.eq(0)]
                with m.If(at_column == columns - 1):
                    m.d.sync += [at_column.eq(0), line.eq(line + pitch[0]), base.eq(line + pitch[0])]
        with m.If(adder.o.valid):
            m.d.sync += left.eq(words)
            for n in range(words):
                group, spot = divmod(n, len(offsets))
                for lane in range(lanes):
                    # of a block's spots, left and right of a pair are neighbours (`backward_word`)
                    pair = (group * (len(offsets) // PAIR) + spot // PAIR) * lanes + lane
                    at_lane = group * lanes + lane if len(offsets) == 1 else pair * PAIR + spot % PAIR
                    m.d.sync += held[n][lane].eq(adder.o.payload[at_lane])
        with m.If(self.start):
            m.d.sync += [base.eq(0), line.eq(0), at_column.eq(0), at.eq(0)]

        m.d.comb += [out.valid.eq(drives.o.valid), drives.o.ready.eq(out.ready)]
        m.d.comb += [out.payload[lane].eq(drives.o.payload[lane]) for lane in range(lanes)]
        # the memory's write comes a cycle after its item
        after = Signal(name=f"{name}_after")
        m.d.sync += after.eq(left != 0)
        return active | skid.o.valid | adder.busy | (left != 0) | after
