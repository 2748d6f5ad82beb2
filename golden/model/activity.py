"""Spike counts of a network, and the cycles that they cost its event-driven engines, counted in the model.

Lanes don't change them.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
from torch import Tensor

from nudge.golden.contract.event_units import (
    BACKWARD_CHANNELS,
    FORWARD_CHANNELS,
    SPOTS,
    backward_place,
    banks,
    forward_place,
    takes,
)
from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec

from .batch import checked_images, checked_labels
from .engines import MODEL_ENGINES
from .parameters import Parameters, working
from .phases import steps
from .settings import Settings


@dataclass(frozen=True)
class Activity:
    """Spikes of some samples in all sweeps of training: the free phase's, then those of both nudged phases.

    free, nudged: sweeps of the free phase and of each nudged phase. Arrays have the shape (samples, sweeps,
    ...).
    """

    free: int
    nudged: int
    #: Spikes of each layer 1..N, by its index.
    spikes: dict[int, np.ndarray] = field(default_factory=dict)
    #: Whether each neuron spikes, (..., channels, positions), of the layers on both sides of each conv
    #: bundle.
    fired: dict[int, np.ndarray] = field(default_factory=dict)
    #: Spikes of the busiest unit in each window, in raster order, by the index of each conv bundle that an
    #: event-driven engine may process: forward windows (of the pre layer's spikes) and backward windows (of
    #: the post layer's).
    forward: dict[int, np.ndarray] = field(default_factory=dict)
    backward: dict[int, np.ndarray] = field(default_factory=dict)


def count(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
) -> Activity:
    """Return the activity of training on these samples, all at once."""
    settings.check(spec)
    copies = working(spec, parameters)
    engine = MODEL_ENGINES["folded"](spec, copies)
    pixels, targets = checked_images(images, spec).to(engine.dtype), checked_labels(labels, len(images), spec)
    seen: dict[int, list[Tensor]] = {layer.index: [] for layer in spec.layers[1:]}
    for step in steps(spec, settings, engine, copies, pixels, targets):
        for n, layer in enumerate(step.layers, start=1):
            seen[n].append(layer.s.bool())
    spikes = {n: torch.stack(each, 1).numpy() for n, each in seen.items()}
    out = Activity(settings.free_steps, settings.nudged_steps)
    for n, of_layer in spikes.items():
        out.spikes[n] = of_layer.sum((2, 3, 4))
    for bundle in spec.bundles:
        if bundle.kind == "conv":
            for n in (bundle.pre.index, bundle.index):
                out.fired[n] = spikes[n].reshape(*spikes[n].shape[:3], -1)
        if takes(bundle):
            out.forward[bundle.index] = busiest_forward(bundle, spikes[bundle.pre.index])
            out.backward[bundle.index] = busiest_backward(bundle, spikes[bundle.index])
    return out


def busiest_forward(bundle: Bundle, spikes: np.ndarray) -> np.ndarray:
    """Return the spikes of the busiest unit in each forward window, (..., windows).

    spikes: (..., channels, height, width) of the pre layer.
    """
    channels, post = bundle.pre.channels, bundle.post
    units = SPOTS * banks(channels, FORWARD_CHANNELS)
    places = {
        (2 * jy + sy, 2 * jx + sx): [
            forward_place(channels, 2 * jy + jx, 2 * sy + sx, c)[0] for c in range(channels)
        ]
        for jy, jx, sy, sx in product(range(2), repeat=4)
    }
    return _busiest(spikes, places, units, (post.height, post.width), 2)


def busiest_backward(bundle: Bundle, spikes: np.ndarray) -> np.ndarray:
    """Return the spikes of the busiest unit in each backward window, (..., windows).

    spikes: (..., channels, height, width) of the post layer. A window has 2x2 of its positions; a row and a
    column without spikes surround the map.
    """
    channels, post = bundle.post.channels, bundle.post
    units = SPOTS * banks(channels, BACKWARD_CHANNELS)
    places = {
        (jy, jx): [backward_place(channels, 2 * jy + jx, c)[0] for c in range(channels)]
        for jy, jx in product(range(2), repeat=2)
    }
    around = np.pad(spikes, [(0, 0)] * (spikes.ndim - 2) + [(1, 0), (1, 0)])
    return _busiest(around, places, units, (post.height + 1, post.width + 1), 1)


def _busiest(
    spikes: np.ndarray,
    places: dict[tuple[int, int], list[int]],
    units: int,
    windows: tuple[int, int],
    stride: int,
) -> np.ndarray:
    """Return the spikes of the busiest unit in each window.

    places: the unit of each channel, by the position in a window. windows: rows and columns of windows.
    """
    rows, columns = windows
    side = max(y for y, _ in places) + 1
    more = [
        max(0, (n - 1) * stride + side - have) for n, have in zip(windows, spikes.shape[-2:], strict=True)
    ]
    spikes = np.pad(spikes, [(0, 0)] * (spikes.ndim - 2) + [(0, n) for n in more])
    taken = np.zeros((*spikes.shape[:-3], units, rows, columns), np.uint8)
    for (y, x), of_channel in places.items():
        here = spikes[..., y : y + stride * rows : stride, x : x + stride * columns : stride]
        for channel, unit in enumerate(of_channel):
            taken[..., unit, :, :] += here[..., channel, :rows, :columns]
    return taken.max(-3).reshape(*spikes.shape[:-3], rows * columns)
