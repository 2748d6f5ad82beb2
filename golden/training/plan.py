"""A training plan: all that determines the weights of a run, bit for bit.

The board and the number of processes don't matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nudge.golden.contract import values
from nudge.golden.contract.spec import Spec
from nudge.golden.model.settings import Settings
from nudge.plumbing.errors import PlanError, SpecError

from .batch import Batch
from .data import Data, Source
from .epoch import drawn_moves, order


@dataclass(frozen=True)
class Plan:
    """The plan of a run: everything that determines its weights."""

    preset: str
    data: Source
    #: Train on the first N of the training set.
    samples: int
    epochs: int
    #: Samples between two commits; an epoch's last batch may have fewer, at the same rates.
    batch: int
    #: Seed of the initial weights and of each epoch's order.
    seed: int
    #: Factor of the preset's learning rates.
    lr_scale: float
    beta: float
    free_steps: int
    nudged_steps: int
    #: Factor of the rates after each epoch.
    decay: float = 1.0
    #: Largest shift of each image in pixels, drawn anew in each epoch, in both directions; zeros come in.
    shift: int = 0
    #: Whether each epoch mirrors half of the images.
    flip: bool = False
    #: Number of last epochs: the run ends with the mean of the weights after each of them.
    average: int = 1
    #: Last images of the training set, which are inferred after each epoch and never trained.
    held_out: int = 0

    def __post_init__(self) -> None:
        values.normalise(self, PlanError)

    @classmethod
    def of(cls, spec: Spec, data: Source | str, samples: int, **options: Any) -> "Plan":
        """Return a plan with the preset's values for options that are None; `PlanError` if it is invalid."""
        learning, schedule = spec.learning, spec.schedule
        asked: dict[str, Any] = {
            "epochs": 1,
            "batch": learning.batch,
            "seed": 0,
            "lr_scale": 1.0,
            "beta": learning.beta,
        }
        asked |= {"free_steps": schedule.free, "nudged_steps": schedule.nudged, "decay": learning.decay}
        asked |= {name: value for name, value in options.items() if value is not None}
        plan = cls(spec.name, data if isinstance(data, Source) else Source.asked(data), samples, **asked)
        plan.settings(spec)
        return plan

    def settings(self, spec: Spec) -> list[Settings]:
        """Return the board's register values in each epoch; `PlanError` for a value outside its register."""
        for name, value, low, high in (
            ("--samples", self.samples, 1, None),
            ("--epochs", self.epochs, 1, MAX_EPOCHS),
            ("--batch", self.batch, 1, spec.formats.max_batch),
            ("--seed", self.seed, 0, values.MAX_WHOLE),
            ("--shift", self.shift, 0, MAX_SHIFT),
            ("--average", self.average, 1, self.epochs),
            ("--held-out", self.held_out, 0, None),
        ):
            if value < low or (high is not None and value > high):
                raise PlanError(f"{name} must be {low}..{'' if high is None else high}, not {value}")
        if not 0 < self.lr_scale < float("inf"):
            raise PlanError(f"--lr-scale must be positive, not {self.lr_scale:g}")
        if not 0 < self.decay <= 1:
            raise PlanError(f"--decay must be above 0 and at most 1, not {self.decay:g}")

        def scaled(rates: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(rate * self.lr_scale for rate in rates)

        bias = spec.learning.bias_rates
        learning = replace(
            spec.learning,
            rates=scaled(spec.learning.rates),
            bias_rates=None if bias is None else scaled(bias),
            beta=self.beta,
            batch=self.batch,
            decay=self.decay,
        )
        steps: dict[str, Any] = {"free": self.free_steps, "nudged": self.nudged_steps}
        try:
            replace(spec.schedule, **steps)
            spec.formats.beta_register(self.beta)  # check it before it divides a rate
            return [Settings.of(spec, learning, epoch=epoch, **steps) for epoch in range(self.epochs)]
        except SpecError as error:
            raise PlanError(str(error)) from None

    def batches(self, epoch: int, position: int = 0) -> Iterator[np.ndarray]:
        """Yield the sample numbers of each batch of an epoch, from `position` on."""
        numbers = order(self.samples, self.seed, epoch)
        for start in range(position, self.samples, self.batch):
            yield numbers[start : start + self.batch]

    def batch_of(self, data: Data, epoch: int, numbers: np.ndarray) -> Batch:
        """Return the training samples of these numbers, as this epoch shows them."""
        moves = (
            drawn_moves(numbers, self.shift, self.flip, self.seed, epoch) if self.shift or self.flip else None
        )
        return Batch(data, numbers, moves)

    def images(self, data: Data, epoch: int, numbers: np.ndarray) -> np.ndarray:
        """Return the training images of these numbers, uint8, as this epoch shows them."""
        return self.batch_of(data, epoch, numbers).images


#: Largest shift in pixels; beyond it MNIST's digits leave the image.
MAX_SHIFT = 4

#: Largest number of epochs: the register values of all are computed in advance.
MAX_EPOCHS = 100_000


def first_samples(wanted: int | None, available: int, name: object) -> int:
    """Return `wanted`, or `available` if that is None; `PlanError` if there are fewer."""
    wanted = values.plain(int | None, wanted, "--samples", PlanError)
    if wanted is not None and not 1 <= wanted <= available:
        raise PlanError(f"--samples must be 1..{available} ({name} has no more), not {wanted}")
    return available if wanted is None else wanted
