"""Train any configuration and measure its error. A seed fixes a run, which can be resumed between epochs."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from nudge.golden.training import checkpoint as weight_files
from nudge.golden.training.data import Data
from nudge.golden.training.epoch import order
from nudge.plumbing import files
from nudge.plumbing.errors import WeightsError
from nudge.plumbing.progress import note

from . import backprop, compiled, eqspike, equilibrium, phases
from .centre import centred, channel_mean, followed
from .configuration import Configuration
from .equilibrium import Update
from .network import Parameters
from .neuron import Dynamics

#: Images whose predictions are computed at once.
CHUNK = 500

#: Batches between two measurements of the links' mean inputs.
MEASURED = 10

#: Maximum size of a checkpoint in bytes.
MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class SystemRun:
    """Training of one configuration, then a test."""

    configuration: Configuration
    #: Number of training images, the first ones of the data set.
    samples: int
    epochs: int
    #: Seed of the initial weights, of each epoch's order and of the random signs of beta.
    seed: int
    #: Number of test images, the first ones.
    tested: int = 10000
    #: Name of the torch device.
    device: str = "cpu"
    #: Number of equal parts of the run, each with a training error of its own.
    parts: int = 8
    #: Implementation of the phases and of backpropagation through them: "torch" or "compiled". They add in
    #: different orders, so results differ by rounding.
    engine: str = "torch"
    #: Whether to measure the test error after each epoch, for a curve; it chooses nothing.
    every_epoch: bool = False


#: Callback that takes a line of progress.
Tell = Callable[[str], None]


def silent(line: str) -> None:
    """Discard the line."""


class Trained(NamedTuple):
    """Results of a run."""

    parameters: Parameters
    #: Training error in percent of each of the run's `parts`; each sample is predicted before it is learned.
    training: list[float]
    #: Test error in percent after each epoch with `every_epoch`, else empty.
    tests: list[float]
    #: Processor time in seconds, that before each resumption included.
    seconds: float


def pixels(images: Tensor, device: str = "cpu") -> Tensor:
    """Convert uint8 images (n, h, w) or (n, 3, h, w) to float32 (n, channels, h, w), value / 255."""
    return (images if images.ndim == 4 else images[:, None]).to(device).float() / 255


#: Implementations of `phases.averages`, by the name of the engine.
ENGINES: dict[str, phases.Averages] = {"torch": phases.averages, "compiled": compiled.averages}


def update(
    configuration: Configuration,
    parameters: Parameters,
    x: Tensor,
    labels: Tensor,
    sign: int = 1,
    engine: str = "torch",
) -> Update:
    """Return a batch's update by the configuration's learning rule."""
    network, dynamics = configuration.network, configuration.dynamics
    if isinstance(dynamics, eqspike.Leaky):
        return eqspike.update(network, dynamics, parameters, x, labels, sign)
    if configuration.rule == "bptt":
        backwards = backprop.compiled_update if engine == "compiled" else backprop.update
        return backwards(network, dynamics, parameters, x, labels)
    return equilibrium.update(network, dynamics, parameters, x, labels, sign, ENGINES[engine])


def read(
    configuration: Configuration, parameters: Parameters, x: Tensor, engine: str = "torch"
) -> list[Tensor]:
    """Return each link's mean input at the end of the free phase, (channels,) each. Not for `eqspike`."""
    network, dynamics = configuration.network, configuration.dynamics
    assert isinstance(dynamics, Dynamics)
    free = ENGINES[engine](network, dynamics, parameters, x, None, None)["free"]
    return [channel_mean(layer) for layer in (x, *free)[: len(parameters.weights)]]


def infer(configuration: Configuration, parameters: Parameters, x: Tensor, engine: str = "torch") -> Tensor:
    """Return predictions (n,)."""
    network, dynamics = configuration.network, configuration.dynamics
    if isinstance(dynamics, eqspike.Leaky):
        return eqspike.infer(network, dynamics, parameters, x)
    return phases.infer(network, dynamics, parameters, x, ENGINES[engine])


def learn(
    parameters: Parameters, delta: Parameters, rates: tuple[float, ...], factor: float = 1.0
) -> Parameters:
    """Return w + factor * rate * delta, biases by the same rates: gradient descent without momentum."""
    return Parameters(
        *(
            tuple(x + factor * r * d for x, r, d in zip(group, rates, deltas, strict=True))
            for group, deltas in zip(parameters, delta, strict=True)
        )
    )


