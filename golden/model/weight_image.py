"""A bundle's master memory as an array: what `golden.contract.layout` says, done with numpy."""

import zlib
from collections.abc import Iterable

import numpy as np
import torch

from golden.contract.config import Config
from golden.contract.layout import weight_words
from golden.contract.protocol import MASTER_BYTES
from golden.contract.shapes import Bundle

from .fixed import Parameters

#: A master, as the link carries it and the digest sums it.
MASTER = np.dtype(f"<i{MASTER_BYTES}")


def pack(config: Config, bundle: Bundle, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Torch-ordered weight and bias tensors to the memory image, shape (master words, lanes)."""
    post, pre = config.lanes[bundle.index], config.lanes[bundle.index - 1]
    if bundle.full:
        shape = (config.groups(bundle.post), post, config.groups(bundle.pre), pre, bundle.pre.positions)
        image = weight.reshape(shape).transpose(2, 4, 0, 3, 1)
    else:
        shape = (config.groups(bundle.post), post, config.groups(bundle.pre), pre, bundle.kernel**2)
        image = weight.reshape(shape).transpose(0, 2, 4, 3, 1)
    return np.concatenate([image.reshape(-1, post), bias.reshape(-1, post)])


def unpack(config: Config, bundle: Bundle, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `pack`: (weight, bias) in torch's order and shapes."""
    post, pre = config.lanes[bundle.index], config.lanes[bundle.index - 1]
    split = weight_words(config, bundle)
    weight, bias = image[:split], image[split:].reshape(-1)
    if bundle.full:
        shape = (config.groups(bundle.pre), bundle.pre.positions, config.groups(bundle.post), pre, post)
        weight = weight.reshape(shape).transpose(2, 4, 0, 3, 1)
    else:
        shape = (config.groups(bundle.post), config.groups(bundle.pre), bundle.kernel**2, pre, post)
        weight = weight.reshape(shape).transpose(0, 4, 1, 3, 2)
    return weight.reshape(bundle.weight_shape), bias


def pack_all(config: Config, parameters: Parameters) -> list[np.ndarray]:
    """The memory image of each bundle, `MASTER`, shape (master words, lanes)."""
    masters = zip(config.spec.bundles, parameters.weights, parameters.biases, strict=True)
    return [pack(config, b, weight.numpy(), bias.numpy()).astype(MASTER) for b, weight, bias in masters]


def unpack_all(config: Config, images: Iterable[np.ndarray]) -> Parameters:
    """The inverse of `pack_all`, from images of any integers."""
    weights, biases = [], []
    for bundle, image in zip(config.spec.bundles, images, strict=True):
        weight, bias = unpack(config, bundle, image.astype(np.int64))
        weights.append(torch.from_numpy(np.ascontiguousarray(weight)))
        biases.append(torch.from_numpy(np.ascontiguousarray(bias)))
    return Parameters(tuple(weights), tuple(biases))


def digest(image: np.ndarray) -> int:
    """CRC-32 of a bundle's memory image (see `Command.DIGEST`)."""
    return zlib.crc32(image.astype(MASTER).tobytes())
