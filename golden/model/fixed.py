"""The bit-exact model of the board: what it computes for an image, a batch, a whole training run.

Pure functions on `Parameters` and `Settings`; `FixedModel` at the end keeps the state and the counters that a board keeps.
Everything is an integer; `golden.model.ops` and `golden.model.engines` say why no float GEMM inside can change a
bit. So results do
not depend on the device, on threads, or on how a batch is split. The arithmetic is written out in docs/arithmetic.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from golden.contract.errors import ModelError
from golden.contract.spec import CLASSES, IMAGE_SIDE, MAX_STEPS, Learning, Spec

from . import native, ops
from .engines import ENGINES, Engine, Sums, Working
from .ops import State

#: Samples that are computed at once: larger ones fall out of the caches, smaller ones leave the GEMMs idle.
CHUNK = 256

#: Correlations (weights times samples) that are computed at once, for the same reason.
CORRELATIONS = 1 << 19



@dataclass(frozen=True)
class Settings:
    """Values of the board's registers. rates: lr / (2 beta batch) of each bundle, LSB 2^-18; beta: LSB 2^-8."""

    free_steps: int
    nudged_steps: int
    beta: int
    weight_rates: tuple[int, ...]
    bias_rates: tuple[int, ...]

    @classmethod
    def of(
        cls,
        spec: Spec,
        learning: Learning | None = None,
        *,
        free: int | None = None,
        nudged: int | None = None,
        epoch: int = 0,
    ) -> "Settings":
        """Register values of `learning` (default: the preset's) in an epoch: rates shrink by `learning.decay` each epoch,
        down to the smallest that a register holds."""
        learning = learning or spec.learning
        smallest = 2 * learning.beta * learning.batch / (1 << spec.formats.rate_fraction)

        def registers(rates: tuple[float, ...]) -> tuple[int, ...]:
            return tuple(
                spec.rate(b, lr=max(lr * learning.decay**epoch, min(lr, smallest)), beta=learning.beta, batch=learning.batch)
                for b, lr in zip(spec.bundles, rates, strict=True)
            )

        return cls(
            spec.schedule.free if free is None else free,
            spec.schedule.nudged if nudged is None else nudged,
            spec.beta(learning.beta),
            registers(learning.rates),
            registers(learning.rates if learning.bias_rates is None else learning.bias_rates),
        )

    def check(self, spec: Spec) -> None:
        """Raise `ModelError` where a register of the board would refuse its value."""
        f, n = spec.formats, len(spec.bundles)
        ranges = [(name, getattr(self, name), spec.schedule.window, MAX_STEPS) for name in ("free_steps", "nudged_steps")]
        ranges.append(("beta", self.beta, 1, (1 << f.beta_bits) - 1))
        for name in ("weight_rates", "bias_rates"):
            rates = getattr(self, name)
            if len(rates) != n:
                raise ModelError(f"{name} must have {n} entries, not {len(rates)}")
            ranges += [(f"{name}[{i}]", rate, 0, (1 << f.rate_bits) - 1) for i, rate in enumerate(rates)]
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise ModelError(f"{name} must be {low}..{high}, not {value}")


class Parameters(NamedTuple):
    """Masters of all bundles, int64, LSB 2^-15: weights in `Bundle.weight_shape`, biases (channels,)."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def to(self, device: torch.device | str) -> "Parameters":
        return Parameters(tuple(w.to(device) for w in self.weights), tuple(b.to(device) for b in self.biases))


def zeros(spec: Spec, device: torch.device | str = "cpu") -> Parameters:
    """All masters zero; the start of a batch's updates as well."""
    return Parameters(
        tuple(torch.zeros(b.weight_shape, dtype=torch.int64, device=device) for b in spec.bundles),
        tuple(torch.zeros(b.post.channels, dtype=torch.int64, device=device) for b in spec.bundles),
    )


def initial(spec: Spec, seed: int) -> Parameters:
    """Weights uniform in +-gain/sqrt(fan_in), drawn as integers by numpy's PCG64 bundle by bundle; biases zero."""
    random, f = np.random.Generator(np.random.PCG64(seed)), spec.formats
    weights = []
    for bundle in spec.bundles:
        bound = min(round((1 << f.master_fraction) * spec.learning.gain / bundle.fan_in**0.5), f.master_high)
        weights.append(torch.from_numpy(random.integers(-bound, bound, bundle.weight_shape, np.int64, endpoint=True)))
    return Parameters(tuple(weights), zeros(spec).biases)


