"""A network with its schedule and formats, and every width that follows from them, with its proof.

Plain data without dependencies: gateware, host and model read the same numbers. Formats of single quantities
are in `golden.contract.formats`, shapes in `golden.contract.shapes`, steps in `golden.contract.schedule`.
"""

import json
import zlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise

from nudge.plumbing.errors import SpecError

from .formats import Formats, signed_bits
from .lanes import Lanes
from .schedule import FOLLOW, Schedule, turns
from .shapes import Bundle, Conv, Dense, Input, Layer, shapes_of


@dataclass(frozen=True)
class Learning:
    """Default hyper-parameters. On the board they are registers: changing them needs no new bitstream."""

    #: Learning rate of each bundle, from input to output (order of the paper's Table I).
    rates: tuple[float, ...]
    #: Learning rate of each bundle's biases; None: `rates`.
    bias_rates: tuple[float, ...] | None = None
    #: Strength of the nudge.
    beta: float = 0.5
    #: Samples between two commits.
    batch: int = 32
    #: Initial weights are uniform in +-gain/sqrt(fan_in).
    gain: float = 1.0
    #: Factor of the rates after each epoch.
    decay: float = 1.0
    #: The running means of centred commits begin with the means over this many training images, of the
    #: initial weights; 0: they begin at 0, and are 95 % there after 95 commits.
    initial_means: int = 0
    #: Factor of bundle 1's initial weights. Unless it is 1, those of each neuron sum to 0 as far as [-1, 1)
    #: allows: the network begins as if its pixels had mean 0 and were so many times as large.
    image_gain: float = 1.0


#: Side of the images and number of classes of MNIST and FashionMNIST, the defaults of `Input`.
IMAGE_SIDE, CLASSES = Input.height, Input.classes


