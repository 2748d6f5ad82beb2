"""Parts of the engines on the image: exact sums of pixels times weights, and the memory of static drives."""

from amaranth.hdl import Signal, signed
from amaranth.lib import data

from nudge.golden.contract.formats import rounded_bound, signed_bits
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.rounding import half_up

from .drive_memory import DriveMemory
from .interface import static_banks


def static_memory(m, engine) -> DriveMemory:
    """Build the memory of static drives, which ``forward`` replays, as submodule ``static`` of an engine with
    `StaticSignature`."""
    post, lanes = engine.bundle.post, engine.lanes
    m.submodules.static = static = DriveMemory(
        post, lanes=lanes, bits=post.phi_bits, banks=static_banks(engine.config)
    )
    m.d.comb += [
        static.start.eq(engine.replay),
        static.read_bank.eq(engine.read_bank),
        static.write_bank.eq(engine.write_bank),
    ]
    return static


class StaticSums:
    """Exact sums of pixels times weights, one for each lane, rounded to drives by rhu(sum, shift).

    pixels: number of pixels in a sum.
    """

    def __init__(self, engine, pixels: int):
        spec = engine.config.spec
        self.most = pixels * ((1 << spec.formats.pixel_bits) - 1) << (spec.formats.weight_bits - 1)
        sums = data.ArrayLayout(signed(signed_bits(-self.most, self.most)), engine.lanes)
        self.total, self.shift = Signal(sums, reset_less=True), spec.static_shift

    def add(self, m, lane, adding, old, term, drive):
        """Set ``total[lane] = old + term`` where ``adding``, and ``drive`` to the rounded total."""
        total, most, why = self.total[lane], self.most, "all weights and pixels at their end"
        with m.If(adding):
            m.d.sync += bounded(total, old + term, -most, most, why)
        largest, why = rounded_bound(most, self.shift), "`Layer.phi_bound` has it"
        m.d.comb += bounded(drive, half_up(total, self.shift), -largest, largest, why)
