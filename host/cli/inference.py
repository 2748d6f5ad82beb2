"""`nudge eval` and `nudge predict`: what trained weights answer, to a test set or to pictures."""

from pathlib import Path
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
) -> None:
    """Print the test error and confusion matrix of a run or a weight file.

    The model's predictions equal those of every board, bit for bit; --board serves to check that.
    """
    with importing():
        from .work.evaluation import carry_out
    carry_out(weights, board, engines, data, data_dir, samples, preset_name, as_json)


def predict(
    weights: WeightsArgument,
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE", help="PNG, JPEG or another format that Pillow reads.")
    ],
    invert: Annotated[
        bool, typer.Option("--invert", help="Invert the brightness: for black ink on white paper.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the class of each picture, of any size, and the outputs that decide it.

    A picture of the network's size is used as it is. Any other is scaled to fit, and centred on black; if the
    weights learnt MNIST, it is placed as MNIST's digits are.

    The model's predictions equal those of every board, bit for bit.
    """
    with importing():
        from .work.pictures import carry_out
    carry_out(weights, pictures, invert, as_json)
