"""`phases.averages` as a compiled loop (cpp/averages.cpp): the same arithmetic, many times as fast, without autograd.

It takes networks of dense links and average-pooled convolutions without zeros around their input, in float32 on the CPU;
`possible` says whether. A sample's result depends on nothing but the sample: not on its batch, nor on the number of threads.
Sums are in another order than torch's, so results agree to float32's rounding, and bit for bit where nothing is rounded.
"""

import ctypes
import functools
from pathlib import Path

import torch
from torch import Tensor

from golden import compiler
from golden.contract.errors import NativeError
from golden.contract.spec import CLASSES

from .network import Network, Parameters
from .neuron import Dynamics
from .pooling import ADJOINT

#: The file that is compiled; its folder has all headers that it includes.
MAIN = Path(__file__).with_name("cpp") / "averages.cpp"

#: What the C++ side's `Task` holds.
MAX_LAYERS = 16

KINDS = ("dense", "average")


_Layer = compiler.structure("_Layer", ("channels height width", ctypes.c_int32))
_Link = compiler.structure("_Link", ("kind kernel", ctypes.c_int32), ("forward_scale backward_scale", ctypes.c_float))
_Task = compiler.structure(
    "_Task",
    ("links spiking image_spikes clip_nudge softmax classes halves free nudged window phases", ctypes.c_int32),
    ("threshold beta", ctypes.c_float),
    ("layers", _Layer * MAX_LAYERS),
    ("link", _Link * MAX_LAYERS),
)


@functools.cache
def library() -> ctypes.CDLL:
    """Compiled now if it never was; `NativeError` if there is no compiler or it fails."""
    handle = compiler.load("paper", MAIN, "the paper's systems")
    handle.paper_averages.restype = ctypes.c_int32
    return handle


def possible(network: Network, pixels: Tensor) -> bool:
    """Whether `averages` takes this network and these pixels here."""
    links = all(link.kind in KINDS and not link.padding for link in network.links)
    fits = links and len(network.links) < MAX_LAYERS
    return fits and pixels.device.type == "cpu" and pixels.dtype == torch.float32 and compiler.available()


def averages(
    network: Network,
    dynamics: Dynamics,
    parameters: Parameters,
    pixels: Tensor,
    labels: Tensor | None,
    signs: tuple[int, ...] | None = None,
    threads: int | None = None,
) -> dict[str, list[Tensor]]:
    """What `phases.averages` says of the same arguments. threads: at most, default torch's (`OMP_NUM_THREADS`).

    Raises `NativeError` where it isn't `possible`, or if memory runs out.
    """
    if not possible(network, pixels):
        raise NativeError("no compiled form of this network, type or device: take golden.paper.systems.phases")
    signs = () if labels is None else signs or ((1, -1) if dynamics.three_phases else (1,))
    names = ["free", *("plus" if sign > 0 else "minus" for sign in signs)]
    task = _Task(
        links=len(network.dynamic),
        spiking=dynamics.spiking,
        image_spikes=dynamics.image_spikes,
        clip_nudge=dynamics.clip_nudge,
        softmax=network.softmax,
        classes=CLASSES,
        halves=dynamics.order == "odd-even",
        free=dynamics.free,
        nudged=dynamics.nudged,
        window=dynamics.window,
        phases=len(signs),
        threshold=dynamics.threshold,
        beta=dynamics.beta,
    )
    task.layers[0] = _Layer(*pixels.shape[1:])
    for n, link in enumerate(network.dynamic):
        pooled = link.kind != "dense"
        scales = (1 / ADJOINT, 1 / link.alpha) if pooled else (1.0, 1.0)
        task.layers[n + 1] = _Layer(*link.post)
        task.link[n] = _Link(KINDS.index(link.kind), link.kernel, *scales)
    moments = [dynamics.at(t) for t in range(dynamics.free + (dynamics.nudged if signs else 0))]
    sizes = [(ctypes.c_float * len(moments))(*x) for x in zip(*((now.prediction, now.rate) for now in moments), strict=True)]

    weights, biases = ([x.detach().float().contiguous() for x in group] for group in parameters)
    pixels, targets = pixels.contiguous(), None if labels is None else labels.to(torch.int64).contiguous()
    out = {name: [torch.zeros(len(pixels), *link.post) for link in network.dynamic] for name in names}

    failed = library().paper_averages(
        ctypes.byref(task),
        compiler.pointers(weights),
        compiler.pointers(biases),
        compiler.pointer(pixels),
        compiler.pointer(targets),
        (ctypes.c_int32 * len(signs))(*signs),
        *sizes,
        ctypes.c_int64(len(pixels)),
        ctypes.c_int64(threads or torch.get_num_threads()),
        compiler.pointers(x for name in names for x in out[name]),
    )
    if failed:
        raise NativeError(f"out of memory for {len(pixels)} images: take fewer threads or a smaller batch")
    return out
