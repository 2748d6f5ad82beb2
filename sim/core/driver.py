"""The whole core against `golden.model.fixed`, for any configuration: every neuron in every sweep, then weights and counters.

What waits here wakes when a signal changes, not with each cycle: Python would take longer than the core.
"""

from dataclasses import replace
from typing import NamedTuple

import cocotb
import numpy as np
import torch
from cocotb.simtime import get_sim_time
from cocotb.triggers import FallingEdge, RisingEdge, ValueChange, with_timeout

from golden.contract import layout, protocol
from golden.contract.config import Config
from golden.contract.shapes import Layer
from golden.contract.spec import Spec
from golden.model import centring, weight_image
from golden.model.batch import infer, trace, train_batch
from golden.model.difference import first_master
from golden.model.parameters import Parameters, accumulate, commit, initial
from golden.model.phases import Step
from golden.model.settings import Settings
from golden.training import data
from hw.core.interface import LANE_LATENCY, MASTER_BITS, READ_LATENCY, Operation, settings_layout, trace_word
from hw.synapse.interface import SLOTS
from sim.harness.streams import PERIOD, pack, start, unpack
from sim.harness.testbench import CLOCK
from sim.harness.words import layer_words

#: Cycles after which a sample counts as hung; `medium` needs less than 200,000, `paper` 4 million.
PATIENCE = 10_000_000

#: Rates that `telling_rates` chooses from.
DRAWS = 12


class Sample(NamedTuple):
    """What a core is told."""

    operation: Operation
    image: np.ndarray
    label: int