def _groups(parameters: Parameters) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """Pair each group of tensors with its name in a checkpoint."""
    return zip(Parameters._fields, parameters, strict=True)


def train(run: SystemRun, data: Data, checkpoint: Path | None = None, tell: Tell = silent) -> Trained:
    """Train a run to its end.

    checkpoint: a file that is written after each epoch and, if present, read at the start; a resumed run has
    the same result. A damaged file starts the run anew, with a note. tell: called with the progress after
    each batch.
    """
    c = run.configuration
    parameters = c.network.initial(run.seed, c.gain, run.device, glorot=c.glorot)
    random = torch.Generator().manual_seed(run.seed)
    batches = -(-run.samples // c.batch)
    wrong, seen, tests, first, seconds = [0] * run.parts, [0] * run.parts, [], 0, 0.0
    means: list[Tensor] = []  # running mean of each link's input, if updates are centred
    if checkpoint is not None and checkpoint.exists():
        try:
            tensors, metadata = weight_files.content(checkpoint, MAX_BYTES)
            if metadata.get("digest") != weight_files.digest(tensors, metadata):
                raise WeightsError(f"{checkpoint} is damaged")
        except WeightsError as error:
            note(f"{error}: the run begins anew")
        else:
            groups = (
                [tensors[f"{name}{i}"].to(run.device) for i in range(len(group))]
                for name, group in _groups(parameters)
            )
            parameters = Parameters(*map(tuple, groups))
            means = (
                [tensors[f"mean{i}"].to(run.device) for i in range(len(parameters.weights))]
                if c.centred
                else []
            )
            wrong, seen, tests, first, seconds = json.loads(metadata["progress"])
            random.set_state(tensors["random"])
    began = time.process_time() - seconds
    start = time.monotonic()
    for epoch in range(first, run.epochs):
        done = 0
        for b, numbers in enumerate(torch.from_numpy(order(run.samples, run.seed, epoch)).split(c.batch)):
            sign = (
                1 if not c.random_sign else 1 - 2 * int(torch.randint(2, (), generator=random, device="cpu"))
            )
            labels = data.train_labels[numbers].to(run.device)
            x = pixels(data.train_images[numbers], run.device)
            result = update(c, parameters, x, labels, sign, run.engine)
            delta = result.delta
            if c.centred:
                if b % MEASURED == 0:
                    means = followed(means, read(c, parameters, x, run.engine))
                delta = Parameters(*zip(*map(centred, *delta, means), strict=True))
            part = (epoch * batches + b) * run.parts // (run.epochs * batches)
            wrong[part] += int((result.predictions != labels).sum())
            seen[part] += len(numbers)
            parameters = learn(parameters, delta, c.rates, c.decay**epoch)
            done += len(numbers)
            rate = ((epoch - first) * run.samples + done) / (time.monotonic() - start)
            left = ((run.epochs - epoch) * run.samples - done) / rate
            running = 100 * wrong[part] / seen[part]
            tell(
                f"epoch {epoch + 1}/{run.epochs}, {done} images, {rate:.0f}/s, error {running:.2f} %, "
                f"{left:.0f} s left"
            )
        if run.every_epoch:
            tests.append(test_error(run, parameters, data))
        if checkpoint is not None:
            named = {
                f"{name}{i}": tensor for name, group in _groups(parameters) for i, tensor in enumerate(group)
            }
            kept = {key: tensor.contiguous() for key, tensor in named.items()}
            progress = json.dumps([wrong, seen, tests, epoch + 1, time.process_time() - began])
            kept |= {f"mean{i}": mean for i, mean in enumerate(means)} | {"random": random.get_state()}
            metadata = {"progress": progress}
            metadata |= {
                "digest": weight_files.digest({key: value.cpu() for key, value in kept.items()}, metadata)
            }
            files.write(checkpoint, to_bytes(kept, metadata))
    training = [100 * w / max(n, 1) for w, n in zip(wrong, seen, strict=True)]
    return Trained(parameters, training, tests, time.process_time() - began)


def error(run: SystemRun, parameters: Parameters, images: Tensor, labels: Tensor) -> float:
    """Return the percentage of images that are misclassified."""
    parts = [
        infer(run.configuration, parameters, pixels(part, run.device), run.engine).cpu()
        for part in images.split(CHUNK)
    ]
    return 100 * float((torch.cat(parts) != labels).double().mean())


def test_error(run: SystemRun, parameters: Parameters, data: Data) -> float:
    """Return the error in percent of the first `tested` test images."""
    return error(run, parameters, data.test_images[: run.tested], data.test_labels[: run.tested])
