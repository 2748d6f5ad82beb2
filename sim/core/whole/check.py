"""Compare a whole core with the golden model: every neuron in every sweep, weights, counters."""

from dataclasses import replace

import cocotb
import numpy as np
import torch

from nudge.golden.contract.config import Config
from nudge.golden.contract.spec import Spec
from nudge.golden.model import centring
from nudge.golden.model.batch import infer, trace, train_batch
from nudge.golden.model.difference import first_master
from nudge.golden.model.parameters import Parameters, accumulate, commit, initial
from nudge.golden.model.settings import Settings
from nudge.golden.training import data
from nudge.hw.core.interface import Operation

from .driver import CoreDriver, Sample
from .watch import watch

#: Number of random sets of learning rates that `telling_rates` tries.
DRAWS = 12


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `count` training images and labels of the embedded MNIST subset."""
    embedded = data.load("embedded")
    return embedded.train_images[:count].numpy(), embedded.train_labels[:count].numpy()


def telling_rates(spec, settings: Settings, parameters: Parameters, images, labels, random) -> Settings:
    """Return the settings with learning rates of which as many bits as possible influence the updates.

    Tries `DRAWS` random sets of rates. For each bundle's weight rate and bias rate, keeps the rate for which
    flipping one of its bits changes the updates for the most bit positions. A preset's rates use few bits,
    and for most rates the updates lose low bits by rounding or high bits by clipping.
    """
    bits, last = spec.formats.rate_bits, len(spec.bundles)

    def updates(rates):
        tried = replace(settings, weight_rates=tuple(rates[:last]), bias_rates=tuple(rates[last:]))
        made = train_batch(spec, tried, parameters, images, labels).updates
        return [*made.weights, *made.biases]

    most, best = [-1] * 2 * last, [0] * 2 * last
    for _ in range(DRAWS):
        # log-uniform: each bit length is equally likely
        rates = [int(2**length) for length in random.uniform(0, bits, 2 * last)]
        right = updates(rates)
        others = [updates([rate ^ 1 << bit for rate in rates]) for bit in range(bits)]
        for n, rate in enumerate(rates):
            shown = sum(not torch.equal(right[n], other[n]) for other in others)
            if shown > most[n]:
                most[n], best[n] = shown, rate
    return replace(settings, weight_rates=tuple(best[:last]), bias_rates=tuple(best[last:]))


def committed(spec: Spec, parameters: Parameters, updates: Parameters, samples: int) -> Parameters:
    """Return the parameters after the commit of a batch of `samples` samples; centred if the schedule is."""
    if spec.schedule.centred:
        return centring.commit(spec, parameters, updates, samples)
    return commit(spec, accumulate(parameters, updates))


async def check_training(dut, config: Config, samples: int, *, seed: int, traced: int = 2, steps=None):
    """Train and infer real digits on core and model; traces, predictions, spikes and masters must agree.

    One sample is inferred between the first two trained samples. After the commit, two samples are inferred
    with the new weights.

    samples: number of trained samples, one batch. traced: number of samples, from the first, whose trace is
    compared in every sweep. steps: sweeps of the free phase and of each nudged phase; default: those of the
    schedule.
    """
    spec = config.spec
    free, nudged = steps or (spec.schedule.free, spec.schedule.nudged)
    random = np.random.default_rng(seed)
    settings = Settings.of(spec, free=free, nudged=nudged)
    parameters = initial(spec, seed)
    # biases of both signs: the initial ones are 0
    biases = tuple(torch.from_numpy(random.integers(-2000, 2000, b.shape)) for b in parameters.biases)
    # one channel saturates at xi = 1: only such neurons set the highest bit of their window sums
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
        watches += [
            ((layer.index, slot), *watch(dut, config, layer, slot, golden, progress))
            for layer in spec.layers[1:]
        ]
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
    assert core.cycles() == core.counted, (
        f"cycles of phases: {core.cycles()}, port `phase` had {core.counted}"
    )
    assert all(core.counted), f"a phase without a cycle: {core.counted}"
    trained = committed(spec, parameters, result.updates, samples)
    assert (difference := first_master(await core.read(), trained)) is None, f"after training: {difference}"
    assert first_master(trained, parameters) is not None, "nothing was learned, so nothing was checked"

    # inference with the new working copies, in the state memories that training used
    after, spikes = infer(spec, settings, trained, images[:2])
    await core.clear()
    assert core.spikes() == [0] * len(spec.bundles)
    assert core.cycles() == core.counted, f"cycles of phases after they were cleared: {core.cycles()}"
    predictions = await core.run([Sample(Operation.INFER, image, 0) for image in images[:2]])
    assert predictions == after.tolist(), f"inference: {predictions}, golden has {after.tolist()}"
    assert core.spikes() == spikes, f"spikes of inference: {core.spikes()}, golden has {spikes}"