def accumulate(parameters: Parameters, updates: Parameters) -> Parameters:
    """Add updates to the masters, not clipped: 18 bits hold the sum of any allowed batch (`Formats.update_bound`)."""
    return Parameters(
        tuple(w + u for w, u in zip(parameters.weights, updates.weights, strict=True)),
        tuple(b + u for b, u in zip(parameters.biases, updates.biases, strict=True)),
    )


def commit(spec: Spec, parameters: Parameters) -> Parameters:
    """End of a batch: masters clipped to [-1, 1)."""
    weights, biases = ([ops.commit(x, spec.formats) for x in group] for group in parameters)
    return Parameters(tuple(weights), tuple(biases))


def working(spec: Spec, parameters: Parameters) -> Working:
    """What the dynamics read: masters as of the last commit, rounded to 8 and 13 bits."""
    return Working(
        tuple(ops.working_weight(w, spec.formats) for w in parameters.weights),
        tuple(ops.working_bias(b, spec.formats) for b in parameters.biases),
    )


def mean(several: Sequence[Parameters]) -> Parameters:
    """Masters of several networks averaged, each rounded half up: noise of the last batches cancels."""
    count = len(several)

    def of(tensors: tuple[Tensor, ...]) -> Tensor:
        return torch.div(2 * torch.stack(tensors).sum(0) + count, 2 * count, rounding_mode="floor")

    weights, biases = (tuple(of(each) for each in zip(*group, strict=True)) for group in zip(*several, strict=True))
    return Parameters(weights, biases)


class Step(NamedTuple):
    """All layers after one step. phase: "free", "plus" or "minus"; t: from 0 within the phase; layers: 1..N in order."""

    phase: str
    t: int
    layers: list[State]


def steps(
    spec: Spec, settings: Settings, engine: Engine, copies: Working, images: Tensor, labels: Tensor | None
) -> Iterator[Step]:
    """The dynamics: every step of every phase. Training, inference and traces all read this one.

    images: (batch, 1, 28, 28) integers. labels: (batch,), or None for the free phase alone.
    """
    biases = [b.to(engine.dtype)[:, None, None] for b in copies.biases]
    static = engine.static(images)
    rest = [torch.zeros((len(images), *layer.shape), dtype=engine.dtype, device=images.device) for layer in spec.layers[1:]]

    def phase(name: str, layers: list[State], count: int, sign: int, target: Tensor | None) -> Iterator[Step]:
        for t in range(count):
            phi = engine.drives(static, [layer.s for layer in layers])
            nudged: list[Tensor | None] = [None] * len(layers)
            if target is not None:
                nudged[-1] = ops.nudge(layers[-1].xi, target, settings.beta, sign, spec.formats)
            layers = [ops.neuron(*each, spec) for each in zip(layers, phi, biases, nudged, strict=True)]
            yield Step(name, t, layers)

    kept = [State(z, z, z, z) for z in rest]
    for step in phase("free", kept, settings.free_steps, 0, None):
        yield step
        kept = step.layers
    if labels is None:
        return
    target = torch.zeros((len(images), CLASSES, 1, 1), dtype=engine.dtype, device=images.device)
    target.scatter_(1, labels[:, None, None, None], spec.formats.one)
    yield from phase("plus", kept, settings.nudged_steps, 1, target)
    yield from phase("minus", kept, settings.nudged_steps, -1, target)


class Result(NamedTuple):
    """Of a batch. predictions: (batch,) int64; spikes: of each layer 1..N over all samples, steps, phases; updates: summed."""

    predictions: Tensor
    spikes: list[int]
    updates: Parameters


def _checked_images(images: Tensor | np.ndarray) -> Tensor:
    images = torch.as_tensor(images)
    if images.dtype != torch.uint8 or images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
        raise ModelError(f"images must be uint8 (n, {IMAGE_SIDE}, {IMAGE_SIDE}), not {images.dtype} {tuple(images.shape)}")
    return images


def _checked_labels(labels: Tensor | np.ndarray, count: int) -> Tensor:
    labels = torch.as_tensor(labels).long()
    if labels.shape != (count,):
        raise ModelError(f"labels must be ({count},), one for each image, not {tuple(labels.shape)}")
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < CLASSES:
        raise ModelError(f"labels must be 0..{CLASSES - 1}, not {int(labels.min())}..{int(labels.max())}")
    return labels


