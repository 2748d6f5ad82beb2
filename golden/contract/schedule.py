"""Schedule of the steps: phases, decay, averaging window, order of layers, fine spikes, commits."""

import reprlib
from dataclasses import dataclass
from typing import Any

from nudge.plumbing.errors import SpecError

from .shapes import check_whole

#: Most steps of a phase: 12 bits of the step counter. The paper's longest phase has 350.
MAX_STEPS = 4095

#: Orders of the layers within a step: all at once; or first the odd layers, then the even ones, which read
#: the new spikes.
ORDERS = ("all", "odd-even")

#: Largest k in lambda = 2^-k: d has 16 bits, including the sign.
MAX_DECAY_SHIFT = 15

#: Largest binary point of a fine spike: with it, d and biases fit 30 bits.
MAX_FINE = 12

#: Largest `Schedule.feedback_shift`; a network with `Formats.drive_shift` below it allows only that.
MAX_FEEDBACK_SHIFT = 8

#: Fields of a schedule that are true or false, and false at first.
FLAGS = ("centred", "linear_output", "vector_field")

#: k of the running means: a commit moves each mean by 2^-k of the way to its batch's mean.
FOLLOW = 5


def turns(order: str, layers: int) -> tuple[tuple[int, ...], ...]:
    """Return the layers of 1..`layers` that step together, in their order within a step."""
    every = range(1, layers + 1)
    return (tuple(every),) if order == "all" else (tuple(every[::2]), tuple(every[1::2]))


@dataclass(frozen=True)
class Schedule:
    """Phases, averaging window, decay of the decoder, order of layers, feedback, fine spikes and commits."""

    #: Steps T of the free phase.
    free: int
    #: Steps T of each nudged phase.
    nudged: int
    #: xi is summed over the last 2^window_log2 steps of each phase, the averaging window.
    window_log2: int = 3
    #: k in the first step, with lambda = 2^-k (paper eq. 7, with epsilon = 1).
    decay_shift: int = 1
    #: One of `ORDERS`. A step of "odd-even" is called a sweep; its arithmetic is that of a step of "all".
    order: str = "all"
    #: Steps of the free phase, from 0, at which k grows by 1: large steps first, so that the state arrives
    #: soon, then smaller ones, so that it is exact (annealing: O'Connor et al. 2019). Nudged phases keep the
    #: free phase's last k.
    halvings: tuple[int, ...] = ()
    #: The drive from the layer above counts 2^-feedback_shift times as much as the one from below: layers
    #: that drive each other less settle sooner and allow larger learning rates (FRE-RNN, arXiv 2508.11659).
    feedback_shift: int = 0
    #: Binary point of each layer 1..N; empty: nudged phases have the spikes of the free phase. With it, their
    #: spikes are signed, worth 2^-point, and encode a layer's deviation from the end of the free phase.
    fine: tuple[int, ...] = ()
    #: Whether a commit centres the batch's summed updates (`golden.model.centring`).
    centred: bool = False
    #: Whether the output's deviations are linear in drive and nudge, instead of the change of a state clipped
    #: to 0..1. A label whose drive is below 0 then answers both nudges alike (docs/log/2026-12-01-output.md).
    linear_output: bool = False
    #: Whether a weight's update is S pre D post alone, not S pre D post + D pre S post: the update for
    #: general vector fields (Scellier et al. 2018, arXiv 1808.04873). Where feedback is weak, the second
    #: product is small (docs/log/2026-12-02-vector-field.md).
    vector_field: bool = False

    @property
    def window(self) -> int:
        """Steps of the averaging window, M."""
        return 1 << self.window_log2

    @property
    def last_shift(self) -> int:
        """The largest k, in the free phase's last steps and the nudged phases."""
        return self.decay_shift + len(self.halvings)

    @property
    def shifts(self) -> range:
        """All values of k, in order."""
        return range(self.decay_shift, self.last_shift + 1)

    def shift(self, t: int) -> int:
        """Return k in step t of the free phase, with t from 0."""
        return self.decay_shift + sum(at <= t for at in self.halvings)

    @property
    def steps_range(self) -> range:
        """Allowed values of the registers `free_steps` and `nudged_steps`."""
        return range(self.window, MAX_STEPS + 1)

    @property
    def options(self) -> dict[str, Any]:
        """Return the settings that aren't at their defaults, of those that a schedule needn't have."""
        names = ("halvings", "feedback_shift", "fine", *FLAGS)
        found = {name: getattr(self, name) for name in names if getattr(self, name)}
        return {name: list(x) if isinstance(x, tuple) else x for name, x in found.items()}

    def __post_init__(self) -> None:
        check_whole("window_log2", self.window_log2, 0, MAX_STEPS.bit_length() - 1)
        check_whole("decay_shift", self.decay_shift, 0, MAX_DECAY_SHIFT)
        for at in self.halvings:
            check_whole("halvings' steps", at, 1, MAX_STEPS)
        if list(self.halvings) != sorted(set(self.halvings)):
            raise SpecError(
                f"halvings must be steps in rising order, each once, not {reprlib.repr(list(self.halvings))}"
            )
        if self.last_shift > MAX_DECAY_SHIFT:
            raise SpecError(
                f"decay_shift and halvings: k must end at most at {MAX_DECAY_SHIFT}, not at {self.last_shift}"
            )
        check_whole("feedback_shift", self.feedback_shift, 0, MAX_FEEDBACK_SHIFT)
        for point in self.fine:
            check_whole("fine's binary points", point, 0, MAX_FINE)
        if list(self.fine) != sorted(self.fine, reverse=True):
            raise SpecError(
                f"fine must not rise from layer to layer, as {reprlib.repr(list(self.fine))} does"
            )
        if self.linear_output and not (self.fine and self.fine[-1]):
            points = reprlib.repr(list(self.fine))
            raise SpecError(f"linear_output needs fine, with a last binary point of 1 or more, not {points}")
        if self.vector_field and not self.fine:
            raise SpecError("vector_field needs fine, but the schedule has none")
        if self.order not in ORDERS:
            raise SpecError(f"order must be {' or '.join(ORDERS)}, not {reprlib.repr(self.order)}")
        why = f"steps (the averaging window has {self.window})"
        for name in ("free", "nudged"):
            check_whole(f"{name} {why}", getattr(self, name), self.window, MAX_STEPS)
