"""Options that several commands share, each defined once."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from nudge.golden.contract.config import ENGINES
from nudge.golden.training.options import DATA, LEARNING, NETWORK, OUTPUT, TrainingOptions, option

from . import completion

#: Title of a group of options in `--help`.
WHERE = "Where it runs"


def declared(kind: type, name: str) -> Any:
    """Return the option of a dataclass field, with the field's help.

    A `bool | None` also gets a --no- form, to distinguish "no" from "not given".
    """
    (entry,) = (entry for entry in fields(kind) if entry.name == name)
    flag = f"--{name.replace('_', '-')}"
    return typer.Option(
        f"{flag}/--no-{name}" if entry.type == bool | None else flag,
        help=entry.metadata["help"],
        rich_help_panel=entry.metadata["group"],
        autocompletion=completion.OF_FIELDS.get(name),
    )


def with_fields(command: Callable[..., int]) -> Callable[..., int]:
    """Decorate a command: each parameter that is a dataclass becomes one option for each of its fields."""
    parameters: list[inspect.Parameter] = []
    kinds: dict[str, Any] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind = parameter.annotation
        if not is_dataclass(kind):
            parameters.append(parameter)
            continue
        kinds[parameter.name] = kind
        for entry in fields(kind):
            annotation = Annotated[entry.type, declared(kind, entry.name)]  # type: ignore[name-defined]
            parameters.append(
                parameter.replace(name=entry.name, default=entry.default, annotation=annotation)
            )

    @wraps(command)
    def wrapper(**values: Any) -> int:
        made = {
            name: kind(**{entry.name: values.pop(entry.name) for entry in fields(kind)})
            for name, kind in kinds.items()
        }
        return command(**values, **made)

    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapper


JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON object on standard output, nothing else.", rich_help_panel=OUTPUT
    ),
]

# -- which network, board, data and weights

PresetOption = Annotated[str | None, declared(TrainingOptions, "preset")]
NetworkOption = Annotated[Path | None, declared(TrainingOptions, "network")]
#: Help text of `--board` for all commands that use a board.
BOARD_HELP = (
    "Use sim (a virtual board), golden (the model), a device path, or a URL of socket, rfc2217 or hwgrep"
)


@dataclass(frozen=True)
class Where:
    """Options of `nudge train` and `nudge resume` for the board, and for watching the run."""

    board: str | None = option(WHERE, f"{BOARD_HELP} [default: sim; of a run that goes on, its own].")
    engines: str | None = option(
        WHERE, f"Simulate {' or '.join(ENGINES)} synapse engines [default: {ENGINES[0]}]."
    )
    device: str = option(
        WHERE, "With --board golden: compute on the cpu or on cuda, a GPU for each process.", "cpu"
    )
    twin: bool = option(
        WHERE, "Step the golden model in lockstep; end where the board differs from it.", False
    )
    recover: int = option(
        WHERE, "Go back to the checkpoint, up to N times, if the board is lost or the twin differs.", 0
    )
    stream: bool = option(WHERE, "Send every image anew, even if the board's memory could hold them.", False)
    live: bool = option(
        OUTPUT,
        "Serve a page that follows the run, at a terminal until Ctrl-C; its address is printed.",
        False,
    )
    tensorboard: Path | None = option(  # noqa: RUF009 (it is a field)
        OUTPUT, "Write event files for TensorBoard to this directory."
    )


BoardOption = Annotated[
    str,
    typer.Option("--board", help=f"{BOARD_HELP}.", rich_help_panel=WHERE, autocompletion=completion.boards),
]
PortOption = Annotated[
    str,
    typer.Option(
        "--board",
        help="Ask the board at this device path, or URL of socket, rfc2217 or hwgrep; or sim.",
        autocompletion=completion.boards,
    ),
]
EnginesOption = Annotated[str | None, declared(Where, "engines")]
DataOption = Annotated[str | None, declared(TrainingOptions, "data")]
DirOption = Annotated[Path | None, declared(TrainingOptions, "data_dir")]
TrainSamplesOption = Annotated[
    int, typer.Option("--samples", help="Train the first N images.", rich_help_panel=DATA)
]
BatchOption = Annotated[int | None, declared(TrainingOptions, "batch")]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed", help="Draw the initial weights and the order from this seed.", rich_help_panel=LEARNING
    ),
]
WeightsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run's folder, a weight file, or a packaged name such as small-mnist.",
        autocompletion=completion.weights,
    ),
]


def _weights(use: str, otherwise: str) -> Any:
    """Return the option `--weights`. use: the beginning of its help. otherwise: the default in words."""
    return typer.Option(
        "--weights",
        help=f"{use} these weights, a RUN as for `nudge eval` [default: {otherwise}].",
        autocompletion=completion.weights,
    )


StartOption = Annotated[Path | None, _weights("Start from", "fresh weights")]
SpikesOption = Annotated[Path | None, _weights("Count the spikes with", "initial ones, seed 0")]

# -- nudge sweep, repro

WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Run N processes on this machine [default: one for each core; of `repro`, none].",
        rich_help_panel=WHERE,
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        help="Give the work to the workers of this Dask scheduler, such as tcp://HOST:8786.",
        rich_help_panel=WHERE,
    ),
]

# -- nudge build, flash, report, estimate, verilog

TargetArgument = Annotated[
    str,
    # the help doesn't list targets: a new one is one file, which only the toolchain reads
    typer.Argument(
        metavar="TARGET",
        help="The kind of board, such as icebreaker; `nudge boards` lists them.",
        autocompletion=completion.targets,
    ),
]
LargestOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Put this network on the target [default: the target's largest].",
        rich_help_panel=NETWORK,
        autocompletion=completion.presets,
    ),
]
TargetFileOption = Annotated[
    Path | None,
    typer.Option(
        "--target-file", metavar="FILE", help="Find TARGET in this Python file (docs/extending.md)."
    ),
]
ToolsOption = Annotated[
    str,
    typer.Option("--tools", help="Use yowasp (pinned Python packages) or native (on the PATH)."),
]
PlaceOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        help="Place with this seed and pack its bitstream [default: a seed known to be routable].",
    ),
]
