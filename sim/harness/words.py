"""Converts tensors of the golden model to words of streams and memories, and back."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.golden.model import weight_image

from .streams import pack, unpack


def lane_words(x: Tensor) -> Tensor:
    """Reorders maps (maps, lanes, height, width) as words (words, lanes), map by map in raster order."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def packed(words: Iterable[Iterable[int]], bits: int) -> list[int]:
    """Packs each row of lanes as a word of an ArrayLayout."""
    return [pack(lanes, bits) for lanes in words]


def unpacked(words: Iterable[int], bits: int, lanes: int, *, signed: bool = True) -> list[list[int]]:
    """The inverse of `packed`."""
    return [unpack(word, bits, lanes, signed=signed) for word in words]


def master_image(
    config: Config, bundle: Bundle, weight: Tensor, bias: Tensor | None = None, means: Tensor | None = None
) -> np.ndarray:
    """The image of a master memory, (image words, lanes), from torch-ordered weights, biases and means.

    Biases are 0 by default; means are only in networks with centred commits.
    """
    bias = torch.zeros(bundle.post.channels, dtype=torch.int64) if bias is None else bias
    return weight_image.pack(
        config, bundle, weight.numpy(), bias.numpy(), None if means is None else means.numpy()
    )


def tile_words(config: Config, bundle: Bundle, weight: Tensor) -> list[int]:
    """The words of the working memory with these weights."""
    image = master_image(config, bundle, weight)[: layout.weight_words(config, bundle)]
    return packed(image.reshape(layout.tiles(config, bundle), -1), config.spec.formats.weight_bits)


def layer_words(config: Config, layer: Layer, values: torch.Tensor) -> np.ndarray:
    """Reorders (channels, height, width) to (words, lanes), in the layer's processing order."""
    lanes, groups = config.lanes[layer.index], config.groups(layer)
    return values.numpy().reshape(groups, lanes, layer.positions).transpose(0, 2, 1).reshape(-1, lanes)
