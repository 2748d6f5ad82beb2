"""Image buffer: one bank for the image of each sample in flight, filled from the link."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.loops import counting

from .interface import samples_in_flight


class ImageBuffer(wiring.Component):
    """Copies one image at a time from the link to a bank, while other banks are read.

    Latency: `Input.pixels` + 2 cycles an image.

    Members
    -------
    start : In(1), bank : In
        One-cycle pulse, while not ``busy``: copies an image to ``bank``, which must be stable while ``busy``.
    busy : Out(1)
        High from the cycle after ``start`` until the image is stored.
    pixel_address : Out, pixel : In
        Read port of the link's image: ``pixel`` belongs to the address of the previous cycle.
    taken : Out(Flow(pixel))
        Each pixel once, in raster order, as it arrives.
    drive_bank, drive_address : In; drive_pixel : Out
        Synchronous read port of the image engine.
    update_bank, update_address : In; update_pixel : Out
        Synchronous read port of the image bundle's update engine.
    """

    def __init__(self, config: Config):
        self.banks, self.pixels = samples_in_flight(config), config.spec.input.pixels
        pixel, address, bank = config.spec.formats.pixel_bits, bits_for(self.pixels - 1), range(self.banks)
        members = {
            "start": In(1),
            "bank": In(bank),
            "busy": Out(1),
            "pixel_address": Out(address),
            "pixel": In(pixel),
        }
        members |= {"taken": Out(Flow(unsigned(pixel)))}
        for reader in ("drive", "update"):
            members |= {
                f"{reader}_bank": In(bank),
                f"{reader}_address": In(address),
                f"{reader}_pixel": Out(pixel),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = BlockMemory(
            shape=len(self.pixel), depth=self.banks << len(self.pixel_address)
        )
        write = memory.write_port()
        for reader in ("drive", "update"):
            read, bank, address = (
                memory.read_port(),
                getattr(self, f"{reader}_bank"),
                getattr(self, f"{reader}_address"),
            )
            m.d.comb += [read.addr.eq(Cat(address, bank)), getattr(self, f"{reader}_pixel").eq(read.data)]

        reading, coming = Signal(), Signal()
        at = Signal.like(self.pixel_address)
        m.d.sync += [coming.eq(reading), at.eq(self.pixel_address)]
        m.d.comb += self.busy.eq(reading | coming)
        m.d.comb += [self.taken.valid.eq(coming), self.taken.payload.eq(self.pixel)]
        m.d.comb += [write.addr.eq(Cat(at, self.bank)), write.data.eq(self.pixel), write.en.eq(coming)]
        with m.If(reading):
            with counting(m, self.pixel_address, self.pixels):
                m.d.sync += reading.eq(0)
        with m.Elif(self.start):
            m.d.sync += reading.eq(1)
        return m
