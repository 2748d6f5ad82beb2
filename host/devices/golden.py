"""The golden model as a board, in this process: the same methods and refusals as a board behind a port."""

import torch

from nudge.golden.contract.config import Config
from nudge.golden.model import weight_image
from nudge.golden.model.fixed import FixedModel

from .interface import OpenBoard


class GoldenBoard(FixedModel, OpenBoard):
    """`golden.model.fixed.FixedModel` as an `OpenBoard`.

    config: network and lanes; the lanes affect only the digest. device: torch's device.
    """

    def __init__(self, config: Config, *, device: torch.device | str = "cpu"):
        self.config, self.name = config, "golden"
        super().__init__(config.spec, device=device)

    def digest(self) -> tuple[int, ...]:
        return tuple(map(weight_image.digest, weight_image.pack_all(self.config, self.read())))

    def registers(self) -> dict[str, int]:
        settings = self.settings
        values = {name: getattr(settings, name) for name in ("free_steps", "nudged_steps", "beta")}
        for kind in ("weight", "bias"):
            rates = getattr(settings, f"{kind}_rates")
            values |= {
                f"{kind}_rate_{b.index}": rate for b, rate in zip(self.spec.bundles, rates, strict=True)
            }
        values |= {name: getattr(self, name) for name in ("pending", "samples", "errors")}
        return values | {
            f"spikes_{layer.index}": self.spikes[n] for n, layer in enumerate(self.spec.layers[1:])
        }

    def close(self) -> None:
        pass
