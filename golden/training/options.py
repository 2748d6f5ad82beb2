"""Options of a training run, from which the command line makes its own. Imports nothing large."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nudge.golden.contract import values
from nudge.golden.contract.datasets import NAMES, VARIABLE
from nudge.golden.contract.presets import NAMES as PRESETS
from nudge.golden.contract.spec import Spec
from nudge.plumbing.errors import PlanError

if TYPE_CHECKING:
    from .data import Source
    from .plan import Plan

#: Groups of options in `--help`.
NETWORK, DATA, LEARNING, OUTPUT = "Network", "Data", "Training", "Output"


#: Values of `--data`, for help texts.
SETS = f"{', '.join(NAMES)}, a .npz file, or a folder of pictures"


def option(group: str, text: str, default: Any = None) -> Any:
    """Return a field with the help text `text`."""
    return field(default=default, metadata={"help": text, "group": group})


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a new training run. Each field is an option of `nudge train` by its name.

    None: not given; the help text states the default.
    """

    preset: str | None = option(NETWORK, f"Take this network: {', '.join(PRESETS)} [default: tiny].")
    network: Path | None = option(NETWORK, "Take the network of this TOML file.")  # noqa: RUF009 (it is a field)
    data: str | None = option(DATA, f"Take {SETS} [default: embedded].")
    data_dir: Path | None = option(  # noqa: RUF009 (it is a field)
        DATA,
        "Look in this folder, the one that holds MNIST/raw and so on "
        f"[default: ${VARIABLE}, else that of `nudge data get`].",
    )
    samples: int | None = option(DATA, "Train on the first N images [default: all].")
    held_out: int | None = option(
        DATA, "Keep the last N training images out, and try them after each epoch [default: 0]."
    )
    shift: int | None = option(
        DATA, "Move each training image by up to N pixels, anew in each epoch [default: 0]."
    )
    flip: bool | None = option(DATA, "Mirror half of the training images (garments) [default: no].")
    epochs: int | None = option(LEARNING, "Pass over the samples N times [default: 1].")
    batch: int | None = option(LEARNING, "Commit after each N samples [default: the preset's].")
    seed: int | None = option(
        LEARNING, "Draw the initial weights and each epoch's order from this seed [default: 0]."
    )
    lr_scale: float | None = option(LEARNING, "Multiply all learning rates by this [default: 1].")
    decay: float | None = option(
        LEARNING, "Multiply the rates by this after each epoch [default: the preset's]."
    )
    average: int | None = option(
        LEARNING, "End with the mean of the weights after each of the last N epochs [default: 1]."
    )
    beta: float | None = option(LEARNING, "Nudge with this strength [default: the preset's].")
    free_steps: int | None = option(LEARNING, "Run the free phase for N steps [default: the preset's].")
    nudged_steps: int | None = option(LEARNING, "Run each nudged phase for N steps [default: the preset's].")
    force: bool = option(OUTPUT, "Overwrite the weights in --out.", False)

    def __post_init__(self) -> None:
        values.normalise(self, PlanError)

    @property
    def data_name(self) -> str:
        """The name or path of the data set."""
        return "embedded" if self.data is None else self.data

    def plan(self, spec: Spec, data: "Source | str", available: int) -> "Plan":
        """Return the plan of a new run on these data, with `available` training images.

        `PlanError` if it is invalid.
        """
        from .plan import Plan, first_samples  # late import: it needs numpy

        kept = self.held_out or 0
        if not 0 <= kept < available:
            raise PlanError(f"--held-out must be 0..{available - 1}, not {kept}")
        asked = {entry.name: getattr(self, entry.name) for entry in fields(Plan)}
        asked |= {"data": data, "samples": first_samples(self.samples, available - kept, data)}
        del asked["preset"]
        return Plan.of(spec, **asked)


@dataclass(frozen=True)
class ResumeOptions:
    """Options of a resumed run. Each field is an option of `nudge resume` by its name.

    None: not given; the run's own value holds.
    """

    epochs: int | None = option(LEARNING, "Pass over the samples N times in all [default: the run's].")
    data: str | None = option(
        DATA, "Take the same images from this .npz file or folder [default: where they were]."
    )
    data_dir: Path | None = option(  # noqa: RUF009 (it is a field)
        DATA, f"Look for the data set in this folder [default: the run's --data-dir, else ${VARIABLE}]."
    )

    def __post_init__(self) -> None:
        values.normalise(self, PlanError)
