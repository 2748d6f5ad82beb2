"""A network with its schedule and formats, and each width that follows from them, with its proof.

Everything here is plain data with no dependency, so that gateware, host and model read the same numbers. Those of single
quantities are in `golden.contract.formats`, shapes in `golden.contract.shapes`, steps in `golden.contract.schedule`.
"""

import json
import reprlib
import zlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise

from plumbing.errors import SpecError

from .formats import Formats, signed_bits
from .lanes import Lanes
from .schedule import FOLLOW, Schedule, turns
from .shapes import Bundle, Conv, Dense, Input, Layer


@dataclass(frozen=True)
class Learning:
    """Default hyper-parameters. On the board they are registers; nothing here needs a rebuild."""

    #: Learning rate of each bundle, input to output (paper Table I order).
    rates: tuple[float, ...]
    #: The same for biases; None: `rates`.
    bias_rates: tuple[float, ...] | None = None
    #: Strength of the nudge.
    beta: float = 0.5
    #: Samples between two commits.
    batch: int = 32
    #: Initial weights are uniform in +-gain/sqrt(fan_in).
    gain: float = 1.0
    #: Factor on the rates after each epoch.
    decay: float = 1.0


#: Side of the square images and number of classes of MNIST and FashionMNIST, which an `Input` has unless it says otherwise.
IMAGE_SIDE, CLASSES = Input.height, Input.classes


