"""`phases.averages` and its derivative as compiled loops (cpp/paper.cpp): the same arithmetic, many times as
fast.

Supported are dense links and average-pooled convolutions without padding, in float32 on the CPU, and
maximum-pooled convolutions without spikes (not their derivative); `possible` and `differentiable` check this.
A sample's result depends on the sample alone, not on its batch or the number of threads. Sums are in another
order than torch's, so results agree up to float32's rounding, and bit for bit where nothing is rounded.
"""

import ctypes
import functools
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nudge.plumbing import compiler
from nudge.plumbing.errors import NativeError

from . import deviation
from .network import Network, Parameters
from .neuron import Dynamics
from .pooling import ADJOINT

#: The file that is compiled; its folder has all headers that it includes.
MAIN = Path(__file__).with_name("cpp") / "paper.cpp"

#: Size of the arrays of layers and links in the C++ `Task`.
MAX_LAYERS = 16

KINDS = ("dense", "average", "maximum")


_Layer = compiler.structure("_Layer", ("channels height width", ctypes.c_int32))
_Link = compiler.structure(
    "_Link", ("kind kernel", ctypes.c_int32), ("forward_scale backward_scale", ctypes.c_float)
)
_Task = compiler.structure(
    "_Task",
    (
        "links spiking image_spikes clip_nudge softmax classes halves free nudged window phases",
        ctypes.c_int32,
    ),
    ("threshold beta still", ctypes.c_float),
    ("deviations", ctypes.c_int32),
    ("unit", ctypes.c_float * MAX_LAYERS),
    ("layers", _Layer * MAX_LAYERS),
    ("link", _Link * MAX_LAYERS),
)


@functools.cache
def library() -> ctypes.CDLL:
    """Return the library, compiled at the first use; `NativeError` if there is no compiler or it fails."""
    handle = compiler.load("paper", MAIN, "the paper's systems")
    for function in (handle.paper_averages, handle.paper_settling, handle.paper_gradient):
        function.restype = ctypes.c_int32
    return handle


def possible(network: Network, dynamics: Dynamics, pixels: Tensor) -> bool:
    """Return whether `averages` supports this network, these dynamics and these pixels on this machine."""
    fits = not any(link.padding for link in network.links) and len(network.links) < MAX_LAYERS
    if _maximum(network):
        plain = not (dynamics.spiking or dynamics.rate_decay or network.softmax)
        fits = fits and plain and dynamics.window == 1 and dynamics.order == "all"
    else:
        fits = fits and dynamics.still is None
    return fits and pixels.device.type == "cpu" and pixels.dtype == torch.float32 and compiler.available()


def _maximum(network: Network) -> bool:
    """Return whether the network has maximum pooling, whose samples are computed one by one."""
    return network.pooling == "maximum"


def _results(*shape: int) -> Tensor:
    """Return a tensor of float32 zeros for results of the library."""
    return torch.zeros(shape, dtype=torch.float32, device="cpu")


class _Call:
    """The arguments that all functions of the library share, kept alive while it runs."""

    def __init__(
        self,
        network: Network,
        dynamics: Dynamics,
        parameters: Parameters,
        pixels: Tensor,
        labels: Tensor | None,
        phases: int,
    ) -> None:
        if not possible(network, dynamics, pixels):
            what = "this network, these dynamics, this type or device"
            raise NativeError(f"no compiled form of {what}: take paper.systems.phases")
        self._task = _task(network, dynamics, pixels, phases)
        self._groups = [[x.detach().float().contiguous() for x in group] for group in parameters]
        self._pixels = pixels.contiguous()
        self._labels = None if labels is None else labels.to(torch.int64).contiguous()
        moments = [dynamics.at(t) for t in range(dynamics.free + (dynamics.nudged if phases else 0))]
        sizes = zip(*((now.prediction, now.rate) for now in moments), strict=True)
        self.sizes = [(ctypes.c_float * len(moments))(*x) for x in sizes]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The task, weights, biases, images and labels."""
        images, labels = compiler.pointer(self._pixels), compiler.pointer(self._labels)
        return ctypes.byref(self._task), *map(compiler.pointers, self._groups), images, labels

    def counts(self, threads: int | None) -> tuple[ctypes.c_int64, ctypes.c_int64]:
        """Return the number of images and the maximum number of threads."""
        return ctypes.c_int64(len(self._pixels)), ctypes.c_int64(threads or torch.get_num_threads())

    def check(self, failed: int) -> None:
        """Raise `NativeError` if the library's result is not 0."""
        if failed:
            raise NativeError(
                f"out of memory for {len(self._pixels)} images: take fewer threads or a smaller batch"
            )


