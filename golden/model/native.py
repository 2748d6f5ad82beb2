"""The compiled engine: golden/model/cpp, called through ctypes. Equal bits, many times the speed.

It needs a C++ compiler (`plumbing.compiler`); without one everything works, only slower.
"""

import ctypes
import functools
from pathlib import Path

import torch
from torch import Tensor

from nudge.golden.contract.schedule import MAX_DECAY_SHIFT
from nudge.golden.contract.spec import Spec
from nudge.plumbing import compiler
from nudge.plumbing.errors import ModelError, NativeError
from nudge.plumbing.progress import note

from .engines import HALF
from .parameters import Parameters, zeros
from .result import Result
from .settings import Settings

#: The source file to compile; its folder has all headers that it includes.
MAIN = Path(__file__).with_name("cpp") / "native.cpp"

#: Layers that the C++ side's `Network` has room for.
MAX_LAYERS = 16

KINDS = ("image", "conv", "dense", "pixels")


_Layer = compiler.structure("_Layer", ("channels height width", ctypes.c_int32))
_Shifts = compiler.structure("_Shifts", ("below above rest", ctypes.c_int32))
_Bundle = compiler.structure(
    "_Bundle", ("kind kernel padding weight_shift weight_rate bias_rate", ctypes.c_int32)
)

#: `Network` of cpp/network.h: same order, same types.
_Network = compiler.structure(
    "_Network",
    (
        "bundles classes averaging_window decay_shift halvings turns free_steps nudged_steps beta",
        ctypes.c_int32,
    ),
    ("fine", ctypes.c_int32),
    ("linear_output", ctypes.c_int32),
    ("vector_field", ctypes.c_int32),
    ("round_shift nudge_shift static_shift bias_shift one_bits threshold", ctypes.c_int32),
    ("decoder_low decoder_high update_bound", ctypes.c_int32),
    ("weight_round weight_high bias_round bias_high", ctypes.c_int32),
    ("halving", ctypes.c_int32 * (MAX_DECAY_SHIFT + 1)),
    ("point", ctypes.c_int32 * MAX_LAYERS),
    ("shifts", _Shifts * MAX_LAYERS * 2),
    ("layers", _Layer * MAX_LAYERS),
    ("bundle", _Bundle * MAX_LAYERS),
)


@functools.cache
def library() -> ctypes.CDLL:
    """Return the compiled engine; compile it if it never was.

    `NativeError` if there is no compiler or it fails. Call it before any measurement of time: compiling takes
    as long as a whole epoch of a small network.
    """
    handle = compiler.load("native", MAIN, "the native engine")
    handle.nudge_run.restype = ctypes.c_int32
    return handle


def check(spec: Spec) -> None:
    """Raise `NativeError` if a network exceeds a bound that makes the C++ arithmetic exact."""
    if len(spec.layers) > MAX_LAYERS:
        raise NativeError(f"at most {MAX_LAYERS} layers, not {len(spec.layers)}")
    f = spec.formats
    if f.weight_bits > 8:
        raise NativeError(f"a working weight must fit a byte, not {f.weight_bits} bits")
    weighed = spec.membrane_high + (f.one << spec.schedule.last_shift)
    if f.decoder_bits > 16 or weighed >= 1 << 15:
        raise NativeError(
            f"d has {f.decoder_bits} bits, and U + (xi << k) reaches {weighed}: 16 bits are for each"
        )
    # half of the range of 32 bits: the rest is for the terms added to a drive
    largest = max(spec.static_bound, spec.drive_bound)
    if largest >= HALF:
        raise NativeError(f"a drive may reach {largest}, the limit is {HALF}")
    top = f.one << spec.schedule.window_log2
    for bundle in spec.bundles:
        # a convolution adds four sums under each pooled position; two such sums are packed into 32 bits
        most = (4 if bundle.kind == "conv" else 1) * (2 if spec.schedule.fine else 1) * top
        if most >= 1 << 15:
            raise NativeError(
                f"bundle {bundle.index}: a sum over the averaging window may reach {most}: too much for 16 "
                "bits"
            )
        bound = spec.correlation_bound(bundle) << f.rate_bits
        if bound >= 1 << 62 or (bundle.full and bound >> spec.weight_shift(bundle) >= HALF):
            raise NativeError(
                f"bundle {bundle.index}: g times its rate may reach {bound}: too much for an update"
            )


