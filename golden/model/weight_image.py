"""A bundle's master memory as a numpy array, in the order of `golden.contract.layout`."""

import zlib
from collections.abc import Iterable

import numpy as np
import torch

from nudge.golden.contract.config import Config
from nudge.golden.contract.layout import master_words, mean_halves, weight_words
from nudge.golden.contract.protocol import MASTER_BITS, MASTER_BYTES
from nudge.golden.contract.shapes import Bundle

from .parameters import Parameters

#: Type of a master on the link and in the digest.
MASTER = np.dtype(f"<i{MASTER_BYTES}")


def pack(
    config: Config, bundle: Bundle, weight: np.ndarray, bias: np.ndarray, means: np.ndarray | None = None
) -> np.ndarray:
    """Return the memory image, shape (image words, lanes), of torch-ordered weight and bias tensors.

    means: running means, if commits are centred.
    """
    post, pre = config.lanes[bundle.index], config.lanes[bundle.index - 1]
    if bundle.full:
        shape = (config.groups(bundle.post), post, config.groups(bundle.pre), pre, bundle.pre.positions)
        image = weight.reshape(shape).transpose(2, 4, 0, 3, 1)
    else:
        shape = (config.groups(bundle.post), post, config.groups(bundle.pre), pre, bundle.kernel**2)
        image = weight.reshape(shape).transpose(0, 2, 4, 3, 1)
    parts = [image.reshape(-1, post), bias.reshape(-1, post)]
    if means is not None:
        padded = np.pad(means, (0, -len(means) % post)).reshape(-1, 1, post)
        low = padded % (1 << MASTER_BITS)
        # signed, like masters
        low -= (low >> (MASTER_BITS - 1)) << MASTER_BITS
        parts.append(np.concatenate([low, padded >> MASTER_BITS], 1).reshape(-1, post))
    return np.concatenate(parts)


def unpack(config: Config, bundle: Bundle, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of `pack`: return (weight, bias) in torch's order and shapes, without the means."""
    post, pre = config.lanes[bundle.index], config.lanes[bundle.index - 1]
    split, end = weight_words(config, bundle), master_words(config, bundle)
    weight, bias = image[:split], image[split:end].reshape(-1)
    if bundle.full:
        shape = (config.groups(bundle.pre), bundle.pre.positions, config.groups(bundle.post), pre, post)
        weight = weight.reshape(shape).transpose(2, 4, 0, 3, 1)
    else:
        shape = (config.groups(bundle.post), config.groups(bundle.pre), bundle.kernel**2, pre, post)
        weight = weight.reshape(shape).transpose(0, 4, 1, 3, 2)
    return weight.reshape(bundle.weight_shape), bias


def unpack_means(config: Config, bundle: Bundle, image: np.ndarray) -> np.ndarray:
    """Return the running means (pre channels,) of a memory image.

    Bits above `mean_halves` are dropped, as on a board.
    """
    low, high = (
        image[master_words(config, bundle) :].reshape(-1, 2, config.lanes[bundle.index]).transpose(1, 0, 2)
    )
    means = (low % (1 << MASTER_BITS)) + (high << MASTER_BITS)
    return (means % (1 << config.spec.mean_bits)).reshape(-1)[: bundle.pre.channels]


def means_fit(config: Config, bundle: Bundle, first: int, words: np.ndarray) -> bool:
    """Return whether the running means among words to be written from word `first` on fit `mean_halves`."""
    at = np.arange(len(words)) + first - master_words(config, bundle)
    bits = np.array(mean_halves(config))[at % 2, None]
    return not (words.astype(np.uint16) >> bits)[at >= 0].any()


def pack_all(config: Config, parameters: Parameters) -> list[np.ndarray]:
    """Return the memory image of each bundle, of type `MASTER`, shape (image words, lanes)."""
    means: list[np.ndarray | None] = [x.numpy() for x in parameters.means] or [None] * len(
        config.spec.bundles
    )
    masters = zip(config.spec.bundles, parameters.weights, parameters.biases, means, strict=True)
    return [
        pack(config, b, weight.numpy(), bias.numpy(), mean).astype(MASTER)
        for b, weight, bias, mean in masters
    ]


def unpack_all(config: Config, images: Iterable[np.ndarray]) -> Parameters:
    """Inverse of `pack_all`, from images of any integer type."""
    weights, biases, means = [], [], []
    for bundle, image in zip(config.spec.bundles, images, strict=True):
        weight, bias = unpack(config, bundle, image.astype(np.int64))
        weights.append(torch.from_numpy(np.ascontiguousarray(weight)))
        biases.append(torch.from_numpy(np.ascontiguousarray(bias)))
        if config.spec.schedule.centred:
            means.append(torch.from_numpy(unpack_means(config, bundle, image.astype(np.int64))))
    return Parameters(tuple(weights), tuple(biases), tuple(means))


def digest(image: np.ndarray) -> int:
    """Return the CRC-32 of a bundle's memory image (see `Command.DIGEST`)."""
    return zlib.crc32(image.astype(MASTER).tobytes())
