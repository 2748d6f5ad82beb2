"""Event-driven synapse engine of a conv bundle: spikes cost time, silence does not."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.utils import bits_for

from golden.spec import Bundle, signed_bits

from .config import Config
from .event_bank import EventBank
from .event_queue import EventQueue
from .folded_kernels import FoldedKernels
from .synapse import SynapseSignature


class EventConvEngine(wiring.Component):
    """Adds the folded kernels of each spike as it comes, and so computes the next step's drives during this one.

    - forward: a spike of the pre layer meets 2x2 pooled positions, one in each of four parity banks: one cycle.
    - backward: a spike of the post layer meets 4x4 pre positions, as 2x2 blocks in two banks: two cycles.

    Both directions go on side by side. A step ends a few cycles after its array's pass or, where spikes come faster than
    they are added, after the last of them has been added. The drives of the spikes that the free phase left stay in their
    copy of the banks (see `EventBank`), so the nudged phases start without computing them again.
    Model: `golden.ops.conv_forward` and `golden.ops.conv_backward`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle

        m.submodules.kernels = kernels = FoldedKernels(config, bundle)
        m.d.comb += [
            self.tile_address.eq(kernels.tile_address),
            kernels.tile.eq(self.tile),
            kernels.prepare.eq(self.prepare),
            self.preparing.eq(kernels.busy),
        ]
        m.submodules.pre_events = pre_events = EventQueue(config, bundle.pre)
        m.submodules.post_events = post_events = EventQueue(config, bundle.post)
        for queue, spikes in ((pre_events, self.pre_spikes), (post_events, self.post_spikes)):
            m.d.comb += [queue.i.valid.eq(spikes.valid), queue.i.payload.eq(spikes.payload)]

        adding = self._forward(m, kernels, pre_events), self._backward(m, kernels, post_events)
        m.d.comb += self.busy.eq(pre_events.busy | post_events.busy | adding[0] | adding[1])
        return m

    def _bank(self, m, name, *, rows, columns, lanes, terms):
        """A parity bank whose sums hold `terms` weights at their extreme."""
        f = self.config.spec.formats
        bound = -terms * f.weight_low
        bank = EventBank(
            depth=rows * columns, lanes=lanes, bits=signed_bits(-bound, bound), value_bits=f.weight_bits + 2
        )
        m.submodules[name] = bank
        m.d.comb += [bank.step.eq(self.step), bank.start.eq(self.start)]
        return bank

    def _forward(self, m, kernels, events):
        """One pre event a cycle: pooled rows y // 2 and y // 2 - 1, the same for columns."""
        config, pre, post = self.config, self.bundle.pre, self.bundle.post
        lanes, groups = config.lanes[post.index], config.groups(post)
        rows, columns = (post.height + 1) // 2, (post.width + 1) // 2

        at = events.o.payload
        channel = Signal(range(pre.channels))
        m.d.comb += [
            channel.eq(at.group * config.lanes[pre.index] + at.lane),
            kernels.forward_address.eq(Cat(at.x[0], at.y[0], channel)),
            events.o.ready.eq(1),
        ]
        valid, y, x = Signal(), Signal.like(at.y), Signal.like(at.x)
        m.d.sync += [valid.eq(events.o.valid), y.eq(at.y), x.eq(at.x)]

        def pooled(where, parity, size, name):
            """Which of the two pooled rows (columns) lies in the bank of this parity: (second?, number, does it exist?)."""
            second, exists = Signal(name=f"{name}_second"), Signal(name=f"{name}_exists")
            number, half = Signal(range(size + 1), name=name), where >> 1
            m.d.comb += [
                second.eq(half[0] != parity),
                number.eq(half - second),
                exists.eq((half >= second) & (half - second < size)),
            ]
            return second, number, exists

        banks = {}
        for by in range(2):
            for bx in range(2):
                bank = self._bank(
                    m, f"forward_{by}{bx}", rows=rows, columns=columns, lanes=post.channels,
                    terms=4 * pre.channels * self.bundle.kernel**2,
                )
                banks[by, bx] = bank
                jy, py, y_exists = pooled(y, by, post.height, f"py_{by}{bx}")
                jx, px, x_exists = pooled(x, bx, post.width, f"px_{by}{bx}")
                m.d.comb += [
                    bank.i.valid.eq(valid & y_exists & x_exists),
                    bank.address.eq((py >> 1) * columns + (px >> 1)),
                ]
                for o in range(post.channels):
                    base = o // lanes * 4 * lanes + o % lanes  # of index (post group, jy, jx, post lane)
                    taps = [kernels.forward[base + j * lanes] for j in range(4)]
                    m.d.comb += bank.i.payload[o].eq(
                        Mux(jy, Mux(jx, taps[3], taps[2]), Mux(jx, taps[1], taps[0]))
                    )

        # -- the drives of the step before, in word order
        group = Signal(range(groups))
        py, px = Signal(bits_for(post.height - 1)), Signal(bits_for(post.width - 1))  # one bit also for a map of one row
        chosen = []
        for bank in banks.values():
            m.d.comb += bank.read_address.eq((py >> 1) * columns + (px >> 1))
        for lane in range(lanes):
            sums = [
                Mux(
                    py[0],
                    Mux(px[0], banks[1, 1].read_data[o], banks[1, 0].read_data[o]),
                    Mux(px[0], banks[0, 1].read_data[o], banks[0, 0].read_data[o]),
                )
                for o in range(lane, post.channels, lanes)
            ]
            chosen.append(Array(sums)[group] if groups > 1 else sums[0])
        self._drain(m, self.forward, chosen, group, groups, py, post.height, px, post.width)
        return valid

    def _backward(self, m, kernels, events):
        """One post event in two cycles, one for each half of the folded kernel's columns."""
        config, pre, post = self.config, self.bundle.pre, self.bundle.post
        lanes, groups = config.lanes[pre.index], config.groups(pre)
        block_rows, columns = (pre.height + 1) // 2, (pre.width + 1) // 2  # of 2x2 blocks
        rows = (block_rows + 1) // 2

        at = events.o.payload
        channel, half = Signal(range(post.channels)), Signal()
        m.d.comb += [
            channel.eq(at.group * config.lanes[post.index] + at.lane),
            kernels.backward_address.eq(Cat(half, channel)),
            events.o.ready.eq(half),
        ]
        with m.If(events.o.valid):
            m.d.sync += half.eq(~half)
        valid, row, column = Signal(), Signal.like(at.y), Signal(range(columns))
        m.d.sync += [valid.eq(events.o.valid), row.eq(at.y), column.eq(at.x + half)]

        banks = []
        for parity in range(2):
            bank = self._bank(
                m, f"backward_{parity}", rows=rows, columns=columns, lanes=4 * pre.channels,
                terms=post.channels * self.bundle.kernel**2,
            )
            banks.append(bank)
            # Block rows py and py + 1 lie in different banks.
            second, block_row = Signal(name=f"second_{parity}"), Signal(range(block_rows), name=f"block_row_{parity}")
            m.d.comb += [
                second.eq(row[0] != parity),
                block_row.eq(row + second),
                bank.i.valid.eq(valid),
                bank.address.eq((block_row >> 1) * columns + column),
            ]
            for spot in range(4):
                for i in range(pre.channels):
                    base = i // lanes * 8 * lanes + spot * lanes + i % lanes  # of index (pre group, jy, sy, sx, pre lane)
                    value = Mux(second, kernels.backward[base + 4 * lanes], kernels.backward[base])
                    m.d.comb += bank.i.payload[spot * pre.channels + i].eq(value)

        # -- the drives of the step before, in word order
        group, y, x = Signal(range(groups)), Signal(range(pre.height)), Signal(range(pre.width))
        for bank in banks:
            m.d.comb += bank.read_address.eq((y >> 2) * columns + (x >> 1))
        chosen = []
        for lane in range(lanes):
            sums = []
            for i in range(lane, pre.channels, lanes):
                spots = [Mux(y[1], banks[1].read_data[s * pre.channels + i], banks[0].read_data[s * pre.channels + i])
                         for s in range(4)]
                sums.append(Mux(y[0], Mux(x[0], spots[3], spots[2]), Mux(x[0], spots[1], spots[0])))
            chosen.append(Array(sums)[group] if groups > 1 else sums[0])
        self._drain(m, self.backward, chosen, group, groups, y, pre.height, x, pre.width)
        return valid

    def _drain(self, m, out, lanes, group, groups, y, height, x, width):
        """Streams all words once after `start`, group by group in raster order."""
        draining = Signal()
        with m.If(out.ready | ~out.valid):
            m.d.sync += out.valid.eq(draining)
            m.d.sync += [out.payload[n].eq(lane) for n, lane in enumerate(lanes)]
            with m.If(draining):
                m.d.sync += x.eq(x + 1)
                with m.If(x == width - 1):
                    m.d.sync += [x.eq(0), y.eq(y + 1)]
                    with m.If(y == height - 1):
                        m.d.sync += [y.eq(0), group.eq(group + 1)]
                        with m.If(group == groups - 1):
                            m.d.sync += [group.eq(0), draining.eq(0)]
        with m.If(self.start):
            m.d.sync += draining.eq(1)
