"""The board's results for a batch: predictions, spikes, and updates of the weights. Pure functions.

Everything is an integer; `golden.model.ops` and `golden.model.engines` explain why no float GEMM inside can
change a bit. So results do not depend on the device, on threads, or on how a batch is split. The arithmetic
is in docs/arithmetic.md.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from nudge.golden.contract.spec import Spec
from nudge.plumbing.errors import ModelError

from . import chunks, native, native_check
from .engines import MODEL_ENGINES
from .ops import State
from .parameters import Parameters, working
from .phases import Step, steps
from .result import Result
from .settings import Settings


def tensor(values: Tensor | ArrayLike, what: str) -> Tensor:
    """Return numbers as a contiguous tensor in native byte order; `ModelError` if they are no array."""
    try:
        if isinstance(values, Tensor):
            return values.detach().contiguous()
        array = np.asarray(values)
        array = np.asarray(array, array.dtype.newbyteorder("="), order="C")
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{what} must be an array of numbers: {' '.join(str(error).split())}") from None


def checked_images(images: Tensor | np.ndarray, spec: Spec) -> Tensor:
    """Return the images as (n, channels, height, width).

    `ModelError` unless they are uint8 of the network's size; the dimension of a single channel may be left
    out.
    """
    images, shape = tensor(images, "images"), spec.input.shape
    grey = shape[0] == 1 and images.shape[1:] == shape[1:]
    if images.dtype != torch.uint8 or not (grey or images.shape[1:] == shape):
        wanted = ", ".join(map(str, shape[1:] if shape[0] == 1 else shape))
        raise ModelError(f"images must be uint8 (n, {wanted}), not {images.dtype} {tuple(images.shape)}")
    return images.reshape(-1, *shape)


def checked_labels(labels: Tensor | ArrayLike, count: int, spec: Spec) -> Tensor:
    """Return the labels as int64; `ModelError` unless they are `count` class numbers."""
    labels = tensor(labels, "labels")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ModelError(f"labels must be integers, not {labels.dtype}")
    labels = labels.long()
    if labels.shape != (count,):
        raise ModelError(f"labels must be ({count},), one for each image, not {tuple(labels.shape)}")
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < spec.classes:
        raise ModelError(
            f"labels must be 0..{spec.classes - 1}, not {int(labels.min())}..{int(labels.max())}"
        )
    return labels


def run_batch(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor | np.ndarray,
    labels: Tensor | np.ndarray | None,
    engine: str,
    threads: int | None,
) -> Result:
    """Return predictions, spikes and, with labels, updates."""
    settings.check(spec)
    device = parameters.weights[0].device
    images = checked_images(images, spec).to(device)
    targets = None if labels is None else checked_labels(labels, len(images), spec).to(device)
    name = engine_here(engine, device, spec)
    if name == "native":
        return native.run(spec, settings, parameters, images, targets, threads)
    return chunks.run(spec, settings, parameters, images, targets, MODEL_ENGINES[name])


def engine_here(name: str, device: torch.device, spec: Spec) -> str:
    """Return the engine's name, with "auto" resolved.

    "auto" is the compiled engine where it can run the network, else the fastest that uses torch alone.
    """
    if name == "auto":
        return (
            "native" if device.type == "cpu" and native_check.usable() and native.can_run(spec) else "folded"
        )
    if name != "native" and name not in MODEL_ENGINES:
        raise ModelError(f"engine must be auto, native, {' or '.join(MODEL_ENGINES)}, not {name!r}")
    if name == "native" and device.type != "cpu":
        raise ModelError(f"the native engine runs on the CPU, not on {device}: take folded")
    return name


def infer(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor | np.ndarray,
    *,
    engine: str = "auto",
    threads: int | None = None,
) -> tuple[Tensor, list[int]]:
    """Return predictions (n,) and the spikes of each layer 1..N, of the free phase alone.

    images: uint8 (n, channels, height, width). threads: at most, of the compiled engine; default: torch's
    setting.
    """
    result = run_batch(spec, settings, parameters, images, None, engine, threads)
    return result.predictions, result.spikes


def outputs(spec: Spec, settings: Settings, parameters: Parameters, images: Tensor | np.ndarray) -> Tensor:
    """Return the scores behind the predictions, (n, classes) int64, LSB 2^-`output_fraction`.

    The score of an output is its xi, summed over the averaging window at the end of the free phase. The
    prediction is the first output with the largest score. The compiled engine keeps no sums, so `Folded`
    computes them.
    """
    settings.check(spec)
    pixels = checked_images(images, spec).to(parameters.weights[0].device)
    copies = working(spec, parameters)
    runner = MODEL_ENGINES["folded"](spec, copies)
    found = [torch.zeros((0, spec.classes), dtype=torch.int64, device=pixels.device)]
    for some in pixels.split(chunks.CHUNK):
        course = steps(spec, settings, runner, copies, some.to(runner.dtype), None)
        found.append(chunks.averaged(spec, settings, course)[0]["free"][-1].flatten(1).long())
    return torch.cat(found)


def output_fraction(spec: Spec) -> int:
    """Return the binary point of `outputs`, in which 1 is an output that was 1 in the whole window."""
    return spec.formats.state_fraction + spec.schedule.window_log2


def train_batch(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    *,
    engine: str = "auto",
    threads: int | None = None,
) -> Result:
    """Run the three phases on each image; return predictions, spikes and the summed updates.

    parameters: masters as of the last commit. threads: as in `infer`.
    """
    return run_batch(spec, settings, parameters, images, labels, engine, threads)


def trace(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    image: Tensor | np.ndarray,
    label: int | None,
    *,
    engine: str = "auto",
) -> Iterator[Step]:
    """Yield each step of one sample, from the code that trains.

    Layers have tensors (channels, height, width), int64. A testbench uses this to name the first step, layer,
    neuron and quantity that differ. label None: the free phase alone. The compiled engine doesn't stop after
    each step, so "auto" is `Folded` here.
    """
    settings.check(spec)
    device = parameters.weights[0].device
    images = checked_images(tensor(image, "image")[None], spec)
    labels = None if label is None else checked_labels(np.array([label]), 1, spec).to(device)
    copies = working(spec, parameters)
    name = "folded" if engine == "auto" else engine
    if name not in MODEL_ENGINES:
        raise ModelError(f"a trace needs the engine {' or '.join(MODEL_ENGINES)}, not {name!r}")
    runner = MODEL_ENGINES[name](spec, copies)
    for step in steps(spec, settings, runner, copies, images.to(device, runner.dtype), labels):
        layers = [State(*(x[0].long() for x in layer)) for layer in step.layers]
        yield step._replace(layers=layers, drives=[phi[0].long() for phi in step.drives])
