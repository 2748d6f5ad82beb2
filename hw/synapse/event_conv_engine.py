"""Event-driven synapse engine of a conv bundle: spikes cost time, silence does not."""

from itertools import product
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect

from golden.contract.config import Config
from golden.contract.event_units import CANDIDATES, SPOTS, adder_sizes, backward_place, forward_place
from golden.contract.formats import signed_bits
from golden.contract.shapes import Bundle, Layer
from hw.lib.skid_buffer import SkidBuffer

from .drive_memory import DriveMemory
from .event_adder import EventAdder
from .event_layout import PAIR, weight_bits
from .folded_kernels import FoldedKernels
from .interface import SynapseSignature, bank_for, bank_of, banks_of
from .spike_window import SpikeWindow


class EventConvEngine(wiring.Component):
    """Adds the folded kernels of the spikes in each spike window (`golden.contract.event_units`), and so
    computes the next half's drives during this one.

    - forward: a pooled position sees 4x4 pre positions, as 2x2 blocks.
    - backward: a block of 2x2 pre positions sees 2x2 pooled positions.

    Both directions go on side by side. The drives of the spikes that the free phase left stay in
    their copy of the `DriveMemory`, so the nudged phases start without computing them again.

    Latency: a window is worked on as soon as its spikes have come. A half may be started before all
    have been: it begins once the last one has, or already when its last pass begins, if no drive of
    it can be asked for too early. So other engines needn't wait for this one.
    Model: `golden.model.ops.conv_forward` and `golden.model.ops.conv_backward`.

    Members
    -------
    those of `SynapseSignature`, and
    forward_adder, backward_adder
        As attributes: what a bench watches.
    sides : dict[str, Side]
        "forward" and "backward".
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        pre, post = bundle.pre, bundle.post
        bound = -config.spec.formats.weight_low * bundle.kernel**2
        forward, backward = 4 * pre.channels * bound, post.channels * bound
        (forward_units, forward_lanes), (backward_units, backward_lanes) = adder_sizes(bundle).values()
        self.forward_adder = EventAdder(
            units=forward_units,
            lanes=forward_lanes,
            chunks=config.groups(post),
            weight_bits=weight_bits(config),
            bits=signed_bits(-forward, forward),
            interval=config.groups(post) // config.passes[0],
            passes=config.passes[0],
            spike_bits=config.spec.spike_bits,
            blocks=config.kernel_blocks,
        )
        self.backward_adder = EventAdder(
            units=backward_units,
            lanes=backward_lanes,
            chunks=SPOTS * pre.channels // PAIR,
            weight_bits=weight_bits(config),
            bits=signed_bits(-backward, backward),
            interval=SPOTS // PAIR * config.groups(pre) // config.passes[1],
            passes=config.passes[1],
            spike_bits=config.spec.spike_bits,
            blocks=config.kernel_blocks,
        )
        rows, columns = post.height, post.width
        self.sides = {
            "forward": Side("forward", self.forward_adder, pre, post, rows, columns, 3, 2, 1, 1),
            "backward": Side("backward", self.backward_adder, post, pre, rows + 1, columns + 1, 0, 1, PAIR, SPOTS // PAIR),
        }
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post = bundle.pre, bundle.post

        # windows of the half before are worked on; this half, and what a commit needs, begin afterwards
        working = Signal()
        begin, begin_waits = put_off(m, self.start, working, "begin")
        prepare, prepare_waits = put_off(m, self.prepare, working, "prepare")
        m.d.comb += self.busy.eq(begin_waits)

        m.submodules.kernels = kernels = FoldedKernels(config, bundle)
        m.submodules.forward_adder, m.submodules.backward_adder = self.forward_adder, self.backward_adder
        m.d.comb += [
            self.tile_address.eq(kernels.tile_address),
            kernels.tile.eq(self.tile),
            kernels.prepare.eq(prepare),
            self.preparing.eq(prepare_waits | kernels.busy),
        ]
        connect(m, kernels.forward, self.forward_adder.kernels)
        connect(m, kernels.backward, self.backward_adder.kernels)

        m.submodules.pre_window = pre_window = SpikeWindow(config, pre, block=2, border=0)
        m.submodules.post_window = post_window = SpikeWindow(config, post, block=1, border=1)
        for window, spikes in ((pre_window, self.pre_spikes), (post_window, self.post_spikes)):
            m.d.comb += [window.i.valid.eq(spikes.valid), window.i.payload.eq(spikes.payload), window.start.eq(begin)]

        # what each unit sees
        bits = config.spec.spike_bits
        forward, backward = {}, {}
        for block, (y, x) in enumerate(product(range(2), repeat=2)):
            below, above = pre_window.window[y][x], post_window.window[y][x][0]
            for spot, channel in product(range(SPOTS), range(pre.channels)):
                forward[forward_place(pre.channels, block, spot, channel)] = below[spot].word_select(channel, bits)
            for channel in range(post.channels):
                backward[backward_place(post.channels, block, channel)] = above.word_select(channel, bits)

        parts = []
        ways = {"forward": (pre_window, forward, self.forward), "backward": (post_window, backward, self.backward)}
        for name, (window, seen, out) in ways.items():
            taking = self._windows(m, self.sides[name], begin, window, seen)
            writing = self._drives(m, self.sides[name], begin, out)
            parts.append(taking if self.ends_early(name) else taking | writing)
        m.d.comb += working.eq(Cat(parts).any())
        return m

    def _windows(self, m, side, begin, window, seen):
        """Windows in raster order to the adder, as soon as their spikes have come; returns whether some are left.

        seen: spike of the window by unit and index of the adder.
        """
        name, adder, source, corner, stride = side.name, side.adder, side.source, side.corner, side.stride
        m.submodules[f"{name}_skid"] = skid = SkidBuffer(adder.i.payload.shape())
        connect(m, skid.o, adder.i)
        active, row, column = Signal(name=f"{name}_active"), Signal.like(window.row), Signal.like(window.column)
        before = (self.config.groups(source) - 1) * source.positions  # words of the groups before the last
        first, line_step = before + corner * source.width + corner + 1, stride * source.width
        # words that the window needs, and that the first one of its row does
        count = range(self.config.words(source) + 1)
        need, of_row = (Signal(count, name=f"{name}_{what}", init=first) for what in ("need", "of_row"))
        m.d.comb += [window.row.eq(row), window.column.eq(column), skid.i.valid.eq(active & (window.count >= need))]
        with m.If(skid.i.valid & skid.i.ready):
            m.d.sync += column.eq(column + 1)
            with m.If(column < (source.width - 1 - corner) // stride):
                m.d.sync += need.eq(need + stride)
            with m.If(column == side.columns - 1):
                m.d.sync += [column.eq(0), row.eq(row + 1), need.eq(of_row)]
                with m.If(row < (source.height - 1 - corner) // stride):
                    m.d.sync += [need.eq(of_row + line_step), of_row.eq(of_row + line_step)]
                with m.If(row == side.rows - 1):
                    m.d.sync += [row.eq(0), need.eq(first), of_row.eq(first), active.eq(0)]
        with m.If(begin):
            m.d.sync += active.eq(1)
        for (unit, index), spike in seen.items():
            m.d.comb += [skid.i.payload[unit][CANDIDATES * n + index].eq(bit) for n, bit in enumerate(spike)]

        return active | skid.o.valid

    def _drives(self, m, side, begin, out):
        """The adder's sums to the drive memory, row by row, and from there to the layer; returns whether some are to come.

        A pass' sums are kept while their rows are written: line after line of each group.
        """
        name, adder, source, target, wide = side.name, side.adder, side.source, side.target, side.wide
        rows, columns, lanes = side.rows, side.columns, self.config.lanes[target.index]
        m.submodules[f"{name}_drives"] = drives = DriveMemory(
            target, lanes=lanes, bits=adder.bits, banks=banks_of(source.index, self.config), wide=wide
        )
        steps = {self.bundle.pre.index: self.pre_step, self.bundle.index: self.post_step}
        bank = Signal.like(drives.write_bank, name=f"{name}_bank")
        m.d.comb += [
            drives.start.eq(begin),
            drives.read_bank.eq(bank_of(steps[target.index])),
            drives.silent.eq(steps[target.index].silent),
            drives.write_bank.eq(bank),
        ]
        offsets, of_pass = side.offsets(self.config), side.rows_of_pass(self.config)
        rows_of_window = len(offsets)
        item = drives.i.payload
        held = Signal(data.ArrayLayout(drives.row, of_pass), name=f"{name}_held", reset_less=True)
        left = Signal(range(of_pass + 1), name=f"{name}_left")
        base, line = Signal.like(item.address, name=f"{name}_base"), Signal.like(item.address, name=f"{name}_line")
        at_row, at_column = Signal(range(rows), name=f"{name}_at_row"), Signal(range(columns), name=f"{name}_at_column")
        at, offset = Signal(range(rows_of_window), name=f"{name}_at"), Signal.like(item.address, name=f"{name}_offset")
        with m.Switch(at):
            for n, value in enumerate(offsets):
                with m.Case(n):
                    m.d.comb += offset.eq(value)
        m.d.comb += [drives.i.valid.eq(left != 0), item.address.eq(base + offset), item.drives.eq(held[0])]
        complete = Signal(name=f"{name}_complete")
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), at.eq(at + 1)]
            m.d.sync += [held[n].eq(held[n + 1]) for n in range(of_pass - 1)]
            with m.If(at == rows_of_window - 1):
                m.d.sync += [at_column.eq(at_column + 1), base.eq(base + 1), at.eq(0)]
                with m.If(at_column == columns - 1):
                    following = line + side.lines * side.rows_of_line
                    m.d.sync += [at_column.eq(0), at_row.eq(at_row + 1), line.eq(following), base.eq(following)]
                    with m.If(at_row == rows - 1):
                        m.d.sync += [at_row.eq(0), line.eq(0), base.eq(0)]
                        m.d.comb += complete.eq(1)
        with m.If(adder.o.valid):
            m.d.sync += left.eq(of_pass)
            for n in range(of_pass):
                for lane in range(lanes):
                    for column in range(wide):
                        m.d.sync += held[n][column][lane].eq(adder.o.payload[(n * lanes + lane) * wide + column])
        # the bank of a half: from its begin on or, if the last one isn't all written yet, from then on
        unfinished, next_waits = Signal(name=f"{name}_unfinished"), Signal(name=f"{name}_next_waits")
        with m.If(begin):
            m.d.sync += unfinished.eq(1)
            with m.If(unfinished & ~complete):
                m.d.sync += next_waits.eq(1)
        with m.Elif(complete):
            m.d.sync += [unfinished.eq(next_waits), next_waits.eq(0)]
        with m.If(Mux(begin, ~unfinished | complete, complete & next_waits)):
            m.d.sync += bank.eq(bank_for(steps[source.index]))

        m.d.comb += [out.valid.eq(drives.o.valid), drives.o.ready.eq(out.ready)]
        m.d.comb += [out.payload[lane].eq(drives.o.payload[lane]) for lane in range(lanes)]
        # the memory's write comes a cycle after its item
        after = Signal(name=f"{name}_after")
        m.d.sync += after.eq(left != 0)
        return adder.busy | (left != 0) | after

    def ends_early(self, name: str) -> bool:
        """Whether a half may end when the last window's last pass begins: since that window's rows are written before the
        next half, which reads the memory from its first row on, comes to them."""
        side = self.sides[name]
        adder, of_pass = side.adder, side.rows_of_pass(self.config)
        last_window = (side.rows - 1) * side.lines * side.rows_of_line + side.columns - 1
        rows = [last_window + offset for offset in side.offsets(self.config)]
        # Of the last pass spikes are still to be taken away, of those before it only sums are to come.
        longest = max(CANDIDATES, adder.interval)
        spikes = [longest if n >= len(rows) - of_pass else 0 for n in range(len(rows))]
        return all(spikes[n] + adder.latency + n % of_pass < row for n, row in enumerate(rows))


def put_off(m, pulse, working, name: str):
    """A pulse, put off to the first cycle without ``working``; returns it, and whether it waits."""
    later, waits = Signal(name=name), Signal(name=f"{name}_waits")
    m.d.comb += later.eq((pulse | waits) & ~working)
    m.d.sync += waits.eq((pulse | waits) & working)
    return later, waits


class Side(NamedTuple):
    """One direction of the engine."""

    name: str
    adder: EventAdder
    #: Whose spikes become whose drives.
    source: Layer
    target: Layer
    #: Windows.
    rows: int
    columns: int
    #: Row and column of the last spike that the first window sees, and the way to the next window's; beyond the source there
    #: is silence.
    corner: int
    stride: int
    #: Columns and lines of the target that the sums of a window are for; each line is a row of the drive memory.
    wide: int
    lines: int

    @property
    def rows_of_line(self) -> int:
        """Rows of the drive memory for a line of the target."""
        return -(-self.target.width // self.wide)

    def offsets(self, config: Config) -> list[int]:
        """Where the rows of a window are, from its place on, in the order in which they are written."""
        rows = range(config.groups(self.target) * self.lines)
        return [(n // self.lines * self.target.height + n % self.lines) * self.rows_of_line for n in rows]

    def rows_of_pass(self, config: Config) -> int:
        """Rows that each of the adder's passes is for."""
        return len(self.offsets(config)) // self.adder.passes
