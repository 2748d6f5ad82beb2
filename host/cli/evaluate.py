"""`nudge eval`: the test error of a weight file."""

from pathlib import Path
from typing import Annotated

import typer

from golden.contract.errors import ExitCode
from golden.contract.presets import preset
from golden.training import checkpoint
from golden.training import data as datasets
from golden.training.evaluate import evaluate
from golden.training.plan import first_samples
from host.boards.open import open_board

from .options import BoardOption, DataOption, DirOption, EnginesOption, JsonOption
from .terminal import emit


def evaluate_weights(
    weights: Annotated[Path, typer.Option(help="Evaluate this weight file of `nudge train`.")],
    board: BoardOption = "sim",
    engines: EnginesOption = None,
    data: DataOption = "embedded",
    data_dir: DirOption = None,
    samples: Annotated[
        int | None, typer.Option(help="Take the first N test images [default: all].")
    ] = None,
    preset_name: Annotated[
        str | None, typer.Option("--preset", help="Refuse weights of another preset.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Test error and confusion matrix of a weight file."""
    spec, parameters, found = checkpoint.load(
        weights, None if preset_name is None else preset(preset_name)
    )
    images = datasets.load(data, data_dir)
    count = first_samples(samples, len(images.test_images), data)
    with open_board(board, spec, engines) as device:
        device.load(parameters)
        device.write_settings(found.registers())
        result = evaluate(device, images.test_images[:count], images.test_labels[:count])
    emit(
        as_json,
        {
            "error_percent": result.error_percent,
            "samples": result.samples,
            "confusion": result.confusion.tolist(),
            "predictions": result.predictions.tolist(),
        },
        f"test error {result.error_percent:.2f} % ({result.errors} of {result.samples})\n{result.table()}",
    )
    return ExitCode.OK
