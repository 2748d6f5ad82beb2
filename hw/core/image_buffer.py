"""Image buffer: the images of the samples in flight, taken from the link one after the other."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract.config import Config
from hw.lib.block_memory import BlockMemory
from hw.lib.flow import Flow
from hw.lib.loops import counting

from .interface import samples_in_flight


class ImageBuffer(wiring.Component):
    """A bank for each sample, one of them written while others are read.

    Latency: an image is taken in `Input.pixels` + 2 cycles.

    Members
    -------
    start : In(1), bank : In
        One cycle, while not ``busy``: takes an image to that bank, which must stay until it is there.
    busy : Out(1)
        High from the cycle after ``start`` until the image is there.
    pixel_address : Out, pixel : In
        The image; ``pixel`` is the one at the address of the cycle before.
    taken : Out(Flow(pixel))
        Each pixel once, in raster order, as it comes.
    drive_bank, drive_address : In; drive_pixel : Out
        Synchronous read for the image engine.
    update_bank, update_address : In; update_pixel : Out
        Synchronous read for the image bundle's update engine.
    """

    def __init__(self, config: Config):
        self.banks, self.pixels = samples_in_flight(config), config.spec.input.pixels
        pixel, address, bank = config.spec.formats.pixel_bits, bits_for(self.pixels - 1), range(self.banks)
        members = {"start": In(1), "bank": In(bank), "busy": Out(1), "pixel_address": Out(address), "pixel": In(pixel)}
        members |= {"taken": Out(Flow(unsigned(pixel)))}
        for reader in ("drive", "update"):
            members |= {f"{reader}_bank": In(bank), f"{reader}_address": In(address), f"{reader}_pixel": Out(pixel)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = BlockMemory(shape=len(self.pixel), depth=self.banks << len(self.pixel_address))
        write = memory.write_port()
        for reader in ("drive", "update"):
            read, bank, address = memory.read_port(), getattr(self, f"{reader}_bank"), getattr(self, f"{reader}_address")
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
