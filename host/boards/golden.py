"""The golden model as a board, in this process: the same methods and refusals as a board behind a port."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from golden.contract.config import Config
from golden.model import weight_image
from golden.model.fixed import FixedModel
from golden.model.parameters import Parameters
from golden.model.settings import Settings

from .interface import OpenBoard


class GoldenBoard(OpenBoard):
    """`golden.model.fixed.FixedModel` as an `OpenBoard`.

    config: network and lanes; the lanes affect only the digest. device: torch's device.
    """

    def __init__(self, config: Config, *, device: torch.device | str = "cpu"):
        self.config, self.spec, self.name = config, config.spec, "golden"
        self.model = FixedModel(self.spec, device=device)

    def write_settings(self, settings: Settings) -> None:
        self.model.write_settings(settings)

    def load(self, parameters: Parameters) -> None:
        self.model.load(parameters)

    def read(self) -> Parameters:
        return self.model.read()

    def train(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self.model.train(np.asarray(images), np.asarray(labels)).cpu().numpy()

    def infer(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self.model.infer(np.asarray(images), np.asarray(labels)).cpu().numpy()

    def commit(self) -> int:
        return self.model.commit()

    def digest(self) -> tuple[int, ...]:
        return tuple(map(weight_image.digest, weight_image.pack_all(self.config, self.read())))

    def registers(self) -> dict[str, int]:
        model, settings = self.model, self.model.settings
        values = {name: getattr(settings, name) for name in ("free_steps", "nudged_steps", "beta")}
        for kind in ("weight", "bias"):
            rates = getattr(settings, f"{kind}_rates")
            values |= {f"{kind}_rate_{b.index}": rate for b, rate in zip(self.spec.bundles, rates, strict=True)}
        values |= {name: getattr(model, name) for name in ("pending", "samples", "errors")}
        return values | {f"spikes_{layer.index}": model.spikes[n] for n, layer in enumerate(self.spec.layers[1:])}

    def clear(self) -> None:
        self.model.clear()

    def close(self) -> None:
        pass
