# amaranth: UnusedElaboratable=no
"""Cores of random networks, of any image, classes, kernels and lanes: two samples are trained as the golden model does.

Amaranth's own simulator: such a network is simulated in less time than Verilator would need to compile it. Ten networks; as
many as NUDGE_CORES says where that is set.
"""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden.contract import layout
from golden.contract.config import ENGINES, Config, configuration
from golden.contract.event_units import KERNEL
from golden.contract.protocol import MASTER_BITS
from golden.contract.spec import Conv, Dense, Spec
from golden.model import weight_image
from golden.model.fixed import FixedModel
from golden.model.parameters import Parameters
from golden.model.settings import Settings
from hw.core.core import Core
from hw.core.interface import READ_LATENCY, Operation
from sim.harness.units import expect
from tests.golden.model.random_nets import any_spec, random_images, random_parameters, with_fine_spikes

COUNT = int(os.environ.get("NUDGE_CORES", "10"))

#: Largest side of an image.
SIDE = 9

#: Cycles after which a core counts as hung.
PATIENCE = 60_000


def random_config(random: np.random.Generator) -> Config:
    """A network, and all that its hardware is free in: lanes, arrays, passes, multipliers, memories."""

    def choose(low: int, high: int) -> int:
        return int(random.integers(low, high, endpoint=True))

    spec = any_spec(choose, SIDE, ("odd-even",))
    engines = ENGINES[choose(0, len(ENGINES) - 1)]
    if engines == "event":
        spec = with_events(spec, choose)
    schedule = with_fine_spikes(choose, spec).schedule
    spec = with_weak_feedback(replace(spec, schedule=schedule), schedule.feedback_shift)
    known = configuration(spec, engines)

    def divisor(*numbers: int) -> int:
        """Any that divides all of them."""
        return int(random.choice([n for n in range(1, max(numbers) + 1) if not any(number % n for number in numbers)]))

    lanes = (1, *(divisor(layer.channels) for layer in spec.layers[1:]))
    config = Config(spec, lanes, events=known.events, image_taps=choose(1, 9))
    arrays = tuple(divisor(of_layer) for of_layer in lanes)
    shared = frozenset(bundle.index for bundle in spec.bundles if choose(0, 1))
    # the rows of drives that an event-driven engine makes in a pass
    bundles = [spec.bundles[index - 1] for index in config.events]
    rows = [(config.groups(bundle.post), 2 * config.groups(bundle.pre)) for bundle in bundles]
    forward, backward = (divisor(*side) for side in zip(*rows, strict=True)) if rows else (1, 1)
    return replace(config, arrays=arrays, shared=shared, passes=(forward, backward), kernel_blocks=bool(choose(0, 1)))


def with_weak_feedback(spec: Spec, shift: int) -> Spec:
    """The same with this `Schedule.feedback_shift`, and rates that registers can hold for it."""
    rates = (0.1 * 2.0 ** (-shift * above) for above in reversed(range(len(spec.stages))))
    schedule, learning = replace(spec.schedule, feedback_shift=shift), replace(spec.learning, rates=tuple(rates))
    return replace(spec, schedule=schedule, learning=learning)


def with_events(spec: Spec, choose: Callable[[int, int], int]) -> Spec:
    """The same with one or two convolutions for event-driven engines: such a network is hardly ever drawn."""
    many = 1 if choose(0, 7) else 2
    convs = [Conv(choose(1, 4 // many), choose(1, 3)), *(Conv(choose(1, 4), KERNEL) for _ in range(many))]
    stages = (*convs, *(stage for stage in spec.stages if isinstance(stage, Dense)))
    least = 4
    for _ in convs[1:]:
        least = 2 * least + 2  # a kernel of 3, and 2x2 are pooled
    shown = replace(spec.input, height=least + choose(0, 3), width=least + choose(0, 3))
    return replace(spec, stages=stages, input=shown, learning=replace(spec.learning, rates=(0.1,) * len(stages)))


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_random_core_equals_golden(seed):
    random = np.random.default_rng(seed)
    config = random_config(random)
    spec, core = config.spec, Core(config)
    settings, parameters = Settings.of(spec), random_parameters(spec, random, 0.4)
    images, labels = random_images(3, random, spec.input)
    model, batches = FixedModel(spec, settings, parameters), (slice(0, 2), slice(2, 3))
    driver = Driver(core, config)
    found: dict[str, list] = {}

    async def bench(context):
        driver.context = context
        driver.configure(settings)
        await driver.load(parameters)
        await driver.operate(Operation.COMMIT)
        for batch in batches:
            await driver.train(images[batch].numpy(), labels[batch].tolist())
            await driver.operate(Operation.COMMIT)
        found["spikes"] = [context.get(count) for count in core.spikes]
        found["masters"] = await driver.read()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    predictions = []
    for batch in batches:
        predictions += model.train(images[batch], labels[batch]).tolist()
        model.commit()
    assert driver.predictions == predictions
    assert found["spikes"] == model.spikes
    trained = weight_image.pack_all(config, model.parameters)
    for bundle, ours, golden in zip(spec.bundles, found["masters"], trained, strict=True):
        expect(f"{config}, bundle {bundle.index}", ours, golden)


class Driver:
    """Plays the host side of `CoreSignature` in Amaranth's simulator."""

    def __init__(self, core: Core, config: Config):
        self.core, self.config, self.context = core, config, None
        self.predictions: list[int] = []

    async def tick(self, pixels: np.ndarray | None = None):
        """A cycle. pixels: the image behind the pixel port."""
        core, context = self.core, self.context
        at = context.get(core.pixel_address)
        if context.get(core.done):
            self.predictions.append(context.get(core.prediction))
        await context.tick()
        if pixels is not None:
            context.set(core.pixel, int(pixels[at]) if at < len(pixels) else 0xA5)

    def configure(self, settings: Settings):
        """Settings to the registers' port."""
        values = {name: getattr(settings, name) for name in ("free_steps", "nudged_steps", "beta")}
        rates = {"weight_rate": list(settings.weight_rates), "bias_rate": list(settings.bias_rates)}
        self.context.set(self.core.settings, values | rates)

    async def load(self, parameters: Parameters):
        """Writes all masters."""
        core, write = self.core, self.context.set
        for bundle, image in zip(self.config.spec.bundles, weight_image.pack_all(self.config, parameters), strict=True):
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
        """The memory image of each bundle, an address in each cycle."""
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
                        image[cycle - READ_LATENCY, lane] = value - (value >> (MASTER_BITS - 1) << MASTER_BITS)
                    self.context.set(core.address, min(cycle, words - 1))
                    await self.tick()
            images.append(image)
        return images

    async def operate(self, operation: Operation):
        """An operation alone, to its end."""
        await self.rest()
        await self._start(operation)
        await self.rest()

    async def train(self, images: np.ndarray, labels: list[int]):
        """Samples as fast as the core takes them, and until it is done with them."""
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
        """Until nothing is in flight."""
        for _ in range(PATIENCE):
            await self.tick()
            if not self.context.get(self.core.busy):
                return
        raise AssertionError(f"busy for {PATIENCE} cycles")
