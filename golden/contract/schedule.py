"""When layers step: the three phases, decay of the decoder, averaging window, spikes of nudged phases, commits."""

import reprlib
from dataclasses import dataclass

from plumbing.errors import SpecError

from .shapes import check_whole

#: Longest phase; 12 bits of the step counter. The paper's longest is 350.
MAX_STEPS = 4095

#: In which order layers step: all at once; or in each step the odd layers first, then the even ones, which read new spikes.
ORDERS = ("all", "odd-even")

#: Largest k of lambda = 2^-k: d has 16 bits, one of them the sign.
MAX_DECAY_SHIFT = 15

#: Largest binary point of a fine spike: with it d and biases fit 30 bits.
MAX_FINE = 12

#: Largest `Schedule.feedback_shift`; a network allows less where d has fewer bits more than phi.
MAX_FEEDBACK_SHIFT = 8

#: k of the running means of what links read: a commit moves one by 2^-k of the way to its batch's mean.
FOLLOW = 5


def turns(order: str, layers: int) -> tuple[tuple[int, ...], ...]:
    """Layers of 1 to `layers` that step together, in the order in which they do within a step."""
    every = range(1, layers + 1)
    return (tuple(every),) if order == "all" else (tuple(every[::2]), tuple(every[1::2]))


@dataclass(frozen=True)
class Schedule:
    """Steps of the three phases, averaging window, decay of the decoder, order of the layers within a step, and what a commit
    makes of it all."""

    #: Steps T of the free phase.
    free: int
    #: Steps T of each nudged phase.
    nudged: int
    #: xi is summed over the last 2^window_log2 steps of each phase, the averaging window.
    window_log2: int = 3
    #: k at first; lambda = 2^-k (paper eq. 7), with epsilon = 1.
    decay_shift: int = 1
    #: One of `ORDERS`. A step of "odd-even" is called a sweep; it has the arithmetic of a step of "all".
    order: str = "all"
    #: Steps of the free phase, from 0, with each of which k grows by 1: a spike says much at first, so that states arrive, and
    #: less later, so that they are exact (annealing: O'Connor et al. 2019). The nudged phases have the free phase's last k.
    halvings: tuple[int, ...] = ()
    #: What a layer has from above counts 2^-feedback_shift times as much as what it has from below: layers that drive each
    #: other less settle sooner and bear larger steps.
    feedback_shift: int = 0
    #: Binary point of each layer 1..N; none: nudged phases are in spikes as the free phase is. With it their spikes say how
    #: far a layer is from where the free phase ended, have a sign, and are worth 2^-point.
    fine: tuple[int, ...] = ()
    #: Whether a commit centres what the batch's samples add up to (`golden.model.centring`).
    centred: bool = False

    @property
    def window(self) -> int:
        """Steps of the averaging window, M."""
        return 1 << self.window_log2

    @property
    def last_shift(self) -> int:
        """The largest k."""
        return self.decay_shift + len(self.halvings)

    @property
    def shifts(self) -> range:
        """Every k, in order."""
        return range(self.decay_shift, self.last_shift + 1)

    def shift(self, t: int) -> int:
        """k in step t of the free phase, from 0."""
        return self.decay_shift + sum(at <= t for at in self.halvings)

    @property
    def steps_range(self) -> range:
        """Values of the registers of steps."""
        return range(self.window, MAX_STEPS + 1)

    def __post_init__(self) -> None:
        check_whole("window_log2", self.window_log2, 0, MAX_STEPS.bit_length() - 1)
        check_whole("decay_shift", self.decay_shift, 0, MAX_DECAY_SHIFT)
        for at in self.halvings:
            check_whole("halvings' steps", at, 1, MAX_STEPS)
        if list(self.halvings) != sorted(set(self.halvings)):
            raise SpecError(f"halvings must be steps in rising order, each once, not {reprlib.repr(list(self.halvings))}")
        if self.last_shift > MAX_DECAY_SHIFT:
            raise SpecError(f"decay_shift and halvings: k must end at most at {MAX_DECAY_SHIFT}, not at {self.last_shift}")
        check_whole("feedback_shift", self.feedback_shift, 0, MAX_FEEDBACK_SHIFT)
        for point in self.fine:
            check_whole("fine's binary points", point, 0, MAX_FINE)
        if list(self.fine) != sorted(self.fine, reverse=True):
            raise SpecError(f"fine must not rise from layer to layer, as {reprlib.repr(list(self.fine))} does")
        if self.order not in ORDERS:
            raise SpecError(f"order must be {' or '.join(ORDERS)}, not {reprlib.repr(self.order)}")
        why = f"steps (the averaging window has {self.window})"
        for name in ("free", "nudged"):
            check_whole(f"{name} {why}", getattr(self, name), self.window, MAX_STEPS)
