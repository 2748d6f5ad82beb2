"""Predictions of a network for picture files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nudge.golden.contract.shapes import Input
from nudge.golden.contract.spec import Spec
from nudge.golden.model.batch import outputs
from nudge.golden.model.chunks import first_largest
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.settings import Settings

from .sets.class_names import Names, called
from .sets.pictures import Fit, pixels


@dataclass(frozen=True)
class Prediction:
    """Prediction of a network for one picture."""

    path: Path
    #: Pixels as the network was shown them, uint8 (channels, height, width).
    pixels: np.ndarray
    #: Number of the predicted class.
    label: int
    #: Name of the predicted class, or its number.
    name: str
    #: `golden.model.batch.outputs`, (classes,) int64; the first largest is the predicted class.
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
    """Return what every board would predict for pictures, fitted by `golden.training.sets.pictures`.

    names: of the classes. digits: whether the network learnt MNIST. invert: the pictures are dark on bright,
    unlike the training images.
    """
    fit = Fit.DIGIT if digits and spec.input.shape == Input().shape else Fit.CENTRED
    shown = np.array([pixels(path, spec.input, fit, invert) for path in paths], np.uint8).reshape(
        -1, *spec.input.shape
    )
    found = outputs(spec, settings, parameters, shown)
    known = called(names, spec.classes)
    labels = first_largest(found).tolist()
    each = zip(paths, shown, labels, found.numpy(), strict=True)
    return [Prediction(path, image, label, known[label], row) for path, image, label, row in each]
