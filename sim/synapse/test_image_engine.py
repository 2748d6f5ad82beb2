# amaranth: UnusedElaboratable=no
"""The image engine against the golden model: odd and even kernels, grey, colour, all or some taps at once."""

from dataclasses import replace

import cocotb

from nudge.hw.synapse.image_engine import ImageEngine
from sim.harness.networks import bundle_of
from sim.harness.streams import start
from sim.harness.units import each
from sim.synapse import static_check

UNITS = {
    "image_engine_6x7": ImageEngine(*bundle_of("image", (1, 6, 7), 4, kernel=3, lanes=(1, 2))),
    "image_engine_7x6": ImageEngine(*bundle_of("image", (1, 7, 6), 3, kernel=2)),
    "image_engine_8x8": ImageEngine(*bundle_of("image", (1, 8, 8), 2, kernel=4, lanes=(1, 2))),
    "image_engine_kernel_1": ImageEngine(*bundle_of("image", (1, 5, 4), 2, kernel=1)),
    "image_engine_kernel_7": ImageEngine(*bundle_of("image", (1, 9, 8), 2, kernel=7, lanes=(1, 2))),
    "image_engine_colour": ImageEngine(*bundle_of("image", (3, 7, 6), 4, kernel=3, lanes=(1, 2))),
    "image_engine_colour_once": ImageEngine(*bundle_of("image", (3, 4, 5), 3, kernel=3)),
    "image_engine_alone": ImageEngine(*bundle_of("image", (3, 7, 6), 4, kernel=3, lanes=(1, 2), slots=1)),
    "image_engine_padding_1": ImageEngine(
        *bundle_of("image", (3, 7, 6), 4, kernel=3, padding=1, lanes=(1, 2))
    ),
    "image_engine_padding_2": ImageEngine(*bundle_of("image", (1, 5, 6), 2, kernel=5, padding=2)),
    "image_engine_colour_1": ImageEngine(*bundle_of("image", (3, 6, 6), 2, kernel=1)),
}
# the same with fewer multipliers: 5, 2, 9 and 3 cycles per pooled position
for taps, name in ((2, "6x7"), (5, "6x7"), (1, "6x7"), (4, "colour"), (2, "padding_1")):
    unit = UNITS[f"image_engine_{name}"]
    UNITS[f"image_engine_{name}_taps_{taps}"] = ImageEngine(
        replace(unit.config, image_taps=taps), unit.bundle
    )
#: Largest number of cycles of a group beyond its taps and pixels.
OVERHEAD = 13


@cocotb.test()
async def static_drives_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle = unit.config, unit.bundle
    pre, post, taps = bundle.pre, bundle.post, bundle.kernel**2
    rounds = -(-taps // config.image_taps)
    passes = config.groups(post) * pre.channels
    least = passes * (taps + bundle.framed_positions + max(rounds - 2, 0) * (post.positions - 1)) + 1
    await static_check.check(dut, name, unit, least, least + passes * (rounds + OVERHEAD))