class CoreDriver:
    """Plays the host side of `CoreSignature`."""

    def __init__(self, dut, config: Config):
        self.dut, self.config, self.spec = dut, config, config.spec
        self.edge = RisingEdge(getattr(dut, CLOCK))
        self.image = np.zeros(protocol.PIXELS, np.uint8)
        #: Samples started until now, and the predictions of those of the run at hand.
        self.submitted = 0
        self.predictions: list[int] = []
        #: Cycles of each phase since the counters were cleared, by the port `phase`.
        self.counted = [0] * len(protocol.PHASES)
        #: What `phase` is, and since when.
        self.held, self.since = 0, 0.0

    async def start(self):
        """Reset, and an image memory behind the pixel port."""
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
        # beyond the last pixel a frame buffer holds something else
        self.dut.pixel.value = int(self.image[at]) if at < len(self.image) else 0xA5

    def configure(self, settings: Settings):
        """Settings to the registers' port."""
        values = {
            "free_steps": settings.free_steps,
            "nudged_steps": settings.nudged_steps,
            "beta": settings.beta,
            "weight_rate": list(settings.weight_rates),
            "bias_rate": list(settings.bias_rates),
        }
        self.dut.settings.value = settings_layout(self.config).const(values).as_bits()

    async def load(self, parameters: Parameters):
        """Writes all masters and commits."""
        for bundle, image in zip(self.spec.bundles, weight_image.pack_all(self.config, parameters), strict=True):
            self.dut.bundle.value = bundle.index - 1
            for address, word in enumerate(image):
                self.dut.address.value = address
                for lane, master in enumerate(word):
                    self.dut.lane.value, self.dut.write_data.value = lane, int(master) % (1 << MASTER_BITS)
                    self.dut.write.value = 1
                    await self.edge
            self.dut.write.value = 0
            await self.edge
        await self.commit()

    async def read(self) -> Parameters:
        """All masters, in torch's shapes."""
        images = []
        for bundle in self.spec.bundles:
            lanes, words = self.config.lanes[bundle.index], layout.image_words(self.config, bundle)
            image = np.zeros((words, lanes), np.int64)
            self.dut.bundle.value = bundle.index - 1
            for address in range(words):
                self.dut.address.value = address
                # one more, since what is set at an edge is seen at the next
                for lane, cycles in zip(range(lanes), (READ_LATENCY + 1, *[LANE_LATENCY + 1] * lanes), strict=False):
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
        """A commit, to its end."""
        await self.rest()
        await self._start(Operation.COMMIT)
        await self.rest()

    async def commit_watched(self):
        """The same, and the counters are right amid it: after an even number of its cycles, and after an odd one."""
        await self.rest()
        await self._start(Operation.COMMIT)
        for _ in range(2):
            await self.edge
            assert self.cycles() == self.counted_now(), f"amid a commit: {self.cycles()}, port `phase` had {self.counted_now()}"
        await self.rest()

    async def rest(self):
        """Until nothing is in flight."""
        if self.dut.busy.value:
            await with_timeout(FallingEdge(self.dut.busy), PATIENCE * PERIOD, "ns")
        await self.edge

    async def submit(self, operation: Operation, image: np.ndarray, label: int = 0):
        """Starts a sample as soon as the core takes one, and returns once it has the image."""
        if not self.dut.ready.value:
            await with_timeout(RisingEdge(self.dut.ready), PATIENCE * PERIOD, "ns")
            await self.edge
        self.show(image)
        self.submitted += 1
        # what isn't a sample's any more may be anything
        await self._start(operation, label)
        self.dut.label.value = label ^ 0xF
        if self.dut.holding.value:
            await with_timeout(FallingEdge(self.dut.holding), PATIENCE * PERIOD, "ns")
        # from now on another image may be there
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
        """Samples as fast as the core takes them; their predictions, in order."""
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
        return [n + (self.held >> i & 1) * round((now - self.since) / PERIOD) for i, n in enumerate(self.counted)]

    def counted_now(self) -> list[int]:
        """Those counted until before this edge."""
        return self._counted_until(get_sim_time("ns") - PERIOD)

    async def clear(self):
        """Zeroes the counters, of a core at rest."""
        self.dut.clear.value = 1
        await self.edge
        self.dut.clear.value = 0
        await self.edge
        self.counted = [0] * len(self.counted)

    def show(self, image: np.ndarray):
        """An image to the image memory."""
        self.image = image.reshape(-1)
        self._serve_pixel()

    def spikes(self) -> list[int]:
        """Spike counters of layers 1..N."""
        return [getattr(self.dut, f"spikes__{i}").value.to_unsigned() for i in range(len(self.spec.bundles))]

    async def idle(self):
        """Until no cycle is counted: engines may prepare beyond a commit."""
        while self.dut.phase.value:
            await with_timeout(ValueChange(self.dut.phase), PATIENCE * PERIOD, "ns")
        await self.edge

    def cycles(self) -> list[int]:
        """Cycle counters of the phases, in the order of `protocol.PHASES`."""
        return [getattr(self.dut, f"phase_cycles__{i}").value.to_unsigned() for i in range(len(protocol.PHASES))]

    def slot(self, number: int) -> int:
        """Of the sample of this number among those started."""
        return 0 if self.config.compact else number % SLOTS

    def watch(self, layer: Layer, slot: int, steps: list[Step], progress: dict[tuple[int, int], int]):
        """Compares each word of a layer's trace in a slot with golden's; the assertion names the first difference."""
        config, shape, bits = self.config, trace_word(self.config, layer), self.spec.spike_bits
        fields = ("d", "xi", "U", "s")
        expected = []
        for step in steps:
            state = step.layers[layer.index - 1]
            columns = [layer_words(config, layer, getattr(state, field)) for field in fields]
            for address, (d, xi, membrane, s) in enumerate(zip(*columns, strict=True)):
                spikes = pack(s, bits)
                lanes = {"d": d.tolist(), "xi": xi.tolist(), "u": membrane.tolist()}
                value = {"slot": slot, "address": address, "s": spikes, **lanes}
                expected.append(shape.const(value).as_bits())
        words = config.words(layer)
        name = f"trace_{layer.index}"
        valid, payload = getattr(self.dut, f"{name}__valid"), getattr(self.dut, f"{name}__payload")

        def explain(count, got):
            step, (address, lanes) = steps[count // words], (count % words, config.lanes[layer.index])
            got, want = shape.from_bits(got), shape.from_bits(expected[count])
            where = f"slot {slot}, phase {step.phase}, sweep {step.t}, layer {layer.index}"
            if got.address != address:
                return f"{where}: word {got.address} came instead of {address}"
            for lane in range(lanes):
                channel, position = address // layer.positions * lanes + lane, address % layer.positions
                neuron = f"neuron ({channel}, {position // layer.width}, {position % layer.width})"
                for field in ("d", "xi", "u"):
                    if got[field][lane] != want[field][lane]:
                        return f"{where}, {neuron}: {field} is {got[field][lane]}, golden has {want[field][lane]}"
                found, expected_s = (unpack(word.s, bits, lanes, signed=bits > 1)[lane] for word in (got, want))
                if found != expected_s:
                    return f"{where}, {neuron}: s is {found}, golden has {expected_s}"
            return f"{where}: unequal, but no field differs"

        async def compare():
            count = 0
            while count < len(expected):
                if not valid.value:
                    await RisingEdge(valid)
                await self.edge
                if valid.value:
                    got = payload.value.to_unsigned()
                    if shape.from_bits(got).slot != slot:
                        continue
                    assert got == expected[count], explain(count, got)
                    count += 1
                    progress[layer.index, slot] = count

        return compare(), len(expected)


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Real digits from what ships with the repository."""
    embedded = data.load("embedded")
    return embedded.train_images[:count].numpy(), embedded.train_labels[:count].numpy()


def telling_rates(spec, settings: Settings, parameters: Parameters, images, labels, random) -> Settings:
    """The settings with other rates, for each weights and biases the one, of some, of which most bits show in the updates.

    A preset's rates lack bits; at most rates low bits are lost when updates are rounded, or high ones when they are clipped.
    """
    bits, last = spec.formats.rate_bits, len(spec.bundles)

    def updates(rates):
        tried = replace(settings, weight_rates=tuple(rates[:last]), bias_rates=tuple(rates[last:]))
        made = train_batch(spec, tried, parameters, images, labels).updates
        return [*made.weights, *made.biases]

    most, best = [-1] * 2 * last, [0] * 2 * last
    for _ in range(DRAWS):
        # as often of any length
        rates = [int(2 ** length) for length in random.uniform(0, bits, 2 * last)]
        right = updates(rates)
        others = [updates([rate ^ 1 << bit for rate in rates]) for bit in range(bits)]
        for n, rate in enumerate(rates):
            shown = sum(not torch.equal(right[n], other[n]) for other in others)
            if shown > most[n]:
                most[n], best[n] = shown, rate
    return replace(settings, weight_rates=tuple(best[:last]), bias_rates=tuple(best[last:]))


def committed(spec: Spec, parameters: Parameters, updates: Parameters, samples: int) -> Parameters:
    """What a commit of so many samples leaves."""
    if spec.schedule.centred:
        return centring.commit(spec, parameters, updates, samples)
    return commit(spec, accumulate(parameters, updates))


async def check_training(dut, config: Config, samples: int, *, seed: int, traced: int = 2, steps=None):
    """Trains and infers real digits on core and model: every trace word, prediction, spike, weight and bias is equal.

    Between the first two samples that are trained one is inferred. traced: samples whose every sweep is compared, from the
    first. steps: sweeps of the free and of each nudged phase, if other than the preset's.
    """
    spec = config.spec
    free, nudged = steps or (spec.schedule.free, spec.schedule.nudged)
    random = np.random.default_rng(seed)
    settings = Settings.of(spec, free=free, nudged=nudged)
    parameters = initial(spec, seed)
    # biases of both signs, which a fresh network has not
    biases = tuple(torch.from_numpy(random.integers(-2000, 2000, b.shape)) for b in parameters.biases)
    # a channel whose neurons stay at 1, the only ones whose window sums have their highest bit
    biases[0][-1] = spec.formats.master_high
    top = 1 << spec.mean_bits - 1
    means = tuple(torch.from_numpy(random.integers(0, top, x.shape)) for x in parameters.means)
    parameters = parameters._replace(biases=biases, means=means)
    images, labels = digits(samples)
    settings = telling_rates(spec, settings, parameters, images, labels, random)

    core = CoreDriver(dut, config)
    await core.start()
    core.configure(settings)
    await core.load(parameters)
    assert (difference := first_master(await core.read(), parameters)) is None, f"after loading: {difference}"

    result = train_batch(spec, settings, parameters, images, labels)
    between, more = infer(spec, settings, parameters, images[-1:])
    batch = [Sample(Operation.TRAIN, image, int(label)) for image, label in zip(images, labels, strict=True)]
    batch.insert(1, Sample(Operation.INFER, images[-1], 0))
    progress: dict[tuple[int, int], int] = {}
    watches = []
    for slot in {core.slot(number) for number in range(traced)}:
        golden = [
            step
            for sample in (batch[number] for number in range(traced) if core.slot(number) == slot)
            for step in trace(spec, settings, parameters, sample.image, sample.label)
            if sample.operation == Operation.TRAIN or step.phase == "free"
        ]
        watches += [((layer.index, slot), *core.watch(layer, slot, golden, progress)) for layer in spec.layers[1:]]
    tasks = [cocotb.start_soon(compare) for _, compare, _ in watches]
    predictions = await core.run(batch)
    for (index, slot), _, count in watches:
        came = progress.get((index, slot), 0)
        assert came == count, f"layer {index}, slot {slot}: {came} of {count} words came"
    for task in tasks:
        await task
    expected = result.predictions.tolist()
    expected.insert(1, int(between[0]))
    assert predictions == expected, f"predictions: {predictions}, golden has {expected}"
    total = [a + b for a, b in zip(result.spikes, more, strict=True)]
    assert core.spikes() == total, f"spikes: {core.spikes()}, golden has {total}"
    await core.commit_watched()
    await core.idle()
    assert core.cycles() == core.counted, f"cycles of phases: {core.cycles()}, port `phase` had {core.counted}"
    assert all(core.counted), f"a phase without a cycle: {core.counted}"
    trained = committed(spec, parameters, result.updates, samples)
    assert (difference := first_master(await core.read(), trained)) is None, f"after training: {difference}"
    assert first_master(trained, parameters) is not None, "nothing was learned, so nothing was checked"

    # the working copies are new: inference with them, after training, on the same state memories
    after, spikes = infer(spec, settings, trained, images[:2])
    await core.clear()
    assert core.spikes() == [0] * len(spec.bundles)
    assert core.cycles() == core.counted, f"cycles of phases after they were cleared: {core.cycles()}"
    predictions = await core.run([Sample(Operation.INFER, image, 0) for image in images[:2]])
    assert predictions == after.tolist(), f"inference: {predictions}, golden has {after.tolist()}"
    assert core.spikes() == spikes, f"spikes of inference: {core.spikes()}, golden has {spikes}"
