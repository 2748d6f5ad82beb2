"""Train any configuration, and count its errors. A run is fixed by its seed; it can stop and go on between batches."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from golden.progress import note
from golden.training.checkpoint import atomic
from golden.training.data import Data, order

from . import backprop, compiled, eqspike, equilibrium, phases
from .configurations import Configuration
from .equilibrium import Update
from .network import Parameters

#: Images whose predictions are computed at once.
CHUNK = 500


@dataclass(frozen=True)
class SystemRun:
    """Training of one configuration, then a test."""

    configuration: Configuration
    #: Training images, the first ones of the data set.
    samples: int
    epochs: int
    #: Of the initial weights and of each epoch's order.
    seed: int
    #: Test images, the first ones.
    tested: int = 10000
    #: Torch's name of it.
    device: str = "cpu"
    #: Equal parts of the run, each with a training error of its own.
    parts: int = 8
    #: Who runs the phases of equilibrium propagation: "torch" or "compiled". Their sums are rounded in another order.
    engine: str = "torch"


def pixels(images: Tensor, device: str) -> Tensor:
    """(n, 28, 28) uint8 to (n, 1, 28, 28) in [0, 1]."""
    return images[:, None].to(device).float() / 255


#: By the name of the engine.
ENGINES: dict[str, phases.Averages] = {"torch": phases.averages, "compiled": compiled.averages}


def update(
    configuration: Configuration,
    parameters: Parameters,
    x: Tensor,
    labels: Tensor,
    sign: int = 1,
    engine: str = "torch",
) -> Update:
    """One batch's update by the configuration's rule."""
    network, dynamics = configuration.network, configuration.dynamics
    if isinstance(dynamics, eqspike.Leaky):
        return eqspike.update(network, dynamics, parameters, x, labels, sign)
    if configuration.rule == "bptt":
        return backprop.update(network, dynamics, parameters, x, labels)
    return equilibrium.update(network, dynamics, parameters, x, labels, sign, ENGINES[engine])


def infer(configuration: Configuration, parameters: Parameters, x: Tensor, engine: str = "torch") -> Tensor:
    """Predictions (n,)."""
    network, dynamics = configuration.network, configuration.dynamics
    if isinstance(dynamics, eqspike.Leaky):
        return eqspike.infer(network, dynamics, parameters, x)
    return phases.infer(network, dynamics, parameters, x, ENGINES[engine])


def learn(parameters: Parameters, delta: Parameters, rates: tuple[float, ...], factor: float = 1.0) -> Parameters:
    """w + factor * rate * delta, biases by the same rates: gradient descent without momentum."""
    return Parameters(
        *(
            tuple(x + factor * r * d for x, r, d in zip(group, rates, deltas, strict=True))
            for group, deltas in zip(parameters, delta, strict=True)
        )
    )


def _groups(parameters: Parameters) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """Names of the groups of tensors, as a checkpoint has them."""
    return zip(Parameters._fields, parameters, strict=True)


def train(run: SystemRun, data: Data, checkpoint: Path | None = None) -> tuple[Parameters, list[float]]:
    """Trained parameters, and the error in percent of each of `parts` equal parts of the run, of samples before they were
    learned. checkpoint: a file that is written after each epoch and read at the start."""
    c = run.configuration
    parameters = c.network.initial(run.seed, c.gain, run.device)
    random = torch.Generator().manual_seed(run.seed)
    batches = -(-run.samples // c.batch)
    wrong, seen, first = [0] * run.parts, [0] * run.parts, 0
    if checkpoint is not None and checkpoint.exists():
        try:
            with safe_open(checkpoint, "pt", device=run.device) as file:
                groups = ([file.get_tensor(f"{name}{i}") for i in range(len(group))] for name, group in _groups(parameters))
                last, state, progress = Parameters(*map(tuple, groups)), file.get_tensor("random"), file.metadata()["progress"]
        except SafetensorError as error:
            note(f"{checkpoint} can't be continued, the run begins anew: {error}")
        else:
            parameters, (wrong, seen, first) = last, json.loads(progress)
            random.set_state(state.cpu())
    for epoch in range(first, run.epochs):
        for b, numbers in enumerate(torch.from_numpy(order(run.samples, run.seed, epoch)).split(c.batch)):
            sign = 1 if not c.random_sign else 1 - 2 * int(torch.randint(2, (), generator=random))
            labels = data.train_labels[numbers].to(run.device)
            result = update(c, parameters, pixels(data.train_images[numbers], run.device), labels, sign, run.engine)
            part = (epoch * batches + b) * run.parts // (run.epochs * batches)
            wrong[part] += int((result.predictions != labels).sum())
            seen[part] += len(numbers)
            parameters = learn(parameters, result.delta, c.rates, c.decay**epoch)
        if checkpoint is not None:
            kept = {f"{name}{i}": tensor.contiguous() for name, group in _groups(parameters) for i, tensor in enumerate(group)}
            progress = {"progress": json.dumps([wrong, seen, epoch + 1])}
            with atomic(checkpoint) as temporary:
                temporary.write_bytes(to_bytes(kept | {"random": random.get_state()}, progress))
    return parameters, [100 * w / max(n, 1) for w, n in zip(wrong, seen, strict=True)]


def error(run: SystemRun, parameters: Parameters, images: Tensor, labels: Tensor) -> float:
    """Percent of images that are misclassified."""
    parts = [infer(run.configuration, parameters, pixels(part, run.device), run.engine).cpu() for part in images.split(CHUNK)]
    return 100 * float((torch.cat(parts) != labels).double().mean())
