"""`nudge predict`: classifies pictures."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, WeightsArgument
from .run import importing


def predict(
    weights: WeightsArgument,
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE", help="PNG, JPEG or another format that Pillow reads.")
    ],
    invert: Annotated[
        bool, typer.Option("--invert", help="Invert the brightness: for black digits on white paper.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Print the class of each picture, of any size, and the outputs that decide it.

    A picture of the network's size is used as it is. Any other is scaled to fit, and centred on black; if the
    weights learnt MNIST, it is placed as MNIST's digits are.

    The model's predictions equal those of every board, bit for bit.
    """
    with importing():
        from .work.pictures import carry_out
    return carry_out(weights, pictures, invert, as_json)
