"""The committed networks load, are of their preset, and classify."""

from pathlib import Path

import pytest

import golden
from golden import checkpoint, data, fixed

FILES = sorted((Path(golden.__file__).parent / "weights").glob("*.safetensors"))

#: Well above what docs/results.md says of each on the whole test set; damaged weights would be far beyond.
WORST_PERCENT = 4.0


def test_there_are_some():
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_committed_weights_classify(file):
    spec, parameters, found = checkpoint.load(file)
    assert file.stem == f"{spec.name}-{found.plan['data']}"
    digits = data.load("embedded")
    predictions, _ = fixed.infer(spec, found.registers(), parameters, digits.test_images)
    assert 100 * (predictions != digits.test_labels).float().mean() < WORST_PERCENT
