"""What engines on the image have in common: exact sums of pixels times weights, and a memory of the drives that follow."""

from amaranth.hdl import Signal, signed
from amaranth.lib import data

from golden.contract.formats import rounded_bound, signed_bits
from hw.lib.bounds import bounded
from hw.lib.rounding import half_up

from .drive_memory import DriveMemory
from .interface import STATIC_BANKS


def static_memory(m, engine) -> DriveMemory:
    """The memory of an engine with `StaticSignature`, as its submodule ``static``. It sends what ``forward`` replays."""
    post = engine.bundle.post
    m.submodules.static = static = DriveMemory(post, lanes=engine.lanes, bits=post.phi_bits, banks=STATIC_BANKS)
    m.d.comb += [
        static.start.eq(engine.replay),
        static.read_bank.eq(engine.read_bank),
        static.write_bank.eq(engine.write_bank),
    ]
    return static


class StaticSums:
    """The sum of each lane, and the drives that they are rounded to, half up.

    pixels: how many a sum is of.
    """

    def __init__(self, engine, pixels: int):
        spec = engine.config.spec
        self.most = pixels * ((1 << spec.formats.pixel_bits) - 1) << (spec.formats.weight_bits - 1)
        sums = data.ArrayLayout(signed(signed_bits(-self.most, self.most)), engine.lanes)
        self.total, self.shift = Signal(sums, reset_less=True), spec.static_shift

    def add(self, m, lane, adding, old, term, drive):
        """``total[lane] = old + term`` where ``adding``; ``drive`` follows the sum."""
        with m.If(adding):
            m.d.sync += bounded(self.total[lane], old + term, -self.most, self.most, "all weights and pixels at their end")
        largest = rounded_bound(self.most, self.shift)
        m.d.comb += bounded(drive, half_up(self.total[lane], self.shift), -largest, largest, "`Layer.phi_bound` has it")