@functools.cache
def can_run(spec: Spec) -> bool:
    """Return whether a network satisfies `check`; if not, print the reason once."""
    try:
        check(spec)
    except NativeError as error:
        note(f"{spec.name}, {error}: taking the slower engine")
        return False
    return True


@functools.cache
def _network(spec: Spec) -> bytes:
    """Return a network's constant fields as `_Network`; `NativeError` as in `check`."""
    check(spec)
    f = spec.formats
    net = _Network(
        bundles=len(spec.bundles),
        classes=spec.classes,
        averaging_window=spec.schedule.window,
        decay_shift=spec.schedule.decay_shift,
        halvings=len(spec.schedule.halvings),
        turns=len(spec.turns),
        fine=bool(spec.schedule.fine),
        linear_output=spec.schedule.linear_output,
        vector_field=spec.schedule.vector_field,
        round_shift=f.round_shift,
        nudge_shift=f.nudge_shift,
        static_shift=spec.static_shift,
        bias_shift=spec.bias_shift,
        one_bits=f.state_fraction,
        threshold=f.threshold,
        decoder_low=f.decoder_low,
        decoder_high=f.decoder_high,
        update_bound=f.update_bound,
        weight_round=f.master_fraction - f.weight_fraction,
        weight_high=f.weight_high,
        bias_round=f.master_fraction - f.bias_fraction,
        bias_high=f.bias_high,
    )
    for n, at in enumerate(spec.schedule.halvings):
        net.halving[n] = at
    for layer in spec.layers:
        net.layers[layer.index] = _Layer(*layer.shape)
    for n in range(1, len(spec.layers)):
        for mode in range(2 if spec.schedule.fine else 1):
            below, above = spec.drive_shifts(n, bool(mode))
            rest = min(below, above)
            net.shifts[mode][n] = _Shifts(below - rest, above - rest, rest)
        net.point[n] = spec.schedule.fine[n - 1] if spec.schedule.fine else 0
    for n, bundle in enumerate(spec.bundles):
        net.bundle[n] = _Bundle(
            KINDS.index(bundle.kind), bundle.kernel, bundle.padding, spec.weight_shift(bundle)
        )
    return bytes(net)


def run(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor,
    labels: Tensor | None,
    threads: int | None = None,
) -> Result:
    """Return predictions, spikes and, with labels, updates.

    parameters: masters, int64. images: uint8 (n, channels, height, width). threads: at most, default torch's
    (`OMP_NUM_THREADS`); each takes a sample at a time. Their number never changes a bit: if fewer can be
    started, those do the work.
    """
    if threads is not None and threads < 1:
        raise ModelError(f"threads must be at least 1, not {threads}")
    net = _Network.from_buffer_copy(_network(spec))
    net.free_steps, net.nudged_steps, net.beta = settings.free_steps, settings.nudged_steps, settings.beta
    for n, rates in enumerate(zip(settings.weight_rates, settings.bias_rates, strict=True)):
        net.bundle[n].weight_rate, net.bundle[n].bias_rate = rates

    if labels is not None and len(images) * spec.formats.update_bound >= 1 << 31:
        most = ((1 << 31) - 1) // spec.formats.update_bound
        raise NativeError(
            f"at most {most:,} images are learned at once (sums of updates have 32 bits), not {len(images):,}"
        )

    masters = [tuple(x.contiguous() for x in group) for group in (parameters.weights, parameters.biases)]
    images = images.contiguous()
    targets = None if labels is None else labels.to(torch.int64).contiguous()
    predictions = torch.zeros(len(images), dtype=torch.int64, device="cpu")
    spikes = torch.zeros(len(spec.bundles), dtype=torch.int64, device="cpu")
    updates = zeros(spec)

    worked = library().nudge_run(
        ctypes.byref(net),
        *map(compiler.pointers, masters),
        *map(compiler.pointer, (images, targets)),
        ctypes.c_int64(len(images)),
        ctypes.c_int64(threads or torch.get_num_threads()),
        *map(compiler.pointer, (predictions, spikes)),
        *map(compiler.pointers, (updates.weights, updates.biases)),
        compiler.pointers(updates.means) if updates.means and labels is not None else None,
    )
    if worked < 0:
        raise NativeError(
            f"out of memory for {len(images)} images of {spec.name}: take fewer threads or a smaller batch"
        )
    return Result(predictions, spikes.tolist(), updates)
