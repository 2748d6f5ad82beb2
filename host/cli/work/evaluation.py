"""The work of `nudge eval`."""

import reprlib
from pathlib import Path

from nudge.golden.contract.datasets import VARIABLE
from nudge.golden.contract.presets import preset
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.golden.training.checkpoint import Checkpoint
from nudge.golden.training.data import Source
from nudge.golden.training.evaluate import evaluate
from nudge.golden.training.plan import first_samples
from nudge.golden.training.sets.class_names import called
from nudge.host.cli.terminal import emit
from nudge.host.devices.open import open_board
from nudge.plumbing.errors import WeightsError
from nudge.plumbing.progress import note


def carry_out(
    weights: Path,
    board: str,
    engines: str | None,
    data: str | None,
    data_dir: Path | None,
    samples: int | None,
    preset_name: str | None,
    as_json: bool,
) -> None:
    """Test the weights, and print the result."""
    path = checkpoint.find(weights)
    spec = None if preset_name is None else preset(preset_name)
    spec, parameters, found = checkpoint.load(path, spec)
    data_dir = data_dir or (Path(found.data_dir) if found.data_dir else None)
    source = chosen_data(path, found, data, data_dir)
    images = datasets.load(source, data_dir, spec.input)
    count = first_samples(samples, len(images.test_images), source)
    with open_board(board, spec, engines) as device:
        device.load(parameters)
        device.write_settings(found.typed_settings())
        result = evaluate(device, images.test_images[:count], images.test_labels[:count], found.names)
    values = {
        "error_percent": result.error_percent,
        "data": str(source) if data is None else data,
        "samples": result.samples,
        "classes": called(found.names, spec.classes),
        "confusion": result.confusion.tolist(),
        "predictions": result.predictions.tolist(),
    }
    error = f"test error {result.error_percent:.2f} % ({result.errors} of {result.samples})"
    emit(as_json, values, f"{error}\n{result.table()}")


def chosen_data(path: Path, found: Checkpoint, asked: str | None, data_dir: Path | None) -> Source:
    """Return the data set to test the weights at `path` on: `asked`, else the one that they learnt.

    Without a folder for data sets, weights that learnt MNIST are tested on the embedded digits.
    """
    known = found.source
    if asked is not None:
        source = Source.asked(asked)
        before = None if known is None else (known.kind, known.path)
        # no note between mnist and embedded, as the embedded test digits are some of MNIST's test digits;
        # the same path counts as the same set, whatever it contains now
        if before != (source.kind, source.path) and {before, (source.kind, "")} != {
            ("mnist", ""),
            ("embedded", ""),
        }:
            note(f"{path.stem} learnt {reprlib.repr(str(known))}; this is its error on {asked}")
        return source
    if known is None:
        raise WeightsError(
            f"{path}: learnt {reprlib.repr(found.plan.get('data'))}, unknown here: give --data"
        )
    if known.kind == "mnist" and datasets.folder_of(data_dir, known.kind) is None:
        why = f"neither --data-dir nor ${VARIABLE} is set, and `nudge data get mnist` was not run"
        note(f"{why}: testing on the 500 embedded digits of it")
        return Source("embedded")
    return known
