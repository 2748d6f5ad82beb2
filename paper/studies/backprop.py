"""The same network without equilibrium propagation: feed-forward, real-valued, trained by backpropagation.

What this reaches on the same samples in the same order is a yardstick for the network itself: what it doesn't reach
either isn't the fault of spikes, fixed point or the learning rule.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from golden.contract.spec import CLASSES, Spec
from golden.model.parameters import initial
from golden.training.data import Data
from golden.training.plan import Plan
from paper.systems.centre import centred, channel_mean, followed

#: Images whose predictions are computed at once.
CHUNK = 500


class Sign(torch.optim.Optimizer):
    """Every weight moves by the learning rate, in the direction of its gradient's sign."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for x in group["params"]:
                x -= group["lr"] * x.grad.sign()


#: By name: plain gradient descent, Adam, which scales each weight's step by its own gradients, that without momentum, and the
#: simplest that does so.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "scaled": partial(torch.optim.Adam, betas=(0.0, 0.999)),
    "sign": Sign,
}


@dataclass(frozen=True)
class Backprop:
    """How the feed-forward network computes and learns."""

    #: Of `OPTIMIZERS`.
    optimizer: str = "sgd"
    #: Learning rate, or if `by_layer` the factor on those of the network.
    rate: float = 0.1
    #: Cross-entropy instead of squared error to one-hot.
    cross_entropy: bool = False
    #: Hidden units in [0, 1], the hard sigmoid, instead of ReLU.
    clipped: bool = True
    #: The output too.
    clipped_output: bool = True
    #: Maximum pooling instead of the average.
    max_pool: bool = False
    #: Each layer has its own learning rate.
    by_layer: bool = False
    #: Gradients are those of `paper.systems.centre`.
    centred: bool = False

    def forward(self, weights: list[Tensor], biases: list[Tensor], images: Tensor, read: list[Tensor] | None = None) -> Tensor:
        """Outputs (n, 10) of uint8 images (n, 28, 28). read: gets what each layer reads."""
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
        """As `held_out.by_equilibrium_propagation`, from the same initial weights."""
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
