"""`nudge eval`: the test error of a weight file."""

import reprlib
from pathlib import Path
from typing import Annotated

import typer

from golden.contract.errors import ExitCode, WeightsError
from golden.contract.presets import preset
from golden.progress import note
from golden.training import checkpoint
from golden.training import data as datasets
from golden.training.checkpoint import Checkpoint
from golden.training.evaluate import evaluate
from golden.training.plan import first_samples
from host.boards.open import open_board

from .options import BoardOption, DirOption, EnginesOption, JsonOption
from .terminal import emit


def evaluate_weights(
    weights: Annotated[
        Path,
        typer.Option(help="Evaluate this file, run directory or packaged name (small-mnist)."),
    ],
    board: BoardOption = "golden",
    engines: EnginesOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            help=f"Test on {', '.join(datasets.NAMES)}, a .npz file or a folder of PNG files "
            "[default: what the weights learnt]."
        ),
    ] = None,
    data_dir: DirOption = None,
    samples: Annotated[
        int | None, typer.Option(help="Take the first N test images [default: all].")
    ] = None,
    preset_name: Annotated[
        str | None, typer.Option("--preset", help="Refuse weights of another network.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Print the test error and confusion matrix of a weight file.

    The model predicts what every board does, bit for bit, so --board is only there to check that.
    """
    path = checkpoint.find(weights)
    spec = None if preset_name is None else preset(preset_name)
    spec, parameters, found = checkpoint.load(path, spec)
    name = chosen_data(path, found, data, data_dir)
    images = datasets.load(name, data_dir, spec.input)
    count = first_samples(samples, len(images.test_images), name)
    with open_board(board, spec, engines) as device:
        device.load(parameters)
        device.write_settings(found.registers())
        result = evaluate(device, images.test_images[:count], images.test_labels[:count])
    values = {
        "error_percent": result.error_percent,
        "data": name,
        "samples": result.samples,
        "confusion": result.confusion.tolist(),
        "predictions": result.predictions.tolist(),
    }
    error = f"test error {result.error_percent:.2f} % ({result.errors} of {result.samples})"
    emit(as_json, values, f"{error}\n{result.table()}")
    return ExitCode.OK


def same_place(learnt: object, asked: str) -> bool:
    """Whether weights learnt the data set that is asked for, whatever it has now."""
    if not isinstance(learnt, str) or not datasets.is_path(learnt):
        return learnt == asked
    return Path(learnt.partition(datasets.DIGEST)[0]) == Path(asked).resolve()


def chosen_data(path: Path, found: Checkpoint, asked: str | None, data_dir: Path | None) -> str:
    """The data set to test the weights at `path` on: what is asked for, else what they learnt.

    Without a folder to look in, weights that learnt MNIST are tested on the embedded digits.
    """
    learnt = found.plan.get("data")
    if asked is not None:
        datasets.check_name(asked)
        # the embedded digits are MNIST's, its test digits among the test digits
        if not same_place(learnt, asked) and {learnt, asked} != {"mnist", "embedded"}:
            note(f"{path.stem} learnt {reprlib.repr(learnt)}; this is its error on {asked}")
        return asked
    if not isinstance(learnt, str) or not (learnt in datasets.NAMES or datasets.is_path(learnt)):
        raise WeightsError(f"{path}: learnt {reprlib.repr(learnt)}, unknown here: give --data")
    if learnt == "mnist" and datasets.folder_of(data_dir) is None:
        why = f"neither --data-dir nor ${datasets.VARIABLE} says where MNIST is"
        note(f"{why}: testing on the 500 embedded digits of it")
        return "embedded"
    return str(learnt)
