"""The same network without equilibrium propagation: feed-forward, real-valued, trained by backpropagation.

Its error on the same samples in the same order is a reference for the network itself: what this network
misses isn't due to spikes, fixed point or the learning rule.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional

from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import initial
from nudge.golden.training.data import Data
from nudge.golden.training.plan import Plan
from nudge.paper.systems.centre import centred, channel_mean, followed

#: Images whose predictions are computed at once.
CHUNK = 500


class Sign(torch.optim.Optimizer):
    """Signed gradient descent: w -= lr * sign(gradient)."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for x in group["params"]:
                x -= group["lr"] * x.grad.sign()


#: By name: plain gradient descent; the same with momentum; Adam, which scales each weight's step by its own
#: gradients; Adam without momentum; and signed gradient descent.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "scaled": partial(torch.optim.Adam, betas=(0.0, 0.999)),
    "sign": Sign,
}


class Scale(NamedTuple):
    """Mean and standard deviation of each channel's pixels / 256, float32 (channels, 1, 1)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, spec: Spec, images: Tensor) -> Self:
        """Measure uint8 images. The deviation is 1/256 at least: a channel may have a single value."""
        total = square = torch.zeros(spec.input.channels, dtype=torch.int64, device="cpu")
        for part in images.split(CHUNK):
            x = part.reshape(-1, *spec.input.shape).long()
            total, square = total + x.sum((0, 2, 3)), square + x.square().sum((0, 2, 3))
        count = len(images) * spec.layers[0].positions
        mean = total.double() / count
        deviation = (square.double() / count - mean.square()).clamp(min=1).sqrt()
        return cls(*(x.float()[:, None, None] / 256 for x in (mean, deviation)))


def pixels(spec: Spec, images: Tensor, scale: Scale | None = None) -> Tensor:
    """Return uint8 images (n, h, w) or (n, 3, h, w) as float32 (n, channels, h, w): pixel / 256.

    scale: subtract its mean, and divide by its deviation.
    """
    x = images.reshape(-1, *spec.input.shape).float() / 256
    return x if scale is None else (x - scale.mean) / scale.deviation


@dataclass(frozen=True)
class Backprop:
    """Forward pass and learning rule of the feed-forward network, for any `Spec`: its stages, images,
    classes.

    Its formats, schedule and number of steps have no effect.
    """

    #: Name in `OPTIMIZERS`.
    optimizer: str = "sgd"
    #: Learning rate, or with `by_layer` the factor on the network's learning rates.
    rate: float = 0.1
    #: Cross-entropy instead of squared error to the one-hot label.
    cross_entropy: bool = False
    #: Clip hidden units to [0, 1], instead of ReLU.
    clipped: bool = True
    #: Clip the output to [0, 1] too.
    clipped_output: bool = True
    #: Maximum pooling instead of average pooling.
    max_pool: bool = False
    #: Each layer has its own learning rate.
    by_layer: bool = False
    #: Centre the gradients (`paper.systems.centre`).
    centred: bool = False
    #: Shift and scale each channel's pixels to mean 0 and variance 1 over the training images.
    normalised: bool = False

    def forward(
        self,
        spec: Spec,
        weights: list[Tensor],
        biases: list[Tensor],
        x: Tensor,
        read: list[Tensor] | None = None,
    ) -> Tensor:
        """Return outputs (n, classes) of `pixels`, and append each layer's input to `read`."""
        pool = functional.max_pool2d if self.max_pool else functional.avg_pool2d
        for bundle, w, b in zip(spec.bundles, weights, biases, strict=True):
            if read is not None:
                read.append(x.detach())
            if bundle.full:
                x = functional.linear(x.flatten(1), w, b)
            else:
                x = pool(functional.conv2d(x, w, b, padding=bundle.padding), 2)
            last = bundle is spec.bundles[-1]
            if self.clipped_output if last else self.clipped:
                x = x.clamp(0, 1)
            elif not last:
                x = x.relu()
        return x

    def error(self, spec: Spec, plan: Plan, held_out: int, images: Data) -> dict[str, float]:
        """Train from the same initial weights; return the figures of
        `Recipe.error`."""
        start, one = initial(spec, plan.seed), 1 << spec.formats.master_fraction
        weights, biases = (
            [(x.float() / one).requires_grad_() for x in group] for group in (start.weights, start.biases)
        )
        rates = [self.rate * r for r in spec.learning.rates] if self.by_layer else [self.rate] * len(weights)
        groups = [{"params": pair, "lr": rate} for *pair, rate in zip(weights, biases, rates, strict=True)]
        optimizer = OPTIMIZERS[self.optimizer](groups, lr=self.rate)
        means: list[Tensor] = []
        trained = [*weights, *biases]
        kept: list[list[Tensor]] = []
        scale = Scale.of(spec, images.train_images[: plan.samples]) if self.normalised else None
        wrong = 0
        for epoch in range(plan.epochs):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * plan.decay**epoch
            wrong = 0
            for numbers in plan.batches(epoch):
                labels = images.train_labels[numbers]
                read: list[Tensor] = []
                shown = pixels(spec, torch.from_numpy(plan.images(images, epoch, numbers)), scale)
                output = self.forward(spec, weights, biases, shown, read)
                wrong += int((output.argmax(1) != labels).sum())
                if self.cross_entropy:
                    loss = functional.cross_entropy(output, labels)
                else:
                    loss = (output - functional.one_hot(labels, spec.classes)).square().sum(1).mean() / 2
                optimizer.zero_grad()
                loss.backward()
                if self.centred:
                    means = followed(means, [channel_mean(x) for x in read])
                    for w, b, m in zip(weights, biases, means, strict=True):
                        assert w.grad is not None
                        assert b.grad is not None
                        w.grad, b.grad = centred(w.grad, b.grad, m)
                optimizer.step()
            if epoch >= plan.epochs - plan.average:
                kept.append([x.detach().clone() for x in trained])
        with torch.no_grad():
            for x, values in zip(trained, zip(*kept, strict=True), strict=True):
                x.copy_(torch.stack(values).mean(0))
            tried = (pixels(spec, part, scale) for part in images.train_images[-held_out:].split(CHUNK))
            parts = [self.forward(spec, weights, biases, x).argmax(1) for x in tried]
        missed = torch.cat(parts) != images.train_labels[-held_out:]
        return {
            "error_percent": 100 * float(missed.double().mean()),
            "training_percent": 100 * wrong / plan.samples,
        }
