"""What a training run can be asked for: of this list the command line makes its options."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from golden.contract import values
from golden.contract.errors import PlanError
from golden.contract.presets import PRESETS
from golden.contract.spec import Spec

from .data import NAMES, VARIABLE, Source
from .plan import Plan, first_samples


def option(text: str, default: Any = None) -> Any:
    """A field whose help is `text`."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainingOptions:
    """What a training run is asked for. Each field is an option of `nudge train` by its name.

    None: not given, so its default is what the help says or, with `resume`, what the run has.
    """

    preset: str | None = option(f"Train this network: {', '.join(PRESETS)} [default: tiny].")
    network: Path | None = option(  # noqa: RUF009 (it is a field)
        "Train the network of this TOML file."
    )
    data: str | None = option(
        f"Train on {', '.join(NAMES)}, a .npz file, or a folder of PNG files [default: embedded]."
    )
    data_dir: Path | None = option(  # noqa: RUF009 (it is a field)
        f"Look in this folder, the one that holds MNIST/raw and so on [default: ${VARIABLE}]."
    )
    samples: int | None = option("Train on the first N images [default: all].")
    held_out: int | None = option(
        "Keep the last N training images out, and try them after each epoch [default: 0]."
    )
    epochs: int | None = option("Pass over the samples N times [default: 1].")
    batch: int | None = option("Commit after each N samples [default: the preset's].")
    seed: int | None = option(
        "Draw the initial weights and each epoch's order from this seed [default: 0]."
    )
    lr_scale: float | None = option("Multiply all learning rates by this [default: 1].")
    decay: float | None = option(
        "Multiply the rates by this after each epoch [default: the preset's]."
    )
    shift: int | None = option(
        "Move each training image by up to N pixels, anew in each epoch [default: 0]."
    )
    flip: bool | None = option("Mirror half of the training images (garments) [default: no].")
    average: int | None = option(
        "End with the mean of the weights after each of the last N epochs [default: 1]."
    )
    beta: float | None = option("Nudge with this strength [default: the preset's].")
    free_steps: int | None = option("Run the free phase for N steps [default: the preset's].")
    nudged_steps: int | None = option("Run each nudged phase for N steps [default: the preset's].")
    resume: bool = option("Continue the run in --out, which keeps its options.", False)
    force: bool = option("Overwrite the weights in --out.", False)

    def __post_init__(self) -> None:
        values.normalise(self, PlanError)

    def of_plan(self) -> dict[str, Any]:
        """Those that are fields of a `Plan`, by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(Plan)}

    @property
    def data_name(self) -> str:
        """The data set that is meant."""
        return "embedded" if self.data is None else self.data

    def plan(self, spec: Spec, data: Source | str, available: int) -> Plan:
        """The plan of a new run on these data, of `available` training images; `PlanError` if there is none."""
        kept = self.held_out or 0
        if not 0 <= kept < available:
            raise PlanError(f"--held-out must be 0..{available - 1}, not {kept}")
        asked = self.of_plan() | {
            "data": data,
            "samples": first_samples(self.samples, available - kept, data),
        }
        del asked["preset"]
        return Plan.of(spec, **asked)
