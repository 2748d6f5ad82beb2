"""What reaches the middle layers of a network of five, from below and from above: what the paper's Figures 2 and 3 are of.

32-64-128 channels in the middle are the paper's; it gives neither the first nor the last layer, nor the padding. So 16 channels
come first, 3x3 kernels are padded by 1, so that the poolings fit 28x28, and one of `TOPS` is above.

X is what was sent: forward by layer n-1, backward by layer n+1. Y is what it becomes, P(w_n * X) and w_(n+1) ~* P^-1(X).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from golden.contract.shapes import Dense
from golden.training.data import Data
from golden.training.epoch import order
from paper.systems.network import Network, PaddedConv, Parameters, backward, forward, kernels
from paper.systems.neuron import Dynamics
from paper.systems.phases import steps
from paper.systems.train import pixels

#: Layers of the middle, counted from 1.
MIDDLE = (2, 3, 4)
#: What is above the middle, and the zeros around the image that it takes: five poolings need 32 rows.
TOPS: dict[str, tuple[tuple[PaddedConv | Dense, ...], int]] = {
    "10": ((Dense(10),), 1),
    "512, 10": ((Dense(512), Dense(10)), 1),
    "convolution of 256, 10": ((PaddedConv(256, 3, 1), Dense(10)), 3),
}
#: Of Adam, and how many images it takes at once.
ADAM, TRAINING_BATCH = 1e-3, 32
#: What Figure 3 shows, in its order.
SIGNALS = ("X_forward", "Y_forward", "X_backward", "Y_backward")
BATCH = 50
#: Steps of the nudged phase between two that are measured.
STRIDE = 5


@dataclass
class Moments:
    """Running sums of a signal and of its squares."""

    #: Values.
    count: int = 0
    #: Of all channels, samples and steps.
    maps: int = 0
    magnitude: float = 0.0
    #: Of maps' sums, each without its sign.
    net: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def add(self, x: Tensor) -> None:
        self.count += x.numel()
        self.maps += x.shape[0] * x.shape[1]
        self.magnitude += float(x.abs().sum())
        self.net += float(x.sum((2, 3)).abs().sum())
        self.total += float(x.sum())
        self.squares += float(x.square().sum())

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def deviation(self) -> float:
        return max(self.squares / self.count - self.mean**2, 0.0) ** 0.5


def five_layers(pooling: str, top: str) -> Network:
    """The network with that pooling, and one of `TOPS`."""
    above, zeros = TOPS[top]
    return Network((PaddedConv(16, 3, zeros), *(PaddedConv(channels, 3, 1) for channels in (32, 64, 128)), *above), pooling)


def taught(network: Network, seed: int, gain: float, samples: int, images: Data) -> Parameters:
    """Weights after one pass of Adam through the layers as a feed-forward network: units clipped to [0, 1], cross-entropy."""
    leaves = Parameters(*(tuple(x.requires_grad_() for x in group) for group in network.initial(seed, gain)))
    w, b = leaves
    adam = torch.optim.Adam([*w, *b], lr=ADAM)
    for numbers in torch.from_numpy(order(samples, seed, 0)).split(TRAINING_BATCH):
        x = pixels(images.train_images[numbers])
        for n, link in enumerate(network.links):
            x = forward(link, x, kernels([link], [w[n]])[0])[0] + b[n][:, None, None]
            x = x if n == len(network.links) - 1 else x.clamp(0, 1)
        loss = functional.cross_entropy(x.flatten(1), images.train_labels[numbers])
        adam.zero_grad()
        loss.backward()
        adam.step()
    return Parameters(*(tuple(x.detach() for x in group) for group in leaves))


@torch.no_grad()
def signals(network: Network, dynamics: Dynamics, parameters: Parameters, x: Tensor, labels: Tensor) -> dict[str, Moments]:
    """Of each signal and middle layer, such as "X_forward_2", over the phase with +beta."""
    found = {f"{name}_{n}": Moments() for name in SIGNALS for n in MIDDLE}
    w = kernels(network.links, parameters.weights)
    for part, target in zip(x.split(BATCH), labels.split(BATCH), strict=True):
        for step in steps(network, dynamics, parameters, part, target, (1,)):
            if step.phase == "free" or step.t % STRIDE:
                continue
            sent = [layer.s for layer in step.layers]  # of layers 1..5
            for n in MIDDLE:
                below = forward(network.links[n - 1], sent[n - 2], w[n - 1])[0]
                indices = forward(network.links[n], sent[n - 1], w[n])[1]
                above = backward(network.links[n], sent[n], w[n], indices)
                for name, signal in zip(SIGNALS, (sent[n - 2], below, sent[n], above), strict=True):
                    found[f"{name}_{n}"].add(signal)
    return found
