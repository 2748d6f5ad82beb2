"""Event-driven synapse engine of a conv bundle: spikes cost time, silence does not."""

from itertools import product

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from golden.contract.config import Config
from golden.contract.event_units import SPOTS, backward_place, forward_place
from golden.contract.shapes import Bundle

from .event_side import Side
from .folded_kernels import FoldedKernels
from .interface import SynapseSignature
from .spike_window import SpikeWindow


class EventConvEngine(wiring.Component):
    """Adds the folded kernels of the spikes in each spike window (`golden.contract.event_units`), and so
    computes the next half's drives during this one.

    - forward: a pooled position sees 4x4 pre positions, as 2x2 blocks.
    - backward: a block of 2x2 pre positions sees 2x2 pooled positions.

    Both directions run side by side. The drives of the spikes that the free phase left stay in
    their bank of the `DriveMemory`, so the nudged phases start without computing them again.

    Latency: a window is worked on as soon as its spikes have come. A half may be started before all
    spikes have come: it begins once the last window is done, or when its last pass begins, if no
    drive can be asked for too early (`Side.ends_early`). So other engines needn't wait for this one.
    Model: `golden.model.ops.conv_forward` and `golden.model.ops.conv_backward`.

    Members
    -------
    those of `SynapseSignature`, and
    sides : dict[str, Side]
        "forward" and "backward".
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.sides = {name: Side(config, bundle, name) for name in ("forward", "backward")}
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
        for name, side in self.sides.items():
            m.submodules[f"{name}_adder"] = side.adder
        m.d.comb += [
            self.tile_address.eq(kernels.tile_address),
            kernels.tile.eq(self.tile),
            kernels.prepare.eq(prepare),
            self.preparing.eq(prepare_waits | kernels.busy),
        ]
        for name, side in self.sides.items():
            connect(m, getattr(kernels, name), side.adder.kernels)

        m.submodules.pre_window = pre_window = SpikeWindow(config, pre, block=2, border=0)
        m.submodules.post_window = post_window = SpikeWindow(config, post, block=1, border=1)
        for window, spikes in ((pre_window, self.pre_spikes), (post_window, self.post_spikes)):
            m.d.comb += [window.i.valid.eq(spikes.valid), window.i.payload.eq(spikes.payload), window.start.eq(begin)]

        # spikes by the places of the units that see them
        bits = config.spec.spike_bits
        forward, backward = {}, {}
        for block, (y, x) in enumerate(product(range(2), repeat=2)):
            below, above = pre_window.window[y][x], post_window.window[y][x][0]
            for spot, channel in product(range(SPOTS), range(pre.channels)):
                forward[forward_place(pre.channels, block, spot, channel)] = below[spot].word_select(channel, bits)
            for channel in range(post.channels):
                backward[backward_place(post.channels, block, channel)] = above.word_select(channel, bits)

        parts, steps, windows = [], (self.pre_step, self.post_step), (pre_window, post_window)
        for side, window, seen in zip(self.sides.values(), windows, (forward, backward), strict=True):
            taking = side.take_windows(m, begin, window, seen)
            writing = side.keep_drives(m, begin, steps, getattr(self, side.name))
            parts.append(taking if side.ends_early else taking | writing)
            steps = steps[::-1]
        m.d.comb += working.eq(Cat(parts).any())
        return m


def put_off(m, pulse, working, name: str):
    """A pulse, put off to the first cycle without ``working``; returns it, and whether it waits."""
    later, waits = Signal(name=name), Signal(name=f"{name}_waits")
    m.d.comb += later.eq((pulse | waits) & ~working)
    m.d.sync += waits.eq((pulse | waits) & working)
    return later, waits
