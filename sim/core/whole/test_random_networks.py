# amaranth: UnusedElaboratable=no
"""Cores of random networks (image, classes, kernels, lanes) train batches as the golden model does.

They run in Amaranth's own simulator, which finishes before Verilator would have compiled such a network.
Together, the cores of `COVER` take every quantity to its extremes; NUDGE_CORES=n adds the seeds 0 to n - 1.
"""

import os
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from amaranth.sim import Simulator

from nudge.golden.contract import layout
from nudge.golden.contract.config import SLOTS, Config
from nudge.golden.contract.protocol import MASTER_BITS
from nudge.golden.contract.spec import Spec
from nudge.golden.model import weight_image
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.settings import Settings
from nudge.hw.core.core import SYNAPSE_ENGINES, Core
from nudge.hw.core.interface import READ_LATENCY, Operation
from sim.harness.units import expect
from tests.golden.model import page
from tests.golden.model.extremes import check

from .random_cores import core_case

#: Seed of a core whose bias steps need more than 20 bits.
NARROW = 273

#: Seeds that together reach every extreme; all but the first and the last are from `python -m
#: tests.golden.model.cover cores 0 2000 3889`.
COVER = (NARROW, 1865, 452, 666, 1570, 1796, 240, 1658, 1906, 326, 1956, 1729, 3889, 1030, 18)

SEEDS = list(dict.fromkeys((*COVER, *range(int(os.environ.get("NUDGE_CORES", "0"))))))

#: Cycles after which a core counts as hung.
PATIENCE = 60_000


#: Seeds of cores with padding, of which three have it in two convolutions.
PADDED = (8, 68, 69, 174)

#: Seeds of cores that also run with one slot: event, scatter and line engines, each with coarse and with fine
#: spikes; centred commits; pixels.
ALONE = (92, 135, 99, 115, 78, 66, 2, 4)

#: Seeds of cores whose scatter engines have folded kernels, with fine and with coarse spikes.
FOLDED = (269, 527)


@pytest.mark.parametrize(
    ("seed", "padded"), [*((seed, False) for seed in SEEDS), *((seed, True) for seed in PADDED)]
)
def test_a_random_core_equals_golden(seed, padded):
    trains_as_golden(seed, padded)


@pytest.mark.parametrize("seed", ALONE)
def test_a_random_core_with_one_slot_equals_golden(seed):
    trains_as_golden(seed, slots=1)


@pytest.mark.parametrize("slots", [2, 1])
@pytest.mark.parametrize("seed", FOLDED)
def test_a_random_core_with_folded_kernels_equals_golden(seed, slots):
    assert core_case(seed)[0].folded
    trains_as_golden(seed, slots=slots)


def test_cores_with_one_slot_have_every_engine():
    configs = [core_case(seed)[0] for seed in ALONE]
    seen = {
        (config.engine(bundle), config.spec.spike_bits)
        for config in configs
        for bundle in config.spec.bundles
    }
    assert seen == set(product(SYNAPSE_ENGINES, (1, 2)))


def test_cores_reach_every_extreme():
    check((core_case(seed)[1].scalar()[0].extremes for seed in COVER), page.CALLS)


def test_a_narrow_bias_step_is_noticed(monkeypatch):
    """A core with the earlier bias step of 20 bits, which wraps, must fail."""
    monkeypatch.setattr(Spec, "bias_step_bound", lambda spec, bundle: (1 << spec.formats.master_bits + 1) - 1)
    with pytest.raises(AssertionError, match=r"At index \d+ diff|bundle \d+"):
        trains_as_golden(NARROW)