@dataclass(frozen=True)
class Spec:
    """A network with its schedule and formats: all that fixes the result of training, bit for bit."""

    name: str
    stages: tuple[Conv | Dense, ...]
    schedule: Schedule
    learning: Learning
    formats: Formats = field(default_factory=Formats)
    #: Lanes by kind of engine or by board. They change no result, so networks that differ in them alone are equal.
    lanes: tuple[tuple[str, Lanes], ...] = field(default=(), compare=False, repr=False)
    #: The images and classes.
    input: Input = field(default_factory=Input)

    def __post_init__(self) -> None:
        for n, stage in enumerate(self.stages, start=1):
            if not isinstance(stage, Conv | Dense):
                raise SpecError(f"stage {n} must be Conv or Dense, not {reprlib.repr(stage)}")
        if not self.stages or not isinstance(self.stages[-1], Dense):
            raise SpecError("the last stage must be Dense")
        if self.stages[-1].units != self.classes:
            raise SpecError(f"the last stage must have {self.classes} units, one for each class, not {self.stages[-1].units}")
        kinds = [isinstance(stage, Dense) for stage in self.stages]
        if kinds != sorted(kinds):
            raise SpecError("Conv stages must come before Dense stages")
        for name in ("rates", "bias_rates"):
            rates = getattr(self.learning, name)
            if rates is not None and len(rates) != len(self.stages):
                raise SpecError(f"learning.{name} must have {len(self.stages)} entries, not {len(rates)}")
        self._shapes  # raises where a kernel does not fit
        self._check_shifts()

    def _check_shifts(self) -> None:
        """Nothing of a drive is lost: what comes from either side is shifted left, on the way to d's LSB."""
        schedule, room = self.schedule, self.formats.drive_shift
        if schedule.feedback_shift > room:
            raise SpecError(
                f"feedback_shift must be 0..{room} (phi has so many binary places less than d), not {schedule.feedback_shift}"
            )
        if not schedule.fine:
            return
        if len(schedule.fine) != len(self.stages):
            raise SpecError(f"fine must have {len(self.stages)} binary points, one a stage, not {len(schedule.fine)}")
        for pre, post in pairwise(schedule.fine):
            if pre - post > room:
                raise SpecError(f"fine may fall by {room} at most from layer to layer, not from {pre} to {post}")

    @cached_property
    def _shapes(self) -> list[tuple[int, int, int]]:
        """(channels, height, width) of layers 0 to N."""
        shapes = [self.input.shape]
        for n, stage in enumerate(self.stages, start=1):
            _, height, width = shapes[-1]
            if isinstance(stage, Dense):
                shapes.append((stage.units, 1, 1))
                continue
            largest = min(height, width) - 1
            if stage.kernel > largest:
                below = f"layer {n - 1} is {height}x{width}"
                if not largest:
                    raise SpecError(f"stage {n} can't be a Conv with kernel {stage.kernel}: {below}, nothing is left to pool")
                raise SpecError(f"stage {n}: kernel must be 1..{largest} ({below}, and 2x2 are pooled), not {stage.kernel}")
            shapes.append((stage.channels, (height - stage.kernel + 1) // 2, (width - stage.kernel + 1) // 2))
        return shapes

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers 0 (the image) to N (the output)."""
        shapes, f = self._shapes, self.formats
        largest = -f.weight_low
        bounds = [0] * len(shapes)
        for n, stage in enumerate(self.stages, start=1):
            pre, post = shapes[n - 1], shapes[n]
            if n == 1:
                bounds[n] += (self.static_bound + (1 << (self.static_shift - 1))) >> self.static_shift
            elif isinstance(stage, Dense):
                # LSB 2^-7 spikes times weights, brought to 2^-9: times 4 in both directions.
                bounds[n] += 4 * largest * pre[0] * pre[1] * pre[2]
                bounds[n - 1] += 4 * largest * post[0]
            else:
                # forward: 4 pooled convolutions; backward: each of k*k convolution positions sees one spike
                bounds[n] += 4 * largest * pre[0] * stage.kernel**2
                bounds[n - 1] += largest * post[0] * stage.kernel**2
        return tuple(Layer(n, *shape, phi_bound=bound) for n, (shape, bound) in enumerate(zip(shapes, bounds, strict=True)))

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """Bundles 1 to N; `bundles[n - 1]` joins layers n-1 and n."""
        out = []
        for n, stage in enumerate(self.stages, start=1):
            pre, post = self.layers[n - 1], self.layers[n]
            if isinstance(stage, Conv):
                out.append(Bundle(n, "image" if n == 1 else "conv", stage.kernel, pre, post))
            else:
                out.append(Bundle(n, "pixels" if n == 1 else "dense", 1, pre, post))
        return tuple(out)

    @cached_property
    def turns(self) -> tuple[tuple[int, ...], ...]:
        """Layers that step together, in the order in which they do within a step.

        A layer has drives of its neighbours alone, so an odd one of even ones and the reverse: in either order each bundle is
        used once forwards and once backwards in a step.
        """
        return turns(self.schedule.order, len(self.layers) - 1)

    @property
    def begins_as_mnist(self) -> bool:
        """Whether it begins with a convolution of MNIST's images: what NIR and the floating-point model are for."""
        return self.input == Input() and isinstance(self.stages[0], Conv)

    @property
    def classes(self) -> int:
        return self.input.classes

    @property
    def parameters(self) -> int:
        return sum(b.weights + b.post.channels for b in self.bundles)

    # -- the neuron ----------------------------------------------------------------------------------------------

    def drive_shifts(self, n: int, deviating: bool = False) -> tuple[int, int]:
        """Left shifts, from phi's LSB to d's, of what layer n has from below and from above.

        deviating: in a nudged phase with fine spikes, where all of a layer is in units of its own spike. Then nothing comes
        from the image, and never from above the output layer; those shifts mean nothing.
        """
        shift, back = self.formats.drive_shift, self.schedule.feedback_shift
        if not deviating:
            return shift, shift - back
        points = (self.schedule.fine[0], *self.schedule.fine, self.schedule.fine[-1])
        return shift + points[n] - points[n - 1], shift + points[n] - points[n + 1] - back

    @cached_property
    def drive_bound(self) -> int:
        """Largest |drive| in LSBs of d, of all layers and phases."""
        modes = (False, True) if self.schedule.fine else (False,)
        return max(x.phi_bound << max(self.drive_shifts(x.index, mode)) for x in self.layers[1:] for mode in modes)

    @property
    def static_shift(self) -> int:
        """Right shift, round half up, from the sum of image products to phi (LSB 2^-9): of pooled ones (LSB 2^-17) or, where
        the first stage is dense, of plain ones (LSB 2^-15)."""
        f = self.formats
        pool = 2 if isinstance(self.stages[0], Conv) else 0
        return f.pixel_bits + f.weight_fraction + pool - f.phi_fraction

    @property
    def static_bound(self) -> int:
        """Largest |sum of pixel products|, under one pooled position or of all pixels, before that shift."""
        f, first = self.formats, self.stages[0]
        products = 4 * self.input.channels * first.kernel**2 if isinstance(first, Conv) else self.input.pixels
        return -f.weight_low * ((1 << f.pixel_bits) - 1) * products

    @property
    def membrane_low(self) -> int:
        """U >= theta + 1 LSB - (xi << k) + xi - 1 >= theta - 2^k, k that of the next step: subtracting happens only above the
        threshold. Without a spike U falls by (2^k - 2^before - 1) xi at most, and is at least theta - 2^before before it."""
        return self.formats.threshold - (self.formats.one << self.schedule.last_shift)

    @property
    def membrane_high(self) -> int:
        """U <= theta: without a spike U + xi <= U + (xi << k) <= theta; with one U + xi - 1 <= theta. Less if k grows.
        Deviations have both signs, and so have the bounds."""
        return -self.membrane_low if self.schedule.fine else self.formats.threshold

    @property
    def membrane_bits(self) -> int:
        """Width of U, within `membrane_low` .. `membrane_high`."""
        return signed_bits(self.membrane_low, self.membrane_high)

    @property
    def state_bits(self) -> int:
        """Width of xi, which reaches 256 = 1.0."""
        return self.formats.state_fraction + 1

    @property
    def spike_bits(self) -> int:
        """Width of a spike: 0 or 1, and fine ones -1 as well."""
        return 2 if self.schedule.fine else 1

    @property
    def sum_bits(self) -> int:
        """Width of a window sum."""
        return self.window_bound.bit_length()

    @property
    def window_bound(self) -> int:
        """Largest window sum: xi is at most 1 in each step; in a nudged phase with fine spikes it is at least -1."""
        return self.formats.one << self.schedule.window_log2

    @property
    def mean_bits(self) -> int:
        """Width of a running mean, of 0..1 in the LSB of biases, times 2^`FOLLOW`."""
        return self.formats.bias_fraction + FOLLOW + 1

    @property
    def mean_range(self) -> range:
        """Values that a running mean may be given."""
        return range(1 << self.mean_bits)

    def read_bound(self, bundle: Bundle) -> int:
        """Largest sum of what a pre channel was in one sample: of its pixels, or of its window sums in the free phase."""
        f = self.formats
        return bundle.pre.positions << (f.pixel_bits if bundle.on_image else f.state_fraction + self.schedule.window_log2)

    def total_bound(self, bundle: Bundle) -> int:
        """Largest sum of what a pre channel was in all samples that there may be between two commits."""
        return self.formats.max_batch * self.read_bound(bundle)

    # -- the update ----------------------------------------------------------------------------------------------

    def correlation_bound(self, bundle: Bundle) -> int:
        """Largest |g| = |sum over positions of pre+ post+ - pre- post-|, window sums (pixels in bundle 1); with fine spikes of
        what `golden.model.ops.deviation_sums` makes of them, which is up to twice as much, and of two terms."""
        top = self.window_bound
        pre = (1 << self.formats.pixel_bits) - 1 if bundle.on_image else top
        terms = (2 if bundle.on_image else 4) if self.schedule.fine else 1
        return (1 if bundle.full else 4 * bundle.post.positions) * terms * top * pre

    def bias_bound(self, bundle: Bundle) -> int:
        """Largest |sum of post+ - post- over the pooled map|, window sums."""
        return bundle.post.positions * (2 if self.schedule.fine else 1) * self.window_bound

    @property
    def mean_bound(self) -> int:
        """Largest c, a running mean in the LSB of biases: the mean's register holds less than 2^`mean_bits`."""
        return 1 << (self.mean_bits - FOLLOW)

    def moved_bound(self, bundle: Bundle) -> int:
        """Largest |rhu(sum of c (w' - w), bias_fraction)| over the weights of a post neuron in a centred commit: each weight
        goes from one end of [-1, 1) to the other at most, and c is at most 2^(bias_fraction + 1)."""
        f = self.formats
        return (bundle.fan_in * self.mean_bound * (f.master_high - f.master_low)) >> f.bias_fraction

    def bias_step_bound(self, bundle: Bundle) -> int:
        """Largest |step of a bias| in a centred commit: the batch's updates less what the weights have moved."""
        return self.formats.batch_bound + self.moved_bound(bundle)

    def centred_bound(self, bundle: Bundle) -> int:
        """Largest |sum of c w| over the weights of a post neuron."""
        return bundle.fan_in * self.mean_bound * -self.formats.master_low

    def correlation_bits(self, bundle: Bundle) -> int:
        """Width of g, of weights and of biases."""
        bound = max(self.correlation_bound(bundle), self.bias_bound(bundle))
        return signed_bits(-bound, bound)

    def weight_shift(self, bundle: Bundle) -> int:
        """update = (g * rate + half) >> shift: from LSB(g) * LSB(rate) to the master's LSB.

        LSB(g) is 2^-(8+m) per window sum and 2^-8 per pixel, over 4 when pooled (paper eq. 11 with alpha = 4).
        """
        f, m = self.formats, self.schedule.window_log2
        pre = f.pixel_bits if bundle.on_image else f.state_fraction + m
        pool = 0 if bundle.full else 2
        return f.rate_fraction + pre + f.state_fraction + m + pool - f.master_fraction

    @property
    def bias_shift(self) -> int:
        f = self.formats
        return f.rate_fraction + f.state_fraction + self.schedule.window_log2 - f.master_fraction

    @cached_property
    def identity(self) -> int:
        """CRC-32 of everything that fixes a result (not the hyper-parameters, which are registers)."""
        schedule: dict[str, int | str | list[int]] = {
            "window_log2": self.schedule.window_log2,
            "decay_shift": self.schedule.decay_shift,
        }
        if self.schedule.order != "all":  # which there was before there was another
            schedule["order"] = self.schedule.order
        if self.schedule.halvings:  # likewise
            schedule["halvings"] = list(self.schedule.halvings)
        if self.schedule.feedback_shift:
            schedule["feedback_shift"] = self.schedule.feedback_shift
        if self.schedule.fine:
            schedule["fine"] = list(self.schedule.fine)
        if self.schedule.centred:
            schedule["centred"] = True
        stages = [[type(s).__name__, asdict(s)] for s in self.stages]
        facts = {"stages": stages, "formats": asdict(self.formats), "schedule": schedule}
        if self.input != Input():  # the same
            facts["input"] = asdict(self.input)
        return zlib.crc32(json.dumps(facts, sort_keys=True).encode())

    def rate_scale(self, bundle: Bundle) -> float:
        """What g has to be multiplied by besides the learning rate: the nudge has lost 2^-feedback_shift in each layer that it
        passed, and sums of fine spikes are in units of 2^-m."""
        above = len(self.stages) - bundle.index
        point = self.schedule.fine[bundle.index - 1] if self.schedule.fine else 0
        return 2.0 ** (self.schedule.feedback_shift * above - point)

    def rate(self, bundle: Bundle, *, lr: float, beta: float, batch: int) -> int:
        """Register value of a learning rate: lr / (2 beta batch), times `rate_scale`, in LSBs of 2^-18, to nearest."""
        top = self.formats.rate_range[-1]
        unit = self.rate_scale(bundle) * (1 << self.formats.rate_fraction)
        exact = lr / (2 * beta * batch) * unit
        value = round(exact) if 0 <= exact <= 2 * top else -1  # which nan isn't either
        if not 0 <= value <= top or (lr > 0 and value == 0):
            low, high = (x * 2 * beta * batch / unit for x in (0.5, top))
            raise SpecError(
                f"bundle {bundle.index}: learning rate must be 0 or {low:.6g}..{high:.6g} at beta {beta:g}, batch {batch}, "
                f"not {lr:g}"
            )
        return value

    def beta(self, beta: float) -> int:
        """Register value of beta in LSBs of 2^-8, to nearest."""
        one, known = 1 << self.formats.beta_fraction, self.formats.beta_range
        value = round(beta * one) if 0 <= beta <= known[-1] else 0  # nan and inf neither
        if value not in known:
            raise SpecError(f"beta must be {known[0] / one:g}..{known[-1] / one:g}, not {beta:g}")
        return value
