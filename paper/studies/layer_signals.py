"""Forward and backward signals of the middle layers of a five-layer network, the subject of the paper's
Figures 2 and 3.

The middle layers have the paper's 32, 64 and 128 channels. The paper states neither the first nor the last
layer, nor the padding; here the first layer has 16 channels, 3x3 kernels are padded by 1, so that the
poolings fit 28x28, and the layers above are one of `TOPS`.

X is the output s that reaches layer n: X_forward of layer n-1, X_backward of layer n+1. Y is the drive that
it causes: Y_forward = P(w_n * X_forward), Y_backward = w_(n+1) ~* P^-1(X_backward).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nudge.golden.contract.shapes import Dense
from nudge.golden.training.data import Data
from nudge.golden.training.epoch import order
from nudge.paper.systems.network import Network, PaddedConv, Parameters, backward, forward, kernels
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.phases import steps
from nudge.paper.systems.train import pixels

#: Middle layers, counted from 1.
MIDDLE = (2, 3, 4)
#: By name: stages above the middle, and the padding of the image for them (five poolings need 32 rows).
TOPS: dict[str, tuple[tuple[PaddedConv | Dense, ...], int]] = {
    "10": ((Dense(10),), 1),
    "512, 10": ((Dense(512), Dense(10)), 1),
    "convolution of 256, 10": ((PaddedConv(256, 3, 1), Dense(10)), 3),
}
#: Adam's learning rate and batch.
ADAM, TRAINING_BATCH = 1e-3, 32
#: Signals of Figure 3, in its order.
SIGNALS = ("X_forward", "Y_forward", "X_backward", "Y_backward")
#: Images whose signals are computed at once.
BATCH = 50
#: Interval between two measurements, in steps of the nudged phase.
STRIDE = 5


@dataclass
class Moments:
    """Running sums of a signal and of its squares."""

    #: Number of values.
    count: int = 0
    #: Number of maps, of all channels, samples and steps.
    maps: int = 0
    #: Sum of the magnitudes of all values.
    magnitude: float = 0.0
    #: Sum of the magnitudes of the maps' signed sums.
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
    """Return the network with that pooling and one of `TOPS`."""
    above, zeros = TOPS[top]
    return Network(
        (PaddedConv(16, 3, zeros), *(PaddedConv(channels, 3, 1) for channels in (32, 64, 128)), *above),
        pooling,
    )


def taught(network: Network, seed: int, gain: float, samples: int, images: Data) -> Parameters:
    """Train the layers as a feed-forward network for one epoch, by Adam, with units clipped to [0, 1] and
    cross-entropy; return the weights."""
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
def signals(
    network: Network, dynamics: Dynamics, parameters: Parameters, x: Tensor, labels: Tensor
) -> dict[str, Moments]:
    """Return the moments of each signal and middle layer, as "X_forward_2", over the phase with +beta."""
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
