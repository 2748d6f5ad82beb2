"""The options of the commands, each written once."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from golden.contract.config import ENGINES
from golden.contract.presets import PRESETS
from golden.training import data as datasets
from golden.training.options import TrainingOptions


def declared(kind: type, name: str) -> Any:
    """The option that a field of a dataclass stands for, with the field's help.

    A `bool | None` gets a --no- form too, for it tells "no" from "not given".
    """
    (entry,) = (entry for entry in fields(kind) if entry.name == name)
    flag = f"--{name.replace('_', '-')}"
    return typer.Option(
        f"{flag}/--no-{name}" if entry.type == bool | None else flag, help=entry.metadata["help"]
    )


def with_fields(command: Callable[..., int]) -> Callable[..., int]:
    """The command with an option for each field of the parameters that are dataclasses."""
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
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]

# -- which network, board and data

PresetOption = Annotated[
    str | None,
    typer.Option("--preset", help=f"Take this network: {', '.join(PRESETS)} [default: tiny]."),
]
NetworkOption = Annotated[
    Path | None,
    typer.Option("--network", metavar="FILE", help="Take the network of this TOML file."),
]
#: What every command that uses a board can use.
BOARDS = "Use sim (a virtual board), golden (the model), a device path, or a URL of socket, rfc2217 or hwgrep"
BoardOption = Annotated[str, typer.Option("--board", help=f"{BOARDS}.")]
PortOption = Annotated[
    str, typer.Option("--board", help="Ask the board at this device path, or URL of socket, rfc2217 or hwgrep.")
]
EnginesOption = Annotated[
    str | None,
    typer.Option(
        "--engines",
        help=f"Simulate {' or '.join(ENGINES)} synapse engines [default: {ENGINES[0]}].",
    ),
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data", help=f"Take {', '.join(datasets.NAMES)}, a .npz file, or a folder of PNG files."
    ),
]
OwnDataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help=f"Take {', '.join(datasets.NAMES)}, a .npz file, or a folder of PNG files [default: embedded].",
    ),
]
DirOption = Annotated[Path | None, declared(TrainingOptions, "data_dir")]
TrainSamplesOption = Annotated[int, typer.Option("--samples", help="Train the first N images.")]
BatchOption = Annotated[int | None, declared(TrainingOptions, "batch")]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Draw the initial weights and the order from this seed.")
]

# -- nudge build, flash, report

FpgaArgument = Annotated[
    str,
    # no list: a new board is one file, which only the toolchain reads
    typer.Argument(metavar="BOARD", help="Such as icebreaker; a name that is none lists them all."),
]
LargestOption = Annotated[
    str | None,
    typer.Option("--preset", help="Put this network on the board [default: the board's largest]."),
]
BoardFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Find BOARD in this Python file (docs/boards.md)."),
]
ToolsOption = Annotated[
    str,
    typer.Option("--tools", help="Use yowasp (pinned Python packages) or native (on the PATH)."),
]
PlaceOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        help="Place with this seed and pack its bitstream [default: one known to be routed].",
    ),
]
