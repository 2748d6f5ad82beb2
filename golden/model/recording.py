"""Recording of one sample: every quantity of every layer and sweep, as arrays.

The values are those of the steps that train (`golden.model.phases`), bit for bit, and so are the sums, the
prediction and the updates.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from nudge.golden.contract.spec import Spec
from nudge.plumbing.errors import ModelError

from .batch import checked_images, checked_labels, tensor
from .chunks import averaged, first_largest
from .engines import MODEL_ENGINES, Sums
from .parameters import Parameters, working
from .phases import Step, steps
from .settings import Settings

#: Largest share of the machine's free memory that a recording takes.
SHARE = 0.5

PHASES = ("free", "plus", "minus")


#: Types of the quantities, by field of `Layer`; each holds every value that `golden.contract` allows.
TYPES: dict[str, type[np.generic]] = {
    "spikes": np.int8,
    "membrane": np.int32,
    "drive": np.int32,
    "xi": np.int16,
    "decoder": np.int16,
}


@dataclass(frozen=True)
class Layer:
    """One layer in one phase: arrays (sweeps, channels, height, width), with the values after each sweep.

    In a nudged phase with fine spikes all values but the drive are deviations from the end of the free phase.
    """

    #: 0 or 1; fine spikes are -1, 0 or 1.
    spikes: np.ndarray
    #: U.
    membrane: np.ndarray
    #: phi that the sweep read.
    drive: np.ndarray
    #: 0..256; of a deviation -256..256.
    xi: np.ndarray
    #: d.
    decoder: np.ndarray
    #: xi summed over the averaging window at the phase's end: (channels, height, width), int64.
    window_sum: np.ndarray
    #: Value of integer 1, by quantity.
    lsb: Mapping[str, float]


def lsbs(spec: Spec, n: int, deviating: bool) -> dict[str, float]:
    """Return the LSBs of layer n's quantities by name. deviating: in a nudged phase with fine spikes."""
    formats, m = spec.formats, spec.schedule.fine[n - 1] if deviating else 0
    decoder, state = (2.0 ** -(point + m) for point in (formats.decoder_fraction, formats.state_fraction))
    drive = decoder * 2 ** min(spec.drive_shifts(n, deviating))
    return {"spikes": 2.0**-m, "membrane": state, "drive": drive, "xi": state, "decoder": decoder}


@dataclass(frozen=True)
class Update:
    """One sample's updates of a bundle's masters, int64, LSB 2^-15."""

    #: Shape `Bundle.weight_shape`.
    weight: np.ndarray
    #: Shape (post channels,).
    bias: np.ndarray


@dataclass(frozen=True)
class Recording:
    """One sample through all its phases."""

    spec: Spec
    #: uint8 (height, width), or (channels, height, width) for several channels.
    image: np.ndarray
    #: Label; None: the free phase alone.
    label: int | None
    prediction: int
    #: Layers 1..N in order, by phase: "free", "plus" and "minus".
    phases: dict[str, tuple[Layer, ...]]
    #: Updates of bundles 1..N; empty without a label.
    updates: tuple[Update, ...]

    def levels(self, n: int) -> dict[str, np.ndarray]:
        """Return xi of layer n by phase, 0..256, LSB 2^-8.

        With fine spikes a nudged phase has clip(xi of the free phase's end + (deviation >> m), 0, 256).
        """
        found = {phase: layers[n - 1].xi for phase, layers in self.phases.items()}
        start = found["free"][-1]
        for m in self.spec.schedule.fine[n - 1 : n]:
            for phase in found.keys() - {"free"}:
                found[phase] = (start + (found[phase] >> m)).clip(0, self.spec.formats.one)
        return found


def size(spec: Spec, settings: Settings, labelled: bool) -> int:
    """Return the size of a recording's arrays in bytes."""
    sweeps = settings.free_steps + 2 * settings.nudged_steps * labelled
    neurons = sum(layer.neurons for layer in spec.layers[1:])
    each = sum(np.dtype(kind).itemsize for kind in TYPES.values())
    sums = 8 * neurons * (1 + 2 * labelled)
    return sweeps * neurons * each + sums + 8 * spec.parameters * labelled


def free_memory() -> int:
    """Return the bytes of memory available without swapping."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def record(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    image: Tensor | np.ndarray,
    label: int | None,
    *,
    limit: int | None = None,
) -> Recording:
    """Record one uint8 image of the network's size; label None: the free phase alone.

    parameters: masters as of the last commit. limit: largest size of the recording in bytes, default half of
    the free memory; a larger one raises `ModelError` before anything is allocated.
    """
    settings.check(spec)
    images = checked_images(tensor(image, "image")[None], spec)
    labels = None if label is None else checked_labels(np.array([label]), 1, spec)
    limit = int(SHARE * free_memory()) if limit is None else limit
    if (needed := size(spec, settings, labels is not None)) > limit:
        sweeps = f"{settings.free_steps} + 2 x {settings.nudged_steps} sweeps"
        raise ModelError(
            f"a trace of {spec.name} over {sweeps} has {needed:,} bytes, {limit:,} are allowed: take fewer "
            "sweeps"
        )
    lengths = {"free": settings.free_steps}
    if labels is not None:
        lengths |= {"plus": settings.nudged_steps, "minus": settings.nudged_steps}
    arrays = {
        phase: [
            {name: np.empty((count, *layer.shape), kind) for name, kind in TYPES.items()}
            for layer in spec.layers[1:]
        ]
        for phase, count in lengths.items()
    }

    def kept(run: Iterator[Step]) -> Iterator[Step]:
        """Yield the same steps, and store each in the arrays."""
        for step in run:
            for store, state, phi in zip(arrays[step.phase], step.layers, step.drives, strict=True):
                values = {
                    "spikes": state.s,
                    "membrane": state.U,
                    "drive": phi,
                    "xi": state.xi,
                    "decoder": state.d,
                }
                for name, value in values.items():
                    store[name][step.t] = value[0].numpy()
            yield step

    copies = working(spec, parameters)
    engine = MODEL_ENGINES["folded"](spec, copies)
    pixels = images.to(engine.dtype)
    sums, _ = averaged(spec, settings, kept(steps(spec, settings, engine, copies, pixels, labels)))
    updates = []
    if labels is not None:
        all_sums = Sums(*(tuple(sums[phase]) for phase in Sums._fields))
        for bundle, *rates in zip(spec.bundles, settings.weight_rates, settings.bias_rates, strict=True):
            weight, bias = engine.updates(bundle, pixels, all_sums, (rates[0], rates[1]))
            updates.append(Update(weight.numpy(), bias.numpy()))
    phases = {
        phase: tuple(
            Layer(
                **store,
                window_sum=total[0].long().numpy(),
                lsb=lsbs(spec, n, bool(spec.schedule.fine) and phase != "free"),
            )
            for n, (store, total) in enumerate(zip(stores, sums[phase], strict=True), start=1)
        )
        for phase, stores in arrays.items()
    }
    prediction = int(first_largest(sums["free"][-1].flatten(1)))
    shown = images[0, 0] if spec.input.channels == 1 else images[0]
    return Recording(spec, shown.numpy(), label, prediction, phases, tuple(updates))
