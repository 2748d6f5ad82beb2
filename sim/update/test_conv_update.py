# amaranth: UnusedElaboratable=no
"""The update engine of a convolution against the golden model: window sums and images, odd and even maps."""

import cocotb

from nudge.hw.update.conv_update import ConvUpdate
from nudge.hw.update.correlator import Correlator
from sim.harness.networks import bundle_of
from sim.harness.streams import start
from sim.harness.units import each
from sim.update import pass_check

UNITS = {
    "conv_update_5x6": ConvUpdate(*bundle_of("conv", (1, 5, 6), 1, kernel=3)),
    "conv_update_6x7": ConvUpdate(*bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1))),
    "conv_update_8x5": ConvUpdate(*bundle_of("conv", (2, 8, 5), 4, kernel=2, lanes=(1, 2))),
    "conv_update_6x5": ConvUpdate(*bundle_of("conv", (2, 6, 5), 2, kernel=4, lanes=(2, 2), window_log2=2)),
    "conv_update_shared": ConvUpdate(*bundle_of("conv", (4, 6, 7), 8, kernel=3, lanes=(2, 4), shared=True)),
    "image_update_shared": ConvUpdate(*bundle_of("image", (1, 7, 6), 4, kernel=3, lanes=(1, 2), shared=True)),
    "image_update_7x6": ConvUpdate(*bundle_of("image", (1, 7, 6), 4, kernel=3, lanes=(1, 2))),
    "image_update_colour": ConvUpdate(*bundle_of("image", (3, 6, 5), 4, kernel=3, lanes=(1, 2))),
    "image_update_kernel_1": ConvUpdate(*bundle_of("image", (1, 4, 6), 2, kernel=1)),
    "conv_update_kernel_7": ConvUpdate(*bundle_of("conv", (2, 8, 9), 2, kernel=7, lanes=(2, 1))),
    "conv_update_kernel_1": ConvUpdate(*bundle_of("conv", (2, 4, 5), 2, kernel=1, lanes=(1, 2))),
    "conv_update_fine": ConvUpdate(*bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1), fine=True)),
    "conv_update_fine_shared": ConvUpdate(
        *bundle_of("conv", (2, 6, 7), 8, kernel=3, lanes=(2, 4), shared=True, fine=True)
    ),
    "conv_update_vector": ConvUpdate(
        *bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1), fine=True, vector_field=True)
    ),
    "image_update_fine": ConvUpdate(*bundle_of("image", (1, 7, 6), 4, kernel=3, lanes=(1, 2), fine=True)),
    "image_update_fine_shared": ConvUpdate(
        *bundle_of("image", (1, 7, 6), 4, kernel=3, lanes=(1, 2), shared=True, fine=True)
    ),
    "conv_update_padding_1": ConvUpdate(
        *bundle_of("conv", (4, 6, 7), 3, kernel=3, padding=1, lanes=(2, 1), fine=True)
    ),
    "conv_update_padding_2": ConvUpdate(*bundle_of("conv", (2, 5, 6), 4, kernel=5, padding=2, lanes=(1, 2))),
    "image_update_padding_1": ConvUpdate(
        *bundle_of("image", (3, 6, 5), 4, kernel=3, padding=1, lanes=(1, 2))
    ),
    "image_update_6x8": ConvUpdate(*bundle_of("image", (1, 6, 8), 2, kernel=2)),
}
#: Largest number of cycles of each pre group beyond its framed positions and products, and of cycles at the
#: end beyond those of the biases and the correlator's latency.
GROUP_OVERHEAD, END_OVERHEAD = 6, 6


@cocotb.test()
async def updates_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle = unit.config, unit.bundle
    cycles, end = config.item_cycles(bundle), END_OVERHEAD + Correlator(config, bundle).latency
    pre, post, groups = bundle.pre, bundle.post, config.groups(bundle.pre)
    products = config.groups(post) * bundle.kernel**2 * config.lanes[pre.index] * post.positions
    least = groups * (bundle.framed_positions + cycles * products) + cycles * config.words(post)
    await pass_check.check(dut, name, unit, least, least + groups * GROUP_OVERHEAD + end)
