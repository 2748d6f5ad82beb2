"""The committed weights load, belong to their preset, and classify."""

from pathlib import Path

import pytest

from nudge import golden
from nudge.golden.contract.presets import PRESETS
from nudge.golden.model.batch import infer
from nudge.golden.training import checkpoint, data

FILES = sorted((Path(golden.__file__).parent / "weights").glob("*.safetensors"))

#: Limits in percent, well above the errors in docs/results.md, and far below those of damaged weights.
WORST = {"mnist": 4.0, "fashion-mnist": 16.0, "cifar10": 45.0}
WORST_TINY = 9.0

#: Number of garments, or images of CIFAR-10, to classify, the first of the test set.
GARMENTS = 1000


def test_every_preset_that_is_built_has_weights():
    assert {"tiny-mnist", "small-mnist", "medium-mnist", "large-mnist"} <= {file.stem for file in FILES}
    assert {"medium-fashion-mnist", "large-fashion-mnist", "wide-fashion-mnist"} <= {
        file.stem for file in FILES
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_committed_weights_classify(file):
    spec, parameters, found = checkpoint.load(file)
    source = data.Source.recorded(found.plan["data"])
    name = Path(str(source)).stem
    assert file.stem == f"{spec.name}-{name}"
    assert spec == PRESETS[spec.name]
    if name == "mnist":
        images, labels = data.load("embedded")[2:]
    else:
        place = data.folder_of() or Path()
        if source.kind == data.PATH:  # its own place is another machine's
            source = source.at(str(place / Path(source.path).name))
        if not place.name or (source.path and not Path(source.path).exists()):
            pytest.skip(f"{data.VARIABLE} names no folder with {name}")
        images, labels = (x[:GARMENTS] for x in data.load(source, shown=spec.input)[2:])
    predictions, _ = infer(spec, found.typed_settings(), parameters, images)
    assert 100 * (predictions != labels).float().mean() < (WORST_TINY if spec.name == "tiny" else WORST[name])
