"""`nudge board throughput`: models the link's overhead on a line, and the rate of a whole run."""

from typing import Annotated

import typer

from . import completion
from .options import JsonOption
from .run import importing


def throughput(
    baud: Annotated[
        float | None,
        typer.Option(help="Model a line of this baud rate [default: 3e6].", min=1, max=1e9),
    ] = None,
    delay: Annotated[
        float | None,
        typer.Option(
            help="Add this many seconds to each round trip, as adapters do [default: 0.016].", min=0, max=60
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Train the first N images [default: 512, with --stored 60000]."),
    ] = None,
    stored: Annotated[
        bool,
        typer.Option("--stored", help="Model a whole run from the board's memory, beside its core's rate."),
    ] = False,
    preset_name: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="With --stored: train this network [default: small].",
            autocompletion=completion.presets,
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            help="With --stored: model this target's clock and line.", autocompletion=completion.targets
        ),
    ] = "ulx3s",
    epochs: Annotated[int, typer.Option(help="With --stored: train N epochs.", min=1)] = 2,
    as_json: JsonOption = False,
) -> int:
    """Model the link's overhead on an undamaged line, and how busy requests in flight keep a board.

    With --stored: model the rate of a whole run with its samples in the board's memory.
    """
    with importing():
        from .work import rates
        from .work.builds import Target
    if stored:
        whole = 60_000 if samples is None else samples
        return rates.stored_throughput(Target(target, preset_name or "small"), whole, epochs, as_json)
    return rates.streamed_throughput(baud, delay, samples, as_json)
