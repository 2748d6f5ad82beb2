"""`nudge eval`: prints the test error of a run or a weight file."""

from typing import Annotated

import typer

from nudge.golden.training.options import DATA, NETWORK, SETS

from . import completion
from .options import BoardOption, DirOption, EnginesOption, JsonOption, WeightsArgument
from .run import importing


def evaluate_weights(
    weights: WeightsArgument,
    board: BoardOption = "golden",
    engines: EnginesOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            help=f"Test on {SETS} [default: the set that the weights learnt].",
            rich_help_panel=DATA,
            autocompletion=completion.data,
        ),
    ] = None,
    data_dir: DirOption = None,
    samples: Annotated[
        int | None, typer.Option(help="Take the first N test images [default: all].", rich_help_panel=DATA)
    ] = None,
    preset_name: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Refuse weights of another network.",
            rich_help_panel=NETWORK,
            autocompletion=completion.presets,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Print the test error and confusion matrix of a run or a weight file.

    The model's predictions equal those of every board, bit for bit; --board serves to check that.
    """
    with importing():
        from .work.evaluation import carry_out
    return carry_out(weights, board, engines, data, data_dir, samples, preset_name, as_json)