def _task(network: Network, dynamics: Dynamics, pixels: Tensor, phases: int) -> ctypes.Structure:
    """Return the C++ `Task` of the network and its steps. phases: number of nudged phases."""
    task = _Task(
        links=len(network.dynamic),
        spiking=dynamics.spiking,
        image_spikes=dynamics.image_spikes,
        clip_nudge=dynamics.clip_nudge,
        softmax=network.softmax,
        classes=network.classes,
        halves=dynamics.order == "odd-even",
        free=dynamics.free,
        nudged=dynamics.nudged,
        window=dynamics.window,
        phases=phases,
        threshold=dynamics.threshold,
        beta=dynamics.beta,
        still=-1 if dynamics.still is None else dynamics.still,
        deviations=dynamics.fine is not None,
    )
    task.layers[0] = _Layer(*pixels.shape[1:])
    for n, link in enumerate(network.dynamic):
        forward, backward = (1 / ADJOINT, 1 / link.alpha) if link.kind == "average" else (1.0, 1.0)
        task.layers[n + 1] = _Layer(*link.post)
        task.unit[n + 1] = 0 if dynamics.fine is None else deviation.unit(dynamics, n + 1)
        task.link[n] = _Link(KINDS.index(link.kind), link.kernel, forward, backward * link.feedback)
    return task


def averages(
    network: Network,
    dynamics: Dynamics,
    parameters: Parameters,
    pixels: Tensor,
    labels: Tensor | None,
    signs: tuple[int, ...] | None = None,
    threads: int | None = None,
) -> dict[str, list[Tensor]]:
    """Return the result of `phases.averages` for the same arguments, without autograd.

    threads: maximum number of threads, by default torch's (`OMP_NUM_THREADS`). Raises `NativeError` if not
    `possible`, or if memory runs out.
    """
    signs = () if labels is None else signs or ((1, -1) if dynamics.three_phases else (1,))
    names = ["free", *("plus" if sign > 0 else "minus" for sign in signs)]
    call = _Call(network, dynamics, parameters, pixels, labels, len(signs))
    out = {name: [_results(len(pixels), *link.post) for link in network.dynamic] for name in names}
    everything = compiler.pointers(x for name in names for x in out[name])
    given = (ctypes.c_int32 * len(signs))(*signs)
    function = library().paper_settling if _maximum(network) else library().paper_averages
    call.check(function(*call.inputs, given, *call.sizes, *call.counts(threads), everything))
    return out


class Gradient(NamedTuple):
    """Derivatives of a loss summed over the batch through the free phase. Lists are of layers 1 to N."""

    #: Averaged xi of the last layer, (batch, c, h, w).
    last: Tensor
    #: Output s of the layer after each step, (steps, batch, c, h, w) each.
    sent: list[Tensor]
    #: Derivative by the drive phi, eq. 9, of each step, (steps, batch, c, h, w) each.
    drives: list[Tensor]
    #: Derivative by the bias at each neuron, summed over steps, (batch, c, h, w) each.
    biases: list[Tensor]


def differentiable(network: Network, dynamics: Dynamics) -> bool:
    """Return whether `gradient` supports this: backward drives that are the adjoint of the forward ones, no
    maximum pooling, a constant image, and a free phase with all its steps."""
    adjoint = network.feedback == 1 and all(
        link.kind == "dense" or link.alpha == ADJOINT for link in network.links
    )
    return adjoint and not _maximum(network) and not dynamics.image_spikes and dynamics.still is None


def gradient(
    network: Network,
    dynamics: Dynamics,
    parameters: Parameters,
    pixels: Tensor,
    labels: Tensor,
    threads: int | None = None,
) -> Gradient:
    """Backpropagate `backprop.loss` times the batch size through the free phase.

    Raises `NativeError` unless `possible` and `differentiable`, or if memory runs out.
    """
    if not differentiable(network, dynamics):
        raise NativeError(
            "no compiled derivative of maxima, of a way back that isn't the adjoint, or of an image as spikes"
        )
    call = _Call(network, dynamics, parameters, pixels, labels, 0)
    shapes = [(len(pixels), *link.post) for link in network.dynamic]
    steps = [(dynamics.free, *shape) for shape in shapes]
    last, biases = _results(*shapes[-1]), [_results(*shape) for shape in shapes]
    sent, drives = ([_results(*shape) for shape in steps] for _ in range(2))
    lists = [compiler.pointers(x) for x in (sent, drives, biases)]
    outputs = (*call.counts(threads), compiler.pointer(last), *lists)
    call.check(library().paper_gradient(*call.inputs, *call.sizes, *outputs))
    return Gradient(last, sent, drives, biases)
