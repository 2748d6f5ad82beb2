"""Drive the host side of a core: settings, weights, samples at the core's own pace, counters.

The coroutines wait for changes of signals instead of every clock edge, because Python would otherwise take
longer than the simulated core.
"""

from typing import NamedTuple

import cocotb
import numpy as np
from cocotb.simtime import get_sim_time
from cocotb.triggers import FallingEdge, RisingEdge, ValueChange, with_timeout

from nudge.golden.contract import layout, protocol
from nudge.golden.contract.config import Config
from nudge.golden.model import weight_image
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.settings import Settings
from nudge.hw.core.interface import LANE_LATENCY, READ_LATENCY, Operation, settings_layout
from sim.harness.streams import PERIOD, start
from sim.harness.testbench import CLOCK

#: Timeout of each wait in clock cycles. A sample of `medium` takes less than 200,000, one of
#: `paper` 4 million.
PATIENCE = 10_000_000


class Sample(NamedTuple):
    """One INFER or TRAIN operation: image and label."""

    operation: Operation
    image: np.ndarray
    label: int


class CoreDriver:
    """Drive the ports of `CoreSignature` as the link does."""

    def __init__(self, dut, config: Config):
        self.dut, self.config, self.spec = dut, config, config.spec
        self.edge = RisingEdge(getattr(dut, CLOCK))
        self.image = np.zeros(protocol.PIXELS, np.uint8)
        #: Number of samples started since the reset, and the predictions of the current `run`.
        self.submitted = 0
        self.predictions: list[int] = []
        #: Cycles of each phase since the counters were cleared, measured on the port `phase`.
        self.counted = [0] * len(protocol.PHASES)
        #: The current value of `phase`, and the simulated time in ns at which it appeared.
        self.held, self.since = 0, 0.0

    async def start(self):
        """Reset the core, and start the image memory, the collection of predictions and the cycle counts."""
        await start(self.dut, before=0)
        cocotb.start_soon(self._serve_pixels())
        cocotb.start_soon(self._collect())
        cocotb.start_soon(self._count_cycles())

    async def _serve_pixels(self):
        while True:
            await ValueChange(self.dut.pixel_address)
            await self.edge
            self._serve_pixel()

    def _serve_pixel(self):
        at = self.dut.pixel_address.value.to_unsigned()
        # a real frame buffer holds other bytes beyond the last pixel
        self.dut.pixel.value = int(self.image[at]) if at < len(self.image) else 0xA5

    def configure(self, settings: Settings):
        """Set the `settings` port."""
        values = {
            "free_steps": settings.free_steps,
            "nudged_steps": settings.nudged_steps,
            "beta": settings.beta,
            "weight_rate": list(settings.weight_rates),
            "bias_rate": list(settings.bias_rates),
        }
        self.dut.settings.value = settings_layout(self.config).const(values).as_bits()

    async def load(self, parameters: Parameters):
        """Write all masters and commit."""
        for bundle, image in zip(
            self.spec.bundles, weight_image.pack_all(self.config, parameters), strict=True
        ):
            self.dut.bundle.value = bundle.index - 1
            for address, word in enumerate(image):
                self.dut.address.value = address
                for lane, master in enumerate(word):
                    self.dut.lane.value, self.dut.write_data.value = (
                        lane,
                        int(master) % (1 << protocol.MASTER_BITS),
                    )
                    self.dut.write.value = 1
                    await self.edge
            self.dut.write.value = 0
            await self.edge
        await self.commit()

    async def read(self) -> Parameters:
        """Return all masters, in torch's shapes."""
        images = []
        for bundle in self.spec.bundles:
            lanes, words = self.config.lanes[bundle.index], layout.image_words(self.config, bundle)
            image = np.zeros((words, lanes), np.int64)
            self.dut.bundle.value = bundle.index - 1
            for address in range(words):
                self.dut.address.value = address
                # one cycle more: a value written at an edge reaches the design at the next edge
                for lane, cycles in zip(
                    range(lanes), (READ_LATENCY + 1, *[LANE_LATENCY + 1] * lanes), strict=False
                ):
                    self.dut.lane.value = lane
                    for _ in range(cycles):
                        await self.edge
                    image[address, lane] = self.dut.read_data.value.to_signed()
            images.append(image)
        return weight_image.unpack_all(self.config, images)

    async def _start(self, operation: Operation, label: int = 0):
        self.dut.operation.value = operation.value
        self.dut.label.value = label
        self.dut.start.value = 1
        await self.edge
        self.dut.start.value = 0
        await self.edge

    async def commit(self):
        """Run a commit to its end."""
        await self.rest()
        await self._start(Operation.COMMIT)
        await self.rest()

    async def commit_watched(self):
        """Run a commit; check the cycle counters in two successive cycles of it, an even and an odd one."""
        await self.rest()
        await self._start(Operation.COMMIT)
        for _ in range(2):
            await self.edge
            assert self.cycles() == self.counted_now(), (
                f"amid a commit: {self.cycles()}, port `phase` had {self.counted_now()}"
            )
        await self.rest()

    async def rest(self):
        """Wait until the core isn't busy."""
        if self.dut.busy.value:
            await with_timeout(FallingEdge(self.dut.busy), PATIENCE * PERIOD, "ns")
        await self.edge

    async def submit(self, operation: Operation, image: np.ndarray, label: int = 0):
        """Start a sample once the core is ready; return when the core no longer holds its image."""
        if not self.dut.ready.value:
            await with_timeout(RisingEdge(self.dut.ready), PATIENCE * PERIOD, "ns")
            await self.edge
        self.show(image)
        self.submitted += 1
        # the label is sampled with `start`, so it may change afterwards
        await self._start(operation, label)
        self.dut.label.value = label ^ 0xF
        if self.dut.holding.value:
            await with_timeout(FallingEdge(self.dut.holding), PATIENCE * PERIOD, "ns")
        # the core no longer needs the image, so another one may replace it
        self.show(255 - image)
        await self.edge

    async def _collect(self):
        while True:
            if not self.dut.done.value:
                await RisingEdge(self.dut.done)
            await self.edge
            if self.dut.done.value:
                self.predictions.append(self.dut.prediction.value.to_unsigned())

    async def run(self, samples: list[Sample]) -> list[int]:
        """Run samples back to back, and return their predictions in order."""
        self.predictions.clear()
        for sample in samples:
            await self.submit(sample.operation, sample.image, sample.label)
        await self.rest()
        return list(self.predictions)

    async def _count_cycles(self):
        self.since = get_sim_time("ns")
        while True:
            self.held = self.dut.phase.value.to_unsigned()
            await ValueChange(self.dut.phase)
            self.counted = self._counted_until(get_sim_time("ns"))
            self.since = get_sim_time("ns")

    def _counted_until(self, now: float) -> list[int]:
        return [
            n + (self.held >> i & 1) * round((now - self.since) / PERIOD) for i, n in enumerate(self.counted)
        ]

    def counted_now(self) -> list[int]:
        """Return the cycles counted until the previous clock edge."""
        return self._counted_until(get_sim_time("ns") - PERIOD)

    async def clear(self):
        """Zero the counters; the core must not be busy."""
        self.dut.clear.value = 1
        await self.edge
        self.dut.clear.value = 0
        await self.edge
        self.counted = [0] * len(self.counted)

    def show(self, image: np.ndarray):
        """Put an image into the image memory."""
        self.image = image.reshape(-1)
        self._serve_pixel()

    def spikes(self) -> list[int]:
        """Return the spike counters of layers 1..N."""
        return [getattr(self.dut, f"spikes__{i}").value.to_unsigned() for i in range(len(self.spec.bundles))]

    async def idle(self):
        """Wait until no phase is counted: engines may still prepare their weights after a commit."""
        while self.dut.phase.value:
            await with_timeout(ValueChange(self.dut.phase), PATIENCE * PERIOD, "ns")
        await self.edge

    def cycles(self) -> list[int]:
        """Return the cycle counters of the phases, in the order of `protocol.PHASES`."""
        return [
            getattr(self.dut, f"phase_cycles__{i}").value.to_unsigned() for i in range(len(protocol.PHASES))
        ]

    def slot(self, number: int) -> int:
        """Return the slot of the sample with this number, counted from 0 since the reset."""
        return 0 if self.config.compact else number % self.config.slots
