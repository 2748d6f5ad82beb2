"""The work of `nudge predict`."""

from pathlib import Path

import numpy as np

from nudge.golden.model.batch import output_fraction
from nudge.golden.training import checkpoint
from nudge.golden.training.predict import predict
from nudge.golden.training.sets.class_names import called
from nudge.host.cli.terminal import emit

#: Most outputs that are printed for a picture: of more, the largest ones, from the largest on.
PRINTED = 10


def carry_out(weights: Path, pictures: list[Path], invert: bool, as_json: bool) -> None:
    """Classify the pictures, and print the result."""
    spec, parameters, found = checkpoint.load(checkpoint.find(weights))
    digits = found.source is not None and found.source.digits
    said = predict(spec, found.typed_settings(), parameters, pictures, found.names, digits, invert)
    names, fraction = called(found.names, spec.classes), output_fraction(spec)
    window = f"xi of each output, summed over the last {spec.schedule.window} sweeps of the free phase"
    result = {
        "outputs": f"{window}, LSB 2^-{fraction}",
        "outputs_fraction": fraction,
        "classes": names,
        "pictures": [
            {"path": str(each.path), "class": each.label, "name": each.name, "outputs": each.outputs.tolist()}
            for each in said
        ],
    }
    few = len(names) <= PRINTED
    lines = [f"outputs: {window}; {1 << fraction} is 1{'' if few else f'; the largest {PRINTED}'}"]
    for each in said:
        order = range(len(names)) if few else np.argsort(-each.outputs, kind="stable")[:PRINTED].tolist()
        values = ", ".join(f"{names[n]}: {each.outputs[n]}" for n in order)
        lines += [f"{each.path}: {each.name}", f"  {values}"]
    emit(as_json, result, "\n".join(lines))
