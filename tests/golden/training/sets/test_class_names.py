"""Names of classes come from folders or archives, are saved with the weights, and can do no harm."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import nudge
from nudge.golden.contract.shapes import Input
from nudge.golden.training import checkpoint, data
from nudge.golden.training.evaluate import Evaluation
from nudge.golden.training.run import Run
from nudge.golden.training.sets.class_names import LONGEST, USUAL, called, of
from nudge.plumbing.errors import DataError, WeightsError

SHOWN = Input(1, 9, 8, 3)
HOSTILE = ["\x1b[31mred", "a\nb", "x" * 200, "\u202edlo", " ", "Ä🐙"]


def archive(path, **more):
    """Write nine images of three classes; return the path."""
    images, labels = np.zeros((9, 9, 8), np.uint8), np.arange(9) % 3
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels, **more)
    return str(path)


def test_folders_are_names(tmp_path):
    for name in ("cat", "ant", "bee"):
        (tmp_path / name).mkdir()
        for n in range(5):
            Image.new("L", (8, 9), n).save(tmp_path / name / f"{n}.png")
    assert data.load(str(tmp_path), shown=SHOWN).classes == ("ant", "bee", "cat")


def test_an_archive_may_have_names(tmp_path):
    assert data.load(archive(tmp_path / "a.npz"), shown=SHOWN).classes == ()
    named = archive(tmp_path / "b.npz", classes=np.array(["ant", "bee", "cat"]))
    assert data.load(named, shown=SHOWN).classes == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (np.arange(3), r"classes must be texts \(n,\), not int64 \(3,\)"),
        (np.array([["a", "b", "c"]]), r"classes must be texts \(n,\), not <U1 \(1, 3\)"),
        (np.array(["a", "b"]), "classes has 2 names, and there is a label 2"),
        (np.array(["a"] * 65), "there are more than 64 names of classes"),
        (np.array([None] * 3), "is no .npz file"),
    ],
    ids=range(5),
)
def test_other_names_are_refused_in_one_line(tmp_path, names, says):
    with pytest.raises(DataError, match=says) as caught:
        data.load(archive(tmp_path / "a.npz", classes=names), shown=SHOWN)
    assert "\n" not in str(caught.value)


def test_names_are_short_and_only_printed():
    names = of(HOSTILE)
    assert names[:2] == (r"\x1b[31mred", r"a\nb")
    assert names[2] == "x" * (LONGEST - 1) + "…"
    assert all(name.isprintable() and len(name) <= LONGEST for name in names)
    assert called(names, 8) == (*names[:4], "4", "Ä🐙", "6", "7")
    assert of(["\udcff"]) == (r"\udcff",)
    assert of(names) == names
    wrong: Any
    for wrong in ("abc", [1], [None], 5, [b"a"]):
        with pytest.raises(DataError, match=r"^(names of classes|the name of a class) must be [^\n]+$"):
            nudge.Data(*nudge.data("embedded"), classes=wrong)


def test_the_usual_names():
    assert nudge.data("embedded").classes == USUAL["mnist"] == tuple("0123456789")
    assert nudge.data("embedded", shown=Input(classes=4)).classes == tuple("0123")
    assert USUAL.keys() == set(data.NAMES)
    assert all(len(set(names)) == 10 for names in USUAL.values())
    assert nudge.Network.load("medium-fashion-mnist").classes[9] == "Ankle boot"


def test_fewer_classes_than_outputs_are_a_note(tmp_path, capsys):
    data.load(archive(tmp_path / "a.npz"), shown=dataclasses.replace(SHOWN, classes=5))
    assert (
        capsys.readouterr().err
        == f"{tmp_path}/a.npz has images of 3 classes; the network has outputs for 5\n"
    )
    data.load(archive(tmp_path / "a.npz"), shown=SHOWN)
    assert capsys.readouterr().err == ""


OWN = nudge.Data(*(part[:30] for part in nudge.data("embedded")), classes=["zero", "one\n", "two"])


def trained(out):
    nudge.Network.preset("tiny").fit(OWN, samples=16, free_steps=4, nudged_steps=4, out=out)
    return out / "weights.safetensors"


def rewritten(path, **changes):
    """Change metadata of a weight file, with a new digest. None: leave the entry out."""
    tensors, metadata = checkpoint.content(path, checkpoint.MAX_BYTES)
    metadata = {name: value for name, value in (metadata | changes).items() if value is not None}
    save_file(tensors, path, metadata | {"digest": checkpoint.digest(tensors, metadata)})


def test_names_are_kept_with_the_weights(tmp_path):
    path = trained(tmp_path)
    assert checkpoint.load(path)[2].classes == ("zero", r"one\n", "two")
    assert json.loads(checkpoint.content(path, checkpoint.MAX_BYTES)[1]["classes"]) == [
        "zero",
        r"one\n",
        "two",
    ]
    net = nudge.Network.load(tmp_path)
    assert net.classes == ("zero", r"one\n", "two", *"3456789")
    assert net.evaluate(OWN).names == ("zero", r"one\n", "two")
    # a resumed run still has them
    assert Run.resume(tmp_path).classes == ("zero", r"one\n", "two")


def test_a_file_from_before_there_were_names_is_read(tmp_path):
    path = trained(tmp_path)
    rewritten(path, classes=None)
    assert checkpoint.load(path)[2].names == ()
    assert nudge.Network.load(tmp_path).classes == tuple("0123456789")
    # packaged weights have none either, but learnt a data set that has names
    found = checkpoint.load(checkpoint.find(Path("tiny-mnist")))[2]
    assert (found.classes, found.names) == ((), USUAL["mnist"])


@pytest.mark.parametrize(
    "names", [["\x1b[31m"], ["x" * 41], ["a"] * 65, "abc", [1], {"a": 1}, None, [["a"]], ["a", "b\n"], 1e400]
)
def test_names_that_no_run_writes_are_damage(tmp_path, names):
    path = trained(tmp_path)
    rewritten(path, classes=json.dumps(names))
    with pytest.raises(WeightsError, match=rf"^{path}: damaged metadata \(classes can't be [^\n\x1b]+\)$"):
        checkpoint.load(path)


def test_a_table_has_numbers_and_names():
    labels, predictions = np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])
    plain = Evaluation(labels, predictions, 3).table().splitlines()
    assert plain == [
        "label\\prediction  0  1  2",
        *(f"               {n}" for n in ("0  1  0  0", "1  0  1  0", "2  1  0  1")),
    ]
    named = Evaluation(labels, predictions, 3, ("ant", "ビー", "2")).table().splitlines()
    assert named[0] == plain[0]
    assert named[1:] == [
        "           ant 0  1  0  0",
        "          ビー 1  0  1  0",
        "               2  1  0  1",
    ]


def test_a_table_of_many_classes_has_a_line_for_each():
    """It names the three most frequent wrong classes, and counts the others."""
    labels = np.array([0] * 10 + [1, 24])
    predictions = np.array([0, 0, 3, 3, 3, 1, 1, 22, 23, 24, 0, 24])
    names = ("ant", "a longer name", "bee", "ビー")
    lines = Evaluation(labels, predictions, 25, names).table().splitlines()
    assert len(lines) == 25
    assert lines[:2] == [
        "          ant: 2 of 10 read rightly, 3 as ビー, 2 as a longer name, 1 as 22, 2 as 2 others",
        "a longer name: 0 of 1 read rightly, 1 as ant",
    ]
    assert lines[3] == "         ビー: 0 of 0 read rightly"
    assert lines[24] == "           24: 1 of 1 read rightly"


def test_names_change_no_digest(tmp_path):
    plain = nudge.Data(*OWN)
    assert plain.classes == ()
    assert data.digest(plain) == data.digest(OWN)
    assert torch.equal(plain.train_images, OWN.train_images)
    assert len(OWN) == 4
