"""The whole core against the model, for any configuration: every neuron in every sweep, then weights and counters."""

from dataclasses import replace

import cocotb
import numpy as np
import torch

from golden.contract.config import Config
from golden.contract.spec import Spec
from golden.model import centring
from golden.model.batch import infer, trace, train_batch
from golden.model.difference import first_master
from golden.model.parameters import Parameters, accumulate, commit, initial
from golden.model.settings import Settings
from golden.training import data
from hw.core.interface import Operation
from sim.core.driver import CoreDriver, Sample
from sim.core.watch import watch

#: Rates that `telling_rates` chooses from.
DRAWS = 12


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
        watches += [((layer.index, slot), *watch(dut, config, layer, slot, golden, progress)) for layer in spec.layers[1:]]
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
