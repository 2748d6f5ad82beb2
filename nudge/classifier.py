"""A network as a classifier of scikit-learn, for its pipelines, searches and cross-validation."""

import copy
import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from nudge.golden.contract.shapes import CLASS_COUNTS, SIDES, Dense
from nudge.golden.training.data import Data
from nudge.plumbing import install
from nudge.plumbing.errors import ToolError

from .network import Network

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise ToolError(f"nudge.Classifier needs the package scikit-learn: {install('sklearn')}") from None

#: Hidden neurons and learning of the default network, beside others in docs/log/2026-12-07-estimator.md.
HIDDEN, LEARNING = 64, {"rates": [0.3, 0.3], "batch": 8, "decay": 0.9}


class Classifier(ClassifierMixin, BaseEstimator):
    """Spiking network that equilibrium propagation trains, with the weights of `nudge train`, bit for bit.

    network: a `nudge.Network`, whatever its weights, the name of a preset, or a network file; None: a hidden
    layer of `HIDDEN` neurons between the features and the classes. epochs, batch, seed, lr_scale, decay,
    average, board: as for `Network.fit`.

    X has a row for each image, (n, channels * height * width), uint8 as it is shown to the network. Other
    numbers are mapped onto 0..255, from the smallest to the largest of the training images, and clipped.
    After `fit`, `network_` is the trained `nudge.Network`, `classes_` has the labels, and `range_` the
    numbers that pixels 0 and 255 stand for.
    """

    def __init__(
        self,
        network: Network | str | Path | None = None,
        *,
        epochs: int = 20,
        batch: int | None = None,
        seed: int = 0,
        lr_scale: float | None = None,
        decay: float | None = None,
        average: int | None = None,
        board: str = "golden",
    ):
        self.network, self.board = network, board
        self.epochs, self.batch, self.seed = epochs, batch, seed
        self.lr_scale, self.decay, self.average = lr_scale, decay, average

    def fit(self, X: Any, y: Any) -> Self:
        """Train from initial weights; `ValueError` for data that no network takes, else a `NudgeError`."""
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self.range_ = (0, 255) if X.dtype == np.uint8 else (X.min(), X.max())
        network = self._network()
        images, labels = self._images(X, network), torch.from_numpy(numbers)
        options = self.get_params()
        del options["network"]
        result = network.fit(Data(images, labels, images[:0], labels[:0]), **options)
        if not result.finished:  # Ctrl-C, which `Network.fit` takes for the end of a training
            raise KeyboardInterrupt
        self.network_ = network
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row: the first output with the largest sum of xi, as on every board."""
        check_is_fitted(self)
        images = self._images(validate_data(self, X, reset=False), self.network_)
        return self.classes_[self.network_.predict(images)]

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the mean of each output's xi, (n, classes); of two classes the difference, (n,)."""
        check_is_fitted(self)
        images = self._images(validate_data(self, X, reset=False), self.network_)
        found = self.network_.to_module()(images).numpy()
        return found if len(self.classes_) > 2 else found[:, 1] - found[:, 0]

    def _network(self) -> Network:
        """Return the network that the data need, or the one asked for if it takes them."""
        features, classes = self.n_features_in_, len(self.classes_)
        if self.network is None:
            side = max(math.ceil(math.sqrt(features)), SIDES[0])
            if side not in SIDES or classes not in CLASS_COUNTS:
                most = f"up to {SIDES[-1] ** 2} features and {CLASS_COUNTS[0]} to {CLASS_COUNTS[-1]} classes"
                raise ValueError(f"X has {features} features and y {classes} class(es): a network has {most}")
            images = {"height": side, "width": side, "classes": classes}
            return Network([Dense(HIDDEN), Dense(classes)], input=images, learning=LEARNING)
        if isinstance(self.network, Network):
            network = copy.copy(self.network)
        else:
            load = Network.load if str(self.network).endswith(".toml") else Network.preset
            network = load(str(self.network))
        shown = network.spec.input
        if (features, classes) != (shown.pixels, shown.classes):
            takes = f"{network.spec.name} has {shown.pixels} pixels and {shown.classes} classes"
            raise ValueError(f"X has {features} features and y {classes} class(es): {takes}")
        return network

    def _images(self, X: np.ndarray, network: Network) -> Tensor:
        """Return rows as images; a network with more pixels than features is shown them repeatedly."""
        low, high = (float(x) for x in self.range_)
        shown = network.spec.input
        pixels = np.rint((X.astype(np.float64) - low) * (255 / (high - low or 1))).clip(0, 255)
        repeated = np.arange(shown.pixels) % X.shape[1]
        return torch.from_numpy(pixels.astype(np.uint8)[:, repeated].reshape(-1, *shown.shape))
