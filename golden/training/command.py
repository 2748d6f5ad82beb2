"""What `nudge` and `python -m golden.training.train` have in common: options, exit codes, and errors as one line."""

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import TyperException

from golden.contract.errors import ExitCode, NudgeError
from golden.contract.presets import PRESETS
from golden.progress import note

from .data import NAMES, VARIABLE

OutOption = Annotated[Path, typer.Option(help="Directory for weights, metrics and learning curve.")]
NetworkOption = Annotated[str | None, typer.Option("--preset", help=f"Network: {', '.join(PRESETS)} [default: tiny].")]
TrainDataOption = Annotated[str | None, typer.Option(help=f"{', '.join(NAMES)} [default: embedded].")]
DirOption = Annotated[
    Path | None, typer.Option("--data-dir", help=f"Folder that holds MNIST/raw and so on [default: ${VARIABLE}].")
]
SamplesOption = Annotated[int | None, typer.Option(help="Train on the first so many images [default: all].")]
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the samples [default: 1].")]
BatchOption = Annotated[int | None, typer.Option(help="Samples between two commits [default: the preset's].")]
SeedOption = Annotated[int | None, typer.Option(help="Of the initial weights and of each epoch's order [default: 0].")]
ScaleOption = Annotated[float | None, typer.Option(help="Multiplies all learning rates [default: 1].")]
DecayOption = Annotated[float | None, typer.Option(help="Factor on the rates after each epoch [default: the preset's].")]
ShiftOption = Annotated[int | None, typer.Option(help="Move training images by up to so many pixels [default: 0].")]
FlipOption = Annotated[
    bool | None, typer.Option("--flip/--no-flip", help="Mirror half of the training images (garments) [default: no].")
]
AverageOption = Annotated[
    int | None, typer.Option(help="End with the mean of the weights after each of the last so many epochs [default: 1].")
]
BetaOption = Annotated[float | None, typer.Option(help="Strength of the nudge [default: the preset's].")]
FreeOption = Annotated[int | None, typer.Option(help="Steps of the free phase [default: the preset's].")]
NudgedOption = Annotated[int | None, typer.Option(help="Steps of each nudged phase [default: the preset's].")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue the run in --out; its options are kept.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the weights in --out.")]


#: Options of `train` that are fields of `golden.training.plan.Plan`; None: not given.
PLAN_OPTIONS = (
    "epochs", "batch", "seed", "lr_scale", "decay", "shift", "flip", "average", "beta", "free_steps", "nudged_steps",
)


def run(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command line; the exit code. The one place that turns errors into a line, which begins with `name`, and a code."""
    running = True

    def terminate(number: int, frame: FrameType | None) -> None:
        """SIGTERM ends the command as Ctrl-C does: what was started is stopped. One that is ending already says why."""
        if running:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        try:
            return app(args=arguments, prog_name=name, standalone_mode=False) or ExitCode.OK
        finally:
            running = False
    except TyperException as error:
        code, message = ExitCode.USAGE, error.format_message()
    except KeyboardInterrupt:
        code, message = ExitCode.INTERRUPTED, "interrupted"
    except NudgeError as error:
        code, message = error.exit_code, str(error)
    except OSError as error:  # such as a full disk
        code, message = ExitCode.USAGE, str(error)
    finally:
        signal.signal(signal.SIGTERM, before)
    note(f"{name}: {' '.join(message.split())}")
    return code
