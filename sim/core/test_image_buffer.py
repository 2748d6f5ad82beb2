# amaranth: UnusedElaboratable=no
"""The image buffer against a list of images: one bank is written while both ports read others."""

import random

import cocotb

from nudge.golden.contract import protocol
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.hw.core.image_buffer import ImageBuffer
from sim.harness.streams import Monitor, Port, serve_memory, start
from sim.harness.units import each, pulse

UNITS = {"images": ImageBuffer(configuration(preset("tiny")))}
READERS = ("drive", "update")


@cocotb.test()
async def images_stay(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port = Port(dut, name)
    incoming: list[int] = [0] * protocol.PIXELS
    serve_memory(dut, f"{name}__pixel_address", f"{name}__pixel", incoming)
    banks: dict[int, list[int]] = {}
    taken = Monitor(dut, f"{name}__taken")
    for number in range(3 * unit.banks):
        bank = number % unit.banks
        incoming[:] = [random.randrange(256) for _ in range(protocol.PIXELS)]
        port.bank.value = bank
        await pulse(port.start, port.edge)
        asked: list[dict[str, tuple[int, int]]] = []
        cycles = 0
        while True:
            places = {}
            for reader in READERS:
                others = [known for known in banks if known != bank] or [bank]
                places[reader] = (random.choice(others), random.randrange(protocol.PIXELS))
                getattr(port, f"{reader}_bank").value, getattr(port, f"{reader}_address").value = places[
                    reader
                ]
            asked.append(places)
            await port.edge
            cycles += bool(port.busy.value)
            if len(asked) > 1:
                for reader, (of, address) in asked[-2].items():
                    got = int(getattr(port, f"{reader}_pixel").value)
                    assert of == bank or got == banks[of][address], (
                        f"{name}, {reader} port, bank {of}, pixel {address}: {got}"
                    )
            if len(asked) > 1 and not port.busy.value:
                break
        assert protocol.PIXELS < cycles <= protocol.PIXELS + 2, f"{name}: busy for {cycles} cycles"
        banks[bank] = list(incoming)
        assert taken.words[number * protocol.PIXELS :] == incoming, (
            f"{name}: image {number} was told otherwise"
        )
    for bank, image in banks.items():
        for address in (0, 1, *random.sample(range(protocol.PIXELS), 50), protocol.PIXELS - 1):
            port.update_bank.value, port.update_address.value = bank, address
            await port.edge
            await port.edge
            assert port.update_pixel.value == image[address], f"{name}, bank {bank}, pixel {address}"
