"""Small networks and bundles for unit benches, and their drives by the golden model."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nudge.golden.contract.config import SLOTS, Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Bundle, Conv, Dense, Layer
from nudge.golden.contract.spec import CLASSES, Learning, Spec
from nudge.golden.model import ops


def config_of(
    channels: tuple[int, int],
    lanes: tuple[int, int],
    *,
    dense: bool,
    window_log2: int,
    decay_shift: int,
    index: int = 2,
    halvings: tuple[int, ...] = (),
    feedback_shift: int = 0,
    fine: bool | tuple[int, ...] = False,
    centred: bool = False,
    linear_output: bool = False,
    vector_field: bool = False,
    slots: int = SLOTS,
) -> Config:
    """A configuration with these channels and lanes in layers index - 1 and index, followed by the output
    layer.

    fine: fine spikes, True for binary point 1 in all layers, or the binary point of each layer. centred:
    centred commits. linear_output: the output's deviations are linear. vector_field: updates are S pre D post
    alone.
    """
    same, window = (1,) * (index + 1) if fine else (), 1 << window_log2
    points = fine if isinstance(fine, tuple) else same
    flags = {"centred": centred, "linear_output": linear_output, "vector_field": vector_field}
    schedule = Schedule(
        window, window, window_log2, decay_shift, "odd-even", halvings, feedback_shift, points, **flags
    )
    second = Dense(channels[1]) if dense else Conv(channels[1])
    before = index - 2
    stages = (*[Conv(1)] * before, Conv(channels[0]), second, Dense(CLASSES))
    spec = Spec("bench", stages, schedule, Learning(rates=(0.0,) * len(stages)))
    return Config(spec, (1, *[1] * before, *lanes, 1), slots=slots)


def hidden_layer(
    shape: tuple[int, int, int],
    lanes: int,
    at_once: int | None = None,
    *,
    phi_bound: int = 0,
    **schedule: Any,
) -> tuple[Config, Layer]:
    """A configuration and its layer 1, of any shape, unlike in a `Spec`. at_once: lanes of its array."""
    config = config_of((shape[0], 1), (lanes, 1), dense=False, **schedule)
    config = replace(config, arrays=(*config.lanes[:1], at_once or lanes, *config.lanes[2:]))
    return config, Layer(1, *shape, phi_bound=phi_bound)


def output_layer(
    lanes: int, at_once: int | None = None, *, phi_bound: int = 0, **schedule: Any
) -> tuple[Config, Layer]:
    """A configuration and its output layer. at_once: lanes of its array."""
    config = config_of((1, 1), (1, 1), dense=True, **schedule)
    spec, ones = config.spec, config.lanes[:-1]
    config = replace(config, lanes=(*ones, lanes), arrays=(*ones, at_once or lanes))
    return config, replace(spec.layers[-1], phi_bound=phi_bound)


def bundle_of(
    kind: str,
    pre: tuple[int, int, int],
    channels: int,
    *,
    kernel: int = 1,
    padding: int = 0,
    lanes: tuple[int, int] = (1, 1),
    window_log2: int = 3,
    events: bool = False,
    scatters: bool = False,
    folded: bool = False,
    shared: bool = False,
    passes: tuple[int, int] = (1, 1),
    kernel_blocks: bool = False,
    index: int = 2,
    fine: bool = False,
    centred: bool = False,
    vector_field: bool = False,
    slots: int = SLOTS,
) -> tuple[Config, Bundle]:
    """A configuration and its bundle from a layer of shape `pre` to one of `channels`.

    Maps may have any size, unlike in a `Spec`.

    padding: of a convolution. events: use the event engine, with this number of `passes`; `kernel_blocks`:
    its kernels are in block RAM. scatters: use the scatter engine; folded: with folded kernels in its forward
    direction. index: number of the bundle; a bundle on the image always has 1. shared: the update engine
    shares multipliers between the phases. fine: fine spikes. centred, vector_field, slots: as in `config_of`.
    """
    full = kind in ("dense", "pixels")
    height, width = (1, 1) if full else ((n + 2 * padding - kernel + 1) // 2 for n in pre[1:])
    index = 1 if kind in ("image", "pixels") else index
    near = (channels, 1) if index == 1 else (pre[0], channels)
    near_lanes = (lanes[1], 1) if index == 1 else lanes
    schedule = {"window_log2": window_log2, "decay_shift": 1, "fine": fine, "centred": centred}
    schedule |= {"vector_field": vector_field, "slots": slots}
    config = config_of(near, near_lanes, dense=full, index=max(index, 2), **schedule)
    if kind == "pixels":
        config = replace(config, spec=replace(config.spec, stages=(Dense(channels), *config.spec.stages[1:])))
    if kind == "image" and padding:  # the model reads it from the spec
        stages = (Conv(channels, kernel, padding), *config.spec.stages[1:])
        config = replace(config, spec=replace(config.spec, stages=stages))
    if scatters:
        config = replace(config, scatters=frozenset({index}), folded=frozenset({index} if folded else ()))
    if events:
        config = replace(config, events=frozenset({index}), passes=passes, kernel_blocks=kernel_blocks)
    if shared:
        config = replace(config, shared=frozenset({index}))
    bundle = Bundle(
        index, kind, kernel, Layer(index - 1, *pre), Layer(index, channels, height, width), padding
    )
    # phi is as wide as the worst case by the golden model: all weights lowest, all spikes 1
    lowest = torch.full(bundle.weight_shape, config.spec.formats.weight_low)
    on = [torch.ones((1, *layer.shape), dtype=torch.int64) for layer in (bundle.pre, bundle.post)]
    if bundle.on_image:
        on[0] *= (1 << config.spec.formats.pixel_bits) - 1
        bounds = [0, extent(ops.static_drive(on[0], lowest, config.spec))]
    else:
        bounds = [extent(phi) for phi in reversed(drives(bundle, *on, lowest))]
    return config, replace(
        bundle, pre=replace(bundle.pre, phi_bound=bounds[0]), post=replace(bundle.post, phi_bound=bounds[1])
    )


def extent(x: Tensor) -> int:
    """Largest magnitude in a tensor."""
    return int(x.abs().max())


def drives(bundle: Bundle, pre: Tensor, post: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Forward and backward drive of a conv or dense bundle, (batch, *shape of the driven layer) each."""
    if bundle.kind == "dense":
        forward, backward = ops.dense_forward(pre, w), ops.dense_backward(post, w)
        return forward.unflatten(1, bundle.post.shape), backward.unflatten(1, bundle.pre.shape)
    return ops.conv_forward(pre, w, bundle.padding), ops.conv_backward(post, w, bundle)
