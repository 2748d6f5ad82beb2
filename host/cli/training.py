"""`nudge train` and `nudge resume`: train on a board, or in the model in one or several processes."""

from pathlib import Path
from typing import Annotated

import typer

from nudge.golden.training.options import OUTPUT, ResumeOptions, TrainingOptions

from .completion import weights
from .options import JsonOption, Where, with_fields
from .run import importing


@with_fields
def train(
    options: TrainingOptions = TrainingOptions(),  # noqa: B008 (frozen)
    where: Where = Where(),  # noqa: B008 (frozen)
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write weights, metrics and learning curve to this folder [default: runs/NETWORK-DATA-N, a new one].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Train, then evaluate once on the test set.

    If the board has memory for the samples, they are stored there first, then requested by index.

    Ctrl-C finishes the batch and saves; `nudge resume` continues from there.

    torchrun --nproc-per-node K -m nudge train --board golden ... trains the model on K processes, with the same bits.
    """
    with importing():
        from nudge.golden.training.run import Run

        from .work.session import carry_out
    return carry_out(
        lambda: Run.prepare(out, options), where.board or "sim", where, as_json, named=out is not None
    )


@with_fields
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", autocompletion=weights)],
    options: ResumeOptions = ResumeOptions(),  # noqa: B008 (frozen)
    where: Where = Where(),  # noqa: B008 (frozen)
    as_json: JsonOption = False,
) -> int:
    """Continue a saved run with its options, then evaluate once on the test set.

    On any board, and with any number of processes (torchrun, as for `nudge train`), the weights become those
    of an uninterrupted run.
    """
    with importing():
        from nudge.golden.training.run import Run

        from .work.session import carry_out
    return carry_out(lambda: Run.again(run, options), where.board, where, as_json)
