# amaranth: UnusedElaboratable=no
"""The update engine of a dense bundle against the golden model."""

import cocotb

from nudge.golden.contract import layout
from nudge.hw.update.correlator import Correlator
from nudge.hw.update.dense_update import DenseUpdate
from sim.harness.networks import bundle_of
from sim.harness.streams import start
from sim.harness.units import each
from sim.update import pass_check

UNITS = {
    "dense_update_one": DenseUpdate(*bundle_of("dense", (1, 2, 3), 2)),
    "dense_update_groups": DenseUpdate(*bundle_of("dense", (4, 3, 1), 6, lanes=(2, 3))),
    "dense_update_wide": DenseUpdate(*bundle_of("dense", (3, 1, 1), 4, lanes=(3, 4), window_log2=2)),
    "dense_update_narrow": DenseUpdate(*bundle_of("dense", (3, 2, 1), 5, lanes=(3, 1))),
    "dense_update_fine": DenseUpdate(*bundle_of("dense", (4, 3, 1), 6, lanes=(2, 3), fine=True)),
    "dense_update_fine_shared": DenseUpdate(
        *bundle_of("dense", (4, 3, 1), 8, lanes=(2, 4), shared=True, fine=True)
    ),
    "dense_update_vector": DenseUpdate(
        *bundle_of("dense", (4, 3, 1), 6, lanes=(2, 3), fine=True, vector_field=True)
    ),
    "dense_update_fine_pixels": DenseUpdate(*bundle_of("pixels", (3, 2, 4), 4, lanes=(1, 2), fine=True)),
    "dense_update_pixels": DenseUpdate(*bundle_of("pixels", (3, 2, 4), 4, lanes=(1, 2))),
    "dense_update_pixels_shared": DenseUpdate(*bundle_of("pixels", (1, 3, 3), 4, lanes=(1, 4), shared=True)),
    "dense_update_shared": DenseUpdate(*bundle_of("dense", (4, 3, 1), 8, lanes=(2, 4), shared=True)),
}


@cocotb.test()
async def updates_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle = unit.config, unit.bundle
    cycles = (
        config.item_cycles(bundle) * layout.master_words(config, bundle)
        + 2
        + Correlator(config, bundle).latency
    )
    await pass_check.check(dut, name, unit, cycles, cycles)
