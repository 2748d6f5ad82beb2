"""What a network says of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.contract.shapes import Input
from golden.contract.spec import Spec
from golden.model.batch import outputs
from golden.model.chunks import first_largest
from golden.model.parameters import Parameters
from golden.model.settings import Settings

from .sets.class_names import Names, called
from .sets.pictures import Fit, pixels


@dataclass(frozen=True)
class Prediction:
    """What a network says of one picture."""

    path: Path
    #: uint8 (channels, height, width): what the network was shown.
    pixels: np.ndarray
    #: Number of the class.
    label: int
    #: Name of the class, or its number.
    name: str
    #: (classes,) int64: `golden.model.batch.outputs`, of which the first that is the largest is the class.
    outputs: np.ndarray


def predict(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    paths: Sequence[Path],
    names: Names = (),
    digits: bool = False,
    invert: bool = False,
) -> list[Prediction]:
    """What every board would say of pictures, which `golden.training.sets.pictures` brings to the network's size.

    names: of classes. digits: the network learnt MNIST's. invert: the pictures are dark on bright, what it learnt isn't.
    """
    fit = Fit.DIGIT if digits and spec.input.shape == Input().shape else Fit.CENTRED
    shown = np.array([pixels(path, spec.input, fit, invert) for path in paths], np.uint8).reshape(-1, *spec.input.shape)
    found = outputs(spec, settings, parameters, shown)
    known = called(names, spec.classes)
    labels = first_largest(found).tolist()
    each = zip(paths, shown, labels, found.numpy(), strict=True)
    return [Prediction(path, image, label, known[label], row) for path, image, label, row in each]