def trains_as_golden(seed, padded=False, slots=SLOTS):
    """Train all batches of a seed's core; predictions, spikes, masters and means must equal the model's."""
    config, case = core_case(seed, padded)
    config = replace(config, slots=slots)
    spec, core = config.spec, Core(config)
    model = FixedModel(spec, case.settings, case.parameters)
    driver = Driver(core, config)
    found: dict[str, list] = {}

    async def bench(context):
        driver.context = context
        driver.configure(case.settings)
        await driver.load(case.parameters)
        await driver.operate(Operation.COMMIT)
        for batch in case.batches:
            await driver.train(case.images[batch].numpy(), case.labels[batch].tolist())
            await driver.operate(Operation.COMMIT)
        found["spikes"] = [context.get(count) for count in core.spikes]
        found["masters"] = await driver.read()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    predictions = []
    for batch in case.batches:
        predictions += model.train(case.images[batch], case.labels[batch]).tolist()
        model.commit()
    assert driver.predictions == predictions
    assert found["spikes"] == model.spikes
    trained = weight_image.pack_all(config, model.parameters)
    for bundle, ours, golden in zip(spec.bundles, found["masters"], trained, strict=True):
        expect(f"{config}, bundle {bundle.index}", ours, golden)


class Driver:
    """Drive the ports of `CoreSignature` in Amaranth's simulator."""

    def __init__(self, core: Core, config: Config):
        self.core, self.config, self.context = core, config, None
        self.predictions: list[int] = []

    async def tick(self, pixels: np.ndarray | None = None):
        """Advance by one cycle. pixels: the image behind the pixel port."""
        core, context = self.core, self.context
        at = context.get(core.pixel_address)
        if context.get(core.done):
            self.predictions.append(context.get(core.prediction))
        await context.tick()
        if pixels is not None:
            context.set(core.pixel, int(pixels[at]) if at < len(pixels) else 0xA5)

    def configure(self, settings: Settings):
        """Set the `settings` port."""
        values = {name: getattr(settings, name) for name in ("free_steps", "nudged_steps", "beta")}
        rates = {"weight_rate": list(settings.weight_rates), "bias_rate": list(settings.bias_rates)}
        self.context.set(self.core.settings, values | rates)

    async def load(self, parameters: Parameters):
        """Write all masters."""
        core, write = self.core, self.context.set
        for bundle, image in zip(
            self.config.spec.bundles, weight_image.pack_all(self.config, parameters), strict=True
        ):
            write(core.bundle, bundle.index - 1)
            write(core.write, 1)
            for address, lane in np.ndindex(image.shape):
                write(core.address, address)
                write(core.lane, lane)
                write(core.write_data, int(image[address, lane]) % (1 << MASTER_BITS))
                await self.tick()
            write(core.write, 0)
            await self.tick()

    async def read(self) -> list[np.ndarray]:
        """Return the memory image of each bundle, read at one address per cycle."""
        core, images = self.core, []
        for bundle in self.config.spec.bundles:
            words, lanes = layout.image_words(self.config, bundle), self.config.lanes[bundle.index]
            image = np.zeros((words, lanes), np.int64)
            self.context.set(core.bundle, bundle.index - 1)
            for lane in range(lanes):
                self.context.set(core.lane, lane)
                for cycle in range(words + READ_LATENCY):
                    if cycle >= READ_LATENCY:
                        value = self.context.get(core.read_data)
                        image[cycle - READ_LATENCY, lane] = value - (
                            value >> (MASTER_BITS - 1) << MASTER_BITS
                        )
                    self.context.set(core.address, min(cycle, words - 1))
                    await self.tick()
            images.append(image)
        return images

    async def operate(self, operation: Operation):
        """Run one operation, from rest to rest."""
        await self.rest()
        await self._start(operation)
        await self.rest()

    async def train(self, images: np.ndarray, labels: list[int]):
        """Train samples back to back, and wait until the core isn't busy."""
        core = self.core
        for image, label in zip(images, labels, strict=True):
            while not self.context.get(core.ready):
                await self.tick()
            await self._start(Operation.TRAIN, label, image.reshape(-1))
            while self.context.get(core.holding):
                await self.tick(image.reshape(-1))
        await self.rest()

    async def _start(self, operation: Operation, label: int = 0, pixels: np.ndarray | None = None):
        core = self.core
        for port, value in ((core.operation, operation), (core.label, label), (core.start, 1)):
            self.context.set(port, value)
        await self.tick(pixels)
        self.context.set(core.start, 0)

    async def rest(self):
        """Wait until the core isn't busy; fail after `PATIENCE` cycles."""
        for _ in range(PATIENCE):
            await self.tick()
            if not self.context.get(self.core.busy):
                return
        raise AssertionError(f"busy for {PATIENCE} cycles")