def _run(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor | np.ndarray,
    labels: Tensor | np.ndarray | None,
    engine: str,
    threads: int | None,
) -> Result:
    """Predictions, spikes and, with labels, updates; chunk by chunk."""
    settings.check(spec)
    device = parameters.weights[0].device
    images = _checked_images(images).to(device)
    targets = None if labels is None else _checked_labels(labels, len(images)).to(device)
    copies = working(spec, parameters)
    if _engine(engine, device) == "native":
        all_rates = list(zip(settings.weight_rates, settings.bias_rates, strict=True))
        phases = settings.free_steps, settings.nudged_steps
        predicted, fired, *summed = native.run(spec, phases, settings.beta, all_rates, copies, images, targets, threads)
        return Result(predicted, fired, Parameters(*map(tuple, summed)))
    runner = ENGINES[_engine(engine, device)](spec, copies)
    ends = {"free": settings.free_steps, "plus": settings.nudged_steps, "minus": settings.nudged_steps}
    spikes = [0] * len(spec.bundles)
    updates = zeros(spec, device)
    predictions = [torch.zeros(0, dtype=torch.int64, device=device)]
    for at in range(0, len(images), CHUNK):
        pixels = images[at : at + CHUNK, None].to(runner.dtype)
        target = None if targets is None else targets[at : at + CHUNK]
        sums: dict[str, list[Tensor]] = {phase: [] for phase in ends}
        for step in steps(spec, settings, runner, copies, pixels, target):
            spikes = [total + int(layer.s.count_nonzero()) for total, layer in zip(spikes, step.layers, strict=True)]
            window = step.t - ends[step.phase] + spec.schedule.window
            if window == 0:
                sums[step.phase] = [layer.xi.clone() for layer in step.layers]
            elif window > 0:
                for total, layer in zip(sums[step.phase], step.layers, strict=True):
                    total += layer.xi
        predictions.append(_first_largest(sums["free"][-1].flatten(1)))
        if targets is not None:
            for bundle in spec.bundles:
                rates = settings.weight_rates[bundle.index - 1], settings.bias_rates[bundle.index - 1]
                size = max(1, CORRELATIONS // bundle.weights)
                for part in range(0, len(pixels), size):
                    both = (tuple(x[part : part + size] for x in sums[phase]) for phase in ("plus", "minus"))
                    weight, bias = runner.updates(bundle, pixels[part : part + size], Sums(*both), rates)
                    updates.weights[bundle.index - 1].add_(weight)
                    updates.biases[bundle.index - 1].add_(bias)
    return Result(torch.cat(predictions), spikes, updates)


def _engine(name: str, device: torch.device) -> str:
    """What "auto" means here: the compiled engine where it can run, else the fastest that torch alone has."""
    if name != "auto":
        return name
    return "native" if device.type == "cpu" and native.available() else "folded"


def _first_largest(sums: Tensor) -> Tensor:
    """Index of the largest in each row, the lowest on a tie (torch's argmax leaves ties open)."""
    scores = sums.long() * CLASSES + torch.arange(CLASSES - 1, -1, -1, device=sums.device)
    return scores.argmax(1)


def infer(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor | np.ndarray,
    *,
    engine: str = "auto",
    threads: int | None = None,
) -> tuple[Tensor, list[int]]:
    """Predictions (n,) of images (n, 28, 28) uint8, and spikes of each layer 1..N: the free phase alone.

    threads: of the compiled engine, default one for each processor; torch has its own setting.
    """
    result = _run(spec, settings, parameters, images, None, engine, threads)
    return result.predictions, result.spikes


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
    """Three phases on each image: predictions, spikes and the summed updates. parameters: masters as of the last commit.

    threads: as for `infer`.
    """
    return _run(spec, settings, parameters, images, labels, engine, threads)


def trace(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    image: Tensor | np.ndarray,
    label: int | None,
    *,
    engine: str = "auto",
) -> Iterator[Step]:
    """Each step of one sample (28, 28), by the code that trains: layers hold tensors (channels, height, width), int64.

    For a bench, to name the first step, layer, neuron and quantity that differ. label None: the free phase alone.
    """
    settings.check(spec)
    device = parameters.weights[0].device
    images = _checked_images(torch.as_tensor(image)[None])
    labels = None if label is None else _checked_labels(torch.tensor([label]), 1).to(device)
    copies = working(spec, parameters)
    # The compiled engine doesn't stop after each step.
    runner = ENGINES["folded" if engine == "auto" else engine](spec, copies)
    for step in steps(spec, settings, runner, copies, images[:, None].to(device, runner.dtype), labels):
        yield step._replace(layers=[State(*(x[0].long() for x in layer)) for layer in step.layers])


class FixedModel:
    """A board without the wires: the same operations, state and counters.

    spikes: of layers 1..N, all phases, mod 2^32. samples, errors, pending: as in
    `golden.contract.protocol.registers`. The board's
    refusals hold here too: `train` beyond the batch register raises `ModelError`.
    """

    def __init__(
        self,
        spec: Spec,
        settings: Settings | None = None,
        parameters: Parameters | None = None,
        *,
        device: torch.device | str = "cpu",
        engine: str = "auto",
        threads: int | None = None,
    ):
        self.spec = spec
        self.settings = settings or Settings.of(spec)
        self.engine = engine
        self.threads = threads
        self.device = device
        self.pending = 0
        if _engine(engine, torch.device(device)) == "native":
            native.library()  # now, not in the first batch, whose time is taken
        self.clear()
        self.load(parameters if parameters is not None else zeros(spec))

    @property
    def parameters(self) -> Parameters:
        """Masters; while samples are pending, those of the last commit."""
        return self._committed

    def load(self, parameters: Parameters) -> None:
        """Write all masters and commit."""
        for bundle, w, b in zip(self.spec.bundles, *parameters, strict=True):
            if tuple(w.shape) != bundle.weight_shape or tuple(b.shape) != (bundle.post.channels,):
                raise ModelError(
                    f"bundle {bundle.index}: weight and bias must be {bundle.weight_shape} and ({bundle.post.channels},), "
                    f"not {tuple(w.shape)} and {tuple(b.shape)}"
                )
        if self.pending:
            raise ModelError(f"weights can't be written while {self.pending} samples are pending: commit first")
        self._committed = commit(self.spec, parameters.to(self.device))
        self._updates = zeros(self.spec, self.device)

    def write_settings(self, settings: Settings) -> None:
        """Set steps, beta and rates."""
        settings.check(self.spec)
        self.settings = settings

    def read(self) -> Parameters:
        """Masters as of the last commit, on the CPU. Refused while samples are pending."""
        if self.pending:
            raise ModelError(f"masters can't be read while {self.pending} samples are pending: commit first")
        return self._committed.to("cpu")

    def train(self, images: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> Tensor:
        """Train on images (n, 28, 28); predictions (n,). The masters change at `commit`."""
        if self.pending + len(images) > self.spec.formats.max_batch:
            raise ModelError(
                f"{self.pending} pending samples and {len(images)} more: at most {self.spec.formats.max_batch} between commits"
            )
        result = self._compute(images, labels)
        self._updates = accumulate(self._updates, result.updates)
        self.pending += len(images)
        self._count(result.predictions, labels, result.spikes)
        return result.predictions

    def commit(self) -> int:
        """Make the pending samples' updates final; how many samples that were."""
        self._committed = commit(self.spec, accumulate(self._committed, self._updates))
        self._updates = zeros(self.spec, self.device)
        done, self.pending = self.pending, 0
        return done

    def infer(self, images: Tensor | np.ndarray, labels: Tensor | np.ndarray | None = None) -> Tensor:
        """Predictions (n,). Without labels no errors are counted."""
        result = self._compute(images, None)
        self._count(result.predictions, labels, result.spikes)
        return result.predictions

    def _compute(self, images: Tensor | np.ndarray, labels: Tensor | np.ndarray | None) -> Result:
        """Training with labels, inference without; nothing is kept yet."""
        return _run(self.spec, self.settings, self._committed, images, labels, self.engine, self.threads)

    def clear(self) -> None:
        """Zero all counters but `pending`."""
        self.samples = self.errors = 0
        self.spikes = [0] * len(self.spec.bundles)

    def _count(self, predictions: Tensor, labels: Tensor | np.ndarray | None, spikes: list[int]) -> None:
        self.samples += len(predictions)
        if labels is not None:
            self.errors += int((predictions.cpu() != torch.as_tensor(labels).cpu()).sum())
        self.spikes = [(total + new) % 2**32 for total, new in zip(self.spikes, spikes, strict=True)]