@dataclass(frozen=True)
class Spec:
    """A network with its schedule and formats: all that determines the result of training, bit for bit."""

    name: str
    stages: tuple[Conv | Dense, ...]
    schedule: Schedule
    learning: Learning
    formats: Formats = field(default_factory=Formats)
    #: Lanes by kind of engine or by board. They change no result, so networks that differ only in lanes are
    #: equal.
    lanes: tuple[tuple[str, Lanes], ...] = field(default=(), compare=False, repr=False)
    #: Shape of the images, and number of classes.
    input: Input = field(default_factory=Input)

    def __post_init__(self) -> None:
        self._shapes  # raises if the stages don't fit
        for name in ("rates", "bias_rates"):
            rates = getattr(self.learning, name)
            if rates is not None and len(rates) != len(self.stages):
                raise SpecError(f"learning.{name} must have {len(self.stages)} entries, not {len(rates)}")
        self._check_shifts()

    def _check_shifts(self) -> None:
        """Raise `SpecError` unless both terms of each drive are shifted left to d's LSB: no bit is lost."""
        schedule, room = self.schedule, self.formats.drive_shift
        if schedule.feedback_shift > room:
            raise SpecError(
                f"feedback_shift must be 0..{room} (phi has so many binary places less than d), not "
                f"{schedule.feedback_shift}"
            )
        if not schedule.fine:
            return
        if len(schedule.fine) != len(self.stages):
            raise SpecError(
                f"fine must have {len(self.stages)} binary points, one a stage, not {len(schedule.fine)}"
            )
        for pre, post in pairwise(schedule.fine):
            if pre - post > room:
                raise SpecError(
                    f"fine may fall by {room} at most from layer to layer, not from {pre} to {post}"
                )

    @cached_property
    def _shapes(self) -> list[tuple[int, int, int]]:
        """(channels, height, width) of layers 0 to N."""
        return shapes_of(self.input, self.stages)

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
                # spikes times weights have LSB 2^-7, phi 2^-9: times 4 in both directions
                bounds[n] += 4 * largest * pre[0] * pre[1] * pre[2]
                bounds[n - 1] += 4 * largest * post[0]
            else:
                # forward: 4 pooled convolutions; backward: each of k*k convolution positions sees one spike
                bounds[n] += 4 * largest * pre[0] * stage.kernel**2
                bounds[n - 1] += largest * post[0] * stage.kernel**2
        return tuple(
            Layer(n, *shape, phi_bound=bound)
            for n, (shape, bound) in enumerate(zip(shapes, bounds, strict=True))
        )

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """Bundles 1 to N; `bundles[n - 1]` joins layers n-1 and n."""
        out = []
        for n, stage in enumerate(self.stages, start=1):
            pre, post = self.layers[n - 1], self.layers[n]
            if isinstance(stage, Conv):
                out.append(Bundle(n, "image" if n == 1 else "conv", stage.kernel, pre, post, stage.padding))
            else:
                out.append(Bundle(n, "pixels" if n == 1 else "dense", 1, pre, post))
        return tuple(out)

    @cached_property
    def turns(self) -> tuple[tuple[int, ...], ...]:
        """Layers that step together, in their order within a step.

        A layer is driven by its neighbours alone, an odd layer by even ones and vice versa: in either order,
        a step uses each bundle once forward and once backward.
        """
        return turns(self.schedule.order, len(self.layers) - 1)

    @property
    def classes(self) -> int:
        return self.input.classes

    @property
    def parameters(self) -> int:
        return sum(b.weights + b.post.channels for b in self.bundles)

    # -- the neuron
    # ----------------------------------------------------------------------------------------------

    def drive_shifts(self, n: int, deviating: bool = False) -> tuple[int, int]:
        """Return the left shifts from phi's LSB to d's of layer n's drives from below and from above.

            drive = (below << first) + (above << second)

        deviating: in a nudged phase with fine spikes, where a layer's state is in units of its own spike.
        Shifts of drives that don't exist mean nothing: then from the image, and always from above the output
        layer.
        """
        shift, back = self.formats.drive_shift, self.schedule.feedback_shift
        if not deviating:
            return shift, shift - back
        points = (self.schedule.fine[0], *self.schedule.fine, self.schedule.fine[-1])
        return shift + points[n] - points[n - 1], shift + points[n] - points[n + 1] - back

    @cached_property
    def drive_bound(self) -> int:
        """Bound of |drive| in LSBs of d, over all layers and phases; `phi_bound` bounds |below| + |above|."""
        modes = (False, True) if self.schedule.fine else (False,)
        return max(
            x.phi_bound << max(self.drive_shifts(x.index, mode)) for x in self.layers[1:] for mode in modes
        )

    @property
    def static_shift(self) -> int:
        """Right shift, round half up, from the sum of pixel products to phi (LSB 2^-9).

        The sum has LSB 2^-17 after pooling, or 2^-15 if the first stage is dense.
        """
        f = self.formats
        pool = 2 if isinstance(self.stages[0], Conv) else 0
        return f.pixel_bits + f.weight_fraction + pool - f.phi_fraction

    @property
    def static_bound(self) -> int:
        """Largest |sum of pixel products| before `static_shift`: under a pooled position, or of all pixels if
        dense."""
        f, first = self.formats, self.stages[0]
        products = 4 * self.input.channels * first.kernel**2 if isinstance(first, Conv) else self.input.pixels
        return -f.weight_low * ((1 << f.pixel_bits) - 1) * products

    @property
    def membrane_low(self) -> int:
        """The smallest U: theta - 2^k, with the largest k, in units where a spike is 1.

        After a spike, which requires U + (xi << before) > theta, U >= theta + 1 LSB - (xi << k) + xi - 1 >=
        theta - 2^k, with k of the next step. Without a spike, U falls by at most (2^k - 2^before - 1) xi,
        from at least theta - 2^before.
        """
        return self.formats.threshold - (self.formats.one << self.schedule.last_shift)

    @property
    def membrane_high(self) -> int:
        """The largest U: theta; with fine spikes, which have both signs, -`membrane_low`.

        Without a spike, U + xi <= U + (xi << k) <= theta; with one, U + xi - 1 <= theta. Less if k grows.
        """
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
        """Width of a spike: 0 or 1; with fine spikes also -1."""
        return 2 if self.schedule.fine else 1

    @property
    def sum_bits(self) -> int:
        """Width of a window sum."""
        return self.window_bound.bit_length()

    @property
    def window_bound(self) -> int:
        """Largest |window sum|: xi is at most 1 in each step, and at least -1 in nudged phases with fine
        spikes."""
        return self.formats.one << self.schedule.window_log2

    @property
    def mean_bits(self) -> int:
        """Width of a running mean: 0..1 in the LSB of biases, times 2^`FOLLOW`."""
        return self.formats.bias_fraction + FOLLOW + 1

    @property
    def mean_range(self) -> range:
        """Allowed values of a running mean."""
        return range(1 << self.mean_bits)

    def read_bound(self, bundle: Bundle) -> int:
        """Largest sum over one sample of a pre channel's pixels, or of its window sums in the free phase."""
        f = self.formats
        return bundle.pre.positions << (
            f.pixel_bits if bundle.on_image else f.state_fraction + self.schedule.window_log2
        )

    def total_bound(self, bundle: Bundle) -> int:
        """Largest sum of `read_bound` over the samples between two commits."""
        return self.formats.max_batch * self.read_bound(bundle)

    # -- the update
    # ----------------------------------------------------------------------------------------------

    def products(self, bundle: Bundle) -> int:
        """Return the number of products in g of one connection: with fine spikes the second one, with pre's
        difference, is missing on the image, which doesn't change, and with `Schedule.vector_field`."""
        return 1 if self.schedule.vector_field or (self.schedule.fine and bundle.on_image) else 2

    def correlation_bound(self, bundle: Bundle) -> int:
        """Largest |g| of a weight: g = sum over positions of pre+ post+ - pre- post-, of window sums (in
        bundle 1: pixels).

        With fine spikes, g is made of `golden.model.fine_spikes.deviation_sums`: `products`, with differences
        of up to twice a window sum.
        """
        top = self.window_bound
        pre = (1 << self.formats.pixel_bits) - 1 if bundle.on_image else top
        terms = 2 * self.products(bundle) if self.schedule.fine else 1
        return (1 if bundle.full else 4 * bundle.post.positions) * terms * top * pre

    def bias_bound(self, bundle: Bundle) -> int:
        """Largest |g| of a bias, where g = sum over the pooled map of post+ - post-, of window sums."""
        return bundle.post.positions * (2 if self.schedule.fine else 1) * self.window_bound

    @property
    def mean_bound(self) -> int:
        """Largest c, a running mean in the LSB of biases: its register holds less than 2^`mean_bits`."""
        return 1 << (self.mean_bits - FOLLOW)

    def moved_bound(self, bundle: Bundle) -> int:
        """Largest |rhu(sum of c (w' - w), bias_fraction)| over a post neuron's weights in a centred commit.

        Each weight moves at most from one end of [-1, 1) to the other, and c is at most
        2^(bias_fraction + 1).
        """
        f = self.formats
        return (bundle.fan_in * self.mean_bound * (f.master_high - f.master_low)) >> f.bias_fraction

    def bias_step_bound(self, bundle: Bundle) -> int:
        """Largest |step of a bias| in a centred commit: the batch's updates less the effect of the moved
        weights."""
        return self.formats.batch_bound + self.moved_bound(bundle)

    @property
    def away_bound(self) -> int:
        """Largest |y - xi| of the output in a nudged phase, LSB 2^-8: 1; a deviation rounded down is 1 LSB
        below 0, and a linear one may be as far as a fine spike is worth.
        """
        one, s = self.formats.one, self.schedule
        return one + (one >> s.fine[-1] if s.linear_output else 1)

    def centred_bound(self, bundle: Bundle) -> int:
        """Largest |sum of c w| over the weights of a post neuron."""
        return bundle.fan_in * self.mean_bound * -self.formats.master_low

    def correlation_bits(self, bundle: Bundle) -> int:
        """Width of g, of weights and of biases."""
        bound = max(self.correlation_bound(bundle), self.bias_bound(bundle))
        return signed_bits(-bound, bound)

    def weight_shift(self, bundle: Bundle) -> int:
        """Right shift from LSB(g) * LSB(rate) to the master's LSB: update = (g * rate + half) >> shift.

        LSB(g) is the product of 2^-(8+m) per window sum and 2^-8 per pixel, over 4 when pooled (paper eq. 11
        with alpha = 4).
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
        """CRC-32 of everything that determines a result, except the hyper-parameters, which are registers.

        Keys that came later are left out at their first values, so that older networks keep their identity.
        """
        s = self.schedule
        schedule = {"window_log2": s.window_log2, "decay_shift": s.decay_shift} | s.options
        if s.order != "all":  # "all" was once the only order
            schedule["order"] = s.order
        stages = [
            [type(stage).__name__, {key: x for key, x in asdict(stage).items() if key != "padding" or x}]
            for stage in self.stages
        ]
        facts = {"stages": stages, "formats": asdict(self.formats), "schedule": schedule}
        if self.input != Input():
            facts["input"] = asdict(self.input)
        return zlib.crc32(json.dumps(facts, sort_keys=True).encode())
