"""The same network without equilibrium propagation: feed-forward, real-valued, trained by backpropagation.

Its error on the same samples in the same order is a reference for the network itself: what this network
misses isn't due to spikes, fixed point or the learning rule.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from nudge.golden.contract.spec import CLASSES, Spec
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


#: By name: plain gradient descent; Adam, which scales each weight's step by its own gradients; Adam without
#: momentum; and signed gradient descent.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "scaled": partial(torch.optim.Adam, betas=(0.0, 0.999)),
    "sign": Sign,
}


@dataclass(frozen=True)
class Backprop:
    """Forward pass and learning rule of the feed-forward network."""

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

    def forward(self, weights: list[Tensor], biases: list[Tensor], images: Tensor, read: list[Tensor] | None = None) -> Tensor:
        """Return outputs (n, 10) of uint8 images (n, 28, 28), and append each layer's input to `read`."""
        x = images[:, None].float() / 256
        pool = functional.max_pool2d if self.max_pool else functional.avg_pool2d
        for n, (w, b) in enumerate(zip(weights, biases, strict=True), start=1):
            if read is not None:
                read.append(x.detach())
            x = pool(functional.conv2d(x, w, b), 2) if w.dim() == 4 else functional.linear(x.flatten(1), w, b)
            last = n == len(weights)
            if self.clipped_output if last else self.clipped:
                x = x.clamp(0, 1)
            elif not last:
                x = x.relu()
        return x

    def error(self, spec: Spec, plan: Plan, held_out: int, images: Data) -> dict[str, float]:
        """Train from the same initial weights; return the figures of
        `held_out.by_equilibrium_propagation`."""
        start, one = initial(spec, plan.seed), 1 << spec.formats.master_fraction
        weights, biases = ([(x.float() / one).requires_grad_() for x in group] for group in (start.weights, start.biases))
        rates = [self.rate * r for r in spec.learning.rates] if self.by_layer else [self.rate] * len(weights)
        groups = [{"params": pair, "lr": rate} for *pair, rate in zip(weights, biases, rates, strict=True)]
        optimizer = OPTIMIZERS[self.optimizer](groups, lr=self.rate)
        means: list[Tensor] = []
        wrong = 0
        for epoch in range(plan.epochs):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * plan.decay**epoch
            wrong = 0
            for numbers in plan.batches(epoch):
                labels = images.train_labels[numbers]
                read: list[Tensor] = []
                output = self.forward(weights, biases, torch.from_numpy(plan.images(images, epoch, numbers)), read)
                wrong += int((output.argmax(1) != labels).sum())
                if self.cross_entropy:
                    loss = functional.cross_entropy(output, labels)
                else:
                    loss = (output - functional.one_hot(labels, CLASSES)).square().sum(1).mean() / 2
                optimizer.zero_grad()
                loss.backward()
                if self.centred:
                    means = followed(means, [channel_mean(x) for x in read])
                    for w, b, m in zip(weights, biases, means, strict=True):
                        assert w.grad is not None
                        assert b.grad is not None
                        w.grad, b.grad = centred(w.grad, b.grad, m)
                optimizer.step()
        with torch.no_grad():
            parts = [self.forward(weights, biases, part).argmax(1) for part in images.train_images[-held_out:].split(CHUNK)]
        missed = torch.cat(parts) != images.train_labels[-held_out:]
        return {"error_percent": 100 * float(missed.double().mean()), "training_percent": 100 * wrong / plan.samples}
