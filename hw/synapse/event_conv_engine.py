"""Event-driven synapse engine of a conv bundle: its cycles grow with the number of spikes."""

from itertools import product

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from nudge.golden.contract.config import Config
from nudge.golden.contract.event_units import SPOTS, backward_place, forward_place
from nudge.golden.contract.shapes import Bundle

from .event_side import Side
from .folded_kernels import FoldedKernels
from .interface import SynapseSignature, put_off
from .spike_window import SpikeWindow


class EventConvEngine(wiring.Component):
    """Adds the folded kernels of the spikes in each spike window (`golden.contract.event_units`). The drives
    of the next half are computed in this way during the current half.

    - forward: the window of a pooled position has 4x4 pre positions, as 2x2 blocks of 2x2.
    - backward: the window of a block of 2x2 pre positions has 2x2 pooled positions.

    Both directions run in parallel. The drives of the free phase's last spikes stay in a bank of their
    own in the `DriveMemory`, so they aren't computed again for the nudged phases.

    Latency: a window is processed as soon as its spikes have arrived. ``start`` may come before all windows
    of the previous half are done; the half then begins after the last window, or when that window's last pass
    begins, if its drives are certain to be written before they are read (`Side.ends_early`). So other engines
    don't wait for this one.
    Integer model: `golden.model.ops.conv_forward` and `golden.model.ops.conv_backward`.

    Members
    -------
    those of `SynapseSignature`

    Attributes
    ----------
    sides : dict[str, Side]
        Keys "forward" and "backward".
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.sides = {name: Side(config, bundle, name) for name in ("forward", "backward")}
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post = bundle.pre, bundle.post

        # Windows of the previous half are processed; the next half, or the preparation after a commit, waits.
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
            m.d.comb += [
                window.i.valid.eq(spikes.valid),
                window.i.payload.eq(spikes.payload),
                window.start.eq(begin),
            ]

        # The windows' spikes, keyed by the (unit, index) that adds their kernel.
        bits = config.spec.spike_bits
        forward, backward = {}, {}
        for block, (y, x) in enumerate(product(range(2), repeat=2)):
            below, above = pre_window.window[y][x], post_window.window[y][x][0]
            for spot, channel in product(range(SPOTS), range(pre.channels)):
                forward[forward_place(pre.channels, block, spot, channel)] = below[spot].word_select(
                    channel, bits
                )
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
