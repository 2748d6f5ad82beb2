"""One direction of an event-driven engine: spike windows -> event adder -> drive memory."""

from functools import cached_property
from itertools import product

from amaranth.hdl import Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import connect

from nudge.golden.contract.config import Config
from nudge.golden.contract.event_units import CANDIDATES, SPOTS
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.skid_buffer import SkidBuffer

from .drive_memory import DriveMemory
from .event_adder import EventAdder, latency
from .event_layout import PAIR, adder_shape
from .interface import bank_for, bank_of, banks_of


class Side:
    """Sizes of a direction, its adder, and the logic around it, which is built into the engine's module.

    Parameters
    ----------
    config : Config
    bundle : Bundle
    name : str
        "forward" or "backward".
    """

    def __init__(self, config: Config, bundle: Bundle, name: str):
        forward, pre, post = name == "forward", bundle.pre, bundle.post
        self.config, self.name = config, name
        #: Layer that spikes, and layer that the sums drive.
        self.source, self.target = (pre, post) if forward else (post, pre)
        #: Rows and columns of windows.
        self.rows, self.columns = (post.height, post.width) if forward else (post.height + 1, post.width + 1)
        #: Row (and column) of the last spike in the first window, and the distance from window to window.
        #: Positions outside of the source don't spike.
        self.corner, self.stride = (3, 2) if forward else (0, 1)
        #: Columns and lines of the target that a window drives; each line is one row of the drive memory.
        self.wide, self.lines = (1, 1) if forward else (PAIR, SPOTS // PAIR)
        #: Rows of the drive memory in a line of the target.
        self.rows_of_line = -(-self.target.width // self.wide)
        self.passes = config.passes[0 if forward else 1]
        #: Rows of the drive memory that each pass of the adder computes.
        self.rows_of_pass = len(self.offsets) // self.passes
        largest = self.source.channels * (self.stride * bundle.kernel) ** 2 * -config.spec.formats.weight_low
        self._options = adder_shape(config, bundle, name) | {
            "bits": signed_bits(-largest, largest),
            "interval": self.rows_of_pass,
            "passes": self.passes,
            "spike_bits": config.spec.spike_bits,
            "blocks": config.kernel_blocks,
        }
        #: Latency of the adder in cycles.
        self.latency = latency(self._options["units"])

    @cached_property
    def adder(self) -> EventAdder:
        """Made for an engine alone: Amaranth warns of a component that no module has, as in an estimate."""
        return EventAdder(**self._options)

    @property
    def offsets(self) -> list[int]:
        """Addresses of a window's rows in the drive memory, relative to the first, in order of writing."""
        rows = range(self.config.groups(self.target) * self.lines)
        return [(n // self.lines * self.target.height + n % self.lines) * self.rows_of_line for n in rows]

    @property
    def ends_early(self) -> bool:
        """True if a half may end when the last window's last pass begins.

        This holds if that window's rows are written before the next half, which reads the drive memory from
        its first row on, reaches them.
        """
        of_pass = self.rows_of_pass
        last_window = (self.rows - 1) * self.lines * self.rows_of_line + self.columns - 1
        rows = [last_window + offset for offset in self.offsets]
        # Cycles until all spikes of a pass are taken: up to `longest` in the last pass, 0 in those before.
        longest = max(CANDIDATES, of_pass)
        spikes = [longest if n >= len(rows) - of_pass else 0 for n in range(len(rows))]
        return all(spikes[n] + self.latency + n % of_pass < row for n, row in enumerate(rows))

    def signal(self, name: str, *shape, **options) -> Signal:
        """Return a signal with the direction in its name."""
        return Signal(*shape, name=f"{self.name}_{name}", **options)

    def take_windows(self, m, begin, window, seen):
        """Send windows to the adder in raster order, each as soon as its spikes have arrived. Return a signal
        that is high while windows are left.

        seen: the window's spikes, keyed by the adder's (unit, index).
        """
        source, corner, stride = self.source, self.corner, self.stride
        m.submodules[f"{self.name}_skid"] = skid = SkidBuffer(self.adder.i.payload.shape())
        connect(m, skid.o, self.adder.i)
        active, row, column = self.signal("active"), Signal.like(window.row), Signal.like(window.column)
        before = (self.config.groups(source) - 1) * source.positions  # words of all groups but the last
        first, line_step = before + corner * source.width + corner + 1, stride * source.width
        # Words that must have arrived for the window, and for the first window of its row.
        count = range(self.config.words(source) + 1)
        need, of_row = (self.signal(what, count, init=first) for what in ("need", "of_row"))
        m.d.comb += [window.row.eq(row), window.column.eq(column)]
        m.d.comb += skid.i.valid.eq(active & (window.count >= need))
        with m.If(skid.i.valid & skid.i.ready):
            m.d.sync += column.eq(column + 1)
            with m.If(column < (source.width - 1 - corner) // stride):
                m.d.sync += need.eq(need + stride)
            with m.If(column == self.columns - 1):
                m.d.sync += [column.eq(0), row.eq(row + 1), need.eq(of_row)]
                with m.If(row < (source.height - 1 - corner) // stride):
                    m.d.sync += [need.eq(of_row + line_step), of_row.eq(of_row + line_step)]
                with m.If(row == self.rows - 1):
                    m.d.sync += [row.eq(0), need.eq(first), of_row.eq(first), active.eq(0)]
        with m.If(begin):
            m.d.sync += active.eq(1)
        for (unit, index), spike in seen.items():
            m.d.comb += [skid.i.payload[unit][CANDIDATES * n + index].eq(bit) for n, bit in enumerate(spike)]
        return active | skid.o.valid

    def keep_drives(self, m, begin, steps, out):
        """Write the adder's sums to the drive memory, and send the drives to the layer. Return a signal that
        is high while sums are still to be written.

        steps: `Step` of source and target.
        """
        source, target = steps
        m.submodules[f"{self.name}_drives"] = drives = DriveMemory(
            self.target,
            lanes=self.config.lanes[self.target.index],
            bits=self.adder.bits,
            banks=banks_of(self.source.index, self.config),
            wide=self.wide,
        )
        bank = Signal.like(drives.write_bank, name=f"{self.name}_bank")
        m.d.comb += [
            drives.start.eq(begin),
            drives.read_bank.eq(bank_of(target, self.config.slots)),
            drives.silent.eq(target.silent),
            drives.write_bank.eq(bank),
        ]
        left, complete = self._write_rows(m, drives)
        # The write bank changes at the begin of a half or, if the previous half's rows aren't all written by
        # then, after the last of them.
        unfinished, next_waits, muted = (self.signal(name) for name in ("unfinished", "next_waits", "muted"))
        with m.If(begin):
            m.d.sync += unfinished.eq(1)
            with m.If(unfinished & ~complete):
                m.d.sync += next_waits.eq(1)
        with m.Elif(complete):
            m.d.sync += [unfinished.eq(next_waits), next_waits.eq(0)]
        with m.If(Mux(begin, ~unfinished | complete, complete & next_waits)):
            m.d.sync += bank.eq(bank_for(source, self.config.slots))
            if self.config.slots == 1:
                m.d.sync += muted.eq(source.idle)
        if self.config.slots == 1:
            # An idle layer's rows would replace those that its neighbour reads, for there is no other bank.
            with m.If(muted):
                m.d.comb += drives.i.valid.eq(0)

        m.d.comb += [out.valid.eq(drives.o.valid), drives.o.ready.eq(out.ready)]
        m.d.comb += [lane.eq(drive) for lane, drive in zip(out.payload, drives.o.payload, strict=True)]
        # The memory is written one cycle after its item.
        after = self.signal("after")
        m.d.sync += after.eq(left != 0)
        return self.adder.busy | (left != 0) | after

    def _write_rows(self, m, drives):
        """Hold the sums of a pass while their rows are written, line after line of each group.

        Return the number of rows left, and the strobe of a half's last row.
        """
        of_pass, offsets, wide, item = self.rows_of_pass, self.offsets, self.wide, drives.i.payload
        held = self.signal("held", data.ArrayLayout(drives.row, of_pass), reset_less=True)
        left = self.signal("left", range(of_pass + 1))
        # `base`: address of the window's first row; `line`: that of the first window in the row of windows;
        # `offset`: address of the row to write, relative to `base`.
        address = item.address.shape()
        base, line, offset = (self.signal(name, address) for name in ("base", "line", "offset"))
        at, at_row = self.signal("at", range(len(offsets))), self.signal("at_row", range(self.rows))
        at_column = self.signal("at_column", range(self.columns))
        with m.Switch(at):
            for n, value in enumerate(offsets):
                with m.Case(n):
                    m.d.comb += offset.eq(value)
        m.d.comb += [drives.i.valid.eq(left != 0), item.address.eq(base + offset), item.drives.eq(held[0])]
        complete = self.signal("complete")
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), at.eq(at + 1)]
            m.d.sync += [held[n].eq(held[n + 1]) for n in range(of_pass - 1)]
            with m.If(at == len(offsets) - 1):
                m.d.sync += [at_column.eq(at_column + 1), base.eq(base + 1), at.eq(0)]
                with m.If(at_column == self.columns - 1):
                    following = line + self.lines * self.rows_of_line
                    m.d.sync += [at_column.eq(0), at_row.eq(at_row + 1)]
                    m.d.sync += [line.eq(following), base.eq(following)]
                    with m.If(at_row == self.rows - 1):
                        m.d.sync += [at_row.eq(0), line.eq(0), base.eq(0)]
                        m.d.comb += complete.eq(1)
        sums = self.adder.o
        with m.If(sums.valid):
            m.d.sync += left.eq(of_pass)
            places = product(range(of_pass), range(drives.lanes), range(wide))
            for sum_, (n, lane, column) in zip(sums.payload, places, strict=True):
                m.d.sync += held[n][column][lane].eq(sum_)
        return left, complete
