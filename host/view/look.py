"""Evaluates a run's weights: errors, firing rates, and single images sweep by sweep.

The golden model computes them, with the same bits as every board.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nudge.golden.contract.shapes import Input
from nudge.golden.contract.spec import Spec
from nudge.golden.model.batch import infer
from nudge.golden.model.parameters import Parameters, initial
from nudge.golden.model.recording import Recording, record, size
from nudge.golden.model.settings import Settings
from nudge.golden.training import data as datasets
from nudge.golden.training.data import Data, Source
from nudge.golden.training.evaluate import Evaluation
from nudge.plumbing.errors import DataError, ModelError

from .folder import Folder

#: Most test images that are evaluated.
TRIED = 500

#: Most misread images that are shown.
SHOWN = 12

#: Most images that can be stepped through, and most bytes of their recordings.
STEPPED, STEPPED_BYTES = 3, 1 << 26

#: Bins of a histogram of weights.
BINS = 64


@dataclass(frozen=True)
class Look:
    """Evaluation of a network's weights."""

    #: Description of the evaluated images.
    images: str
    #: Result on the first images of the test set; None if the data set isn't on this machine.
    evaluation: Evaluation | None
    #: Spikes per neuron and sweep of the free phase in layers 1..N, the mean over the evaluated images.
    firing: list[float]
    #: The first misread images: image, label, prediction.
    misread: list[tuple[np.ndarray, int, int]]
    #: Recordings of a few images in all phases; the first image is predicted correctly, if any is.
    steps: list[Recording]
    #: Reason for no recordings; "" if there are some.
    no_steps: str
    #: Initial weights, and present weights, of each bundle, in units of 1.
    before: list[np.ndarray]
    now: list[np.ndarray]


@functools.cache
def _images(source: Source, data_dir: str, shown: Input) -> tuple[str, Data | None]:
    """Return a description of a data set's test images, and the data or None.

    data_dir: the run's folder for data sets, "" for none. Without MNIST's folder, its embedded digits are
    returned.
    """
    try:
        if source.kind == datasets.GIVEN:
            return "the images that it learnt aren't kept with the run", None
        return f"the test set of {source}", datasets.load(source, Path(data_dir) if data_dir else None, shown)
    except DataError as error:
        if source.kind == datasets.PATH:
            return str(error), None
        if source.kind != "mnist":
            return f"no {source} on this machine: nudge data get {source}", None
        return "the embedded digits of mnist's test set", datasets.load("embedded", shown=shown)


def look(folder: Folder, *, steps: bool = True) -> Look:
    """Evaluate the weights of a run's last checkpoint. steps: record images to step through too."""
    spec, settings = folder.spec, folder.found.typed_settings()
    named, images = _images(folder.plan.data, folder.found.data_dir, spec.input)
    first = initial(spec, folder.plan.seed)
    before, now = (_values(spec, each) for each in (first, folder.parameters))
    if images is None:
        return Look(named, None, [], [], [], named, before, now)
    pixels, labels = images.test_images[:TRIED], images.test_labels[:TRIED].numpy()
    predictions, spikes = infer(spec, settings, folder.parameters, pixels)
    evaluation = Evaluation(labels, predictions.numpy(), spec.classes, folder.found.names)
    sweeps = len(pixels) * settings.free_steps
    firing = [count / (layer.neurons * sweeps) for count, layer in zip(spikes, spec.layers[1:], strict=True)]
    wrong = np.flatnonzero(evaluation.labels != evaluation.predictions)
    misread = [(pixels[i].numpy(), int(labels[i]), int(evaluation.predictions[i])) for i in wrong[:SHOWN]]
    right = np.flatnonzero(evaluation.labels == evaluation.predictions)
    chosen = [*right[:1], *wrong[: STEPPED - len(right[:1])]]
    shown = [(pixels[i].numpy(), int(labels[i])) for i in chosen if steps]
    recordings, why = _steps(spec, settings, folder.parameters, shown)
    kept = (
        f"the first {len(pixels)} of {named}"
        if len(pixels) < len(images.test_images)
        else f"all {len(pixels)} of {named}"
    )
    return Look(kept, evaluation, firing, misread, recordings, why, before, now)


def _steps(
    spec: Spec, settings: Settings, parameters: Parameters, images: list[tuple[np.ndarray, int]]
) -> tuple[list[Recording], str]:
    """Return the recordings that fit into `STEPPED_BYTES`; the reason if not even one does, else ""."""
    found: list[Recording] = []
    left = STEPPED_BYTES
    for image, label in images:
        try:
            found.append(record(spec, settings, parameters, image, label, limit=left))
        except ModelError as error:
            return found, "" if found else str(error)
        left -= size(spec, settings, labelled=True)
    return found, ""


def _values(spec: Spec, parameters: Parameters) -> list[np.ndarray]:
    """Return the weights' masters in units of 1."""
    return [w.numpy() * 2.0**-spec.formats.master_fraction for w in parameters.weights]


def histogram(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges (BINS + 1,) from -1 to 1, and the share (BINS,) of the weights in each bin in percent."""
    counts, edges = np.histogram(weights, BINS, (-1.0, 1.0))
    return edges, 100 * counts / max(weights.size, 1)
