"""A network as a torch module, for code that expects one. It computes with the model's integers."""

import torch
from torch import Tensor, nn

from nudge.golden.contract.spec import Spec
from nudge.golden.model.batch import output_fraction, outputs
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.settings import Settings
from nudge.golden.training.checkpoint import names
from nudge.plumbing.errors import ModelError


class Module(nn.Module):
    """A network as a torch module with the outputs of every board, bit for bit; it isn't differentiable.

    Its state_dict has the masters with the names and types of a weight file: `bundle1.weight`,
    `bundle1.bias`, int16, LSB 2^-15. Input: images (n, height, width) or (n, channels, height, width), uint8,
    or floats from 0 to 255, which are rounded. Output: float32 (n, classes), the mean of each output's xi
    over the averaging window of the free phase, from 0 to 1, without rounding. The first largest output is
    the class of `Network.predict`.
    """

    def __init__(self, spec: Spec, settings: Settings, parameters: Parameters):
        super().__init__()
        self.spec, self.settings = spec, settings
        for bundle, *tensors in zip(spec.bundles, parameters.weights, parameters.biases, strict=True):
            for name, tensor in zip(names(bundle), tensors, strict=True):
                part, _, kind = name.partition(".")
                if not hasattr(self, part):
                    self.add_module(part, nn.Module())
                self.get_submodule(part).register_buffer(kind, tensor.to(torch.int16))

    def extra_repr(self) -> str:
        return f"{self.spec.name}: {', '.join(map(repr, self.spec.stages))}"

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs of images; `ModelError` for images that the network doesn't take."""
        bundles = [[self.get_buffer(name).long() for name in names(bundle)] for bundle in self.spec.bundles]
        weights, biases = zip(*bundles, strict=True)
        pixels = _bytes(images) if images.is_floating_point() else images
        found = outputs(self.spec, self.settings, Parameters(weights, biases), pixels)
        return found.float() * 2.0 ** -output_fraction(self.spec)


def _bytes(images: Tensor) -> Tensor:
    """Round floats to uint8; `ModelError` outside 0..255, or if all are within 0..1."""
    pixels = images.detach().round()
    low, high = pixels.aminmax() if pixels.numel() else (pixels.new_zeros(()), pixels.new_zeros(()))
    if not 0 <= low <= high <= 255:
        raise ModelError(f"images must be from 0 to 255, not {float(low):g} to {float(high):g}")
    if pixels.numel() and 0 < (most := float(images.detach().max())) <= 1:
        raise ModelError(
            f"images must be from 0 to 255; the brightest pixel of these is {most:g}: multiply them by 255"
        )
    return pixels.to(torch.uint8)
