"""The public names make, train and query networks, with the results of the same commands."""

from typing import Any

import numpy as np
import pytest
import torch

import nudge
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.host.cli import main as cli
from nudge.plumbing.errors import ModelError, PlanError, SpecError, UsageError, WeightsError

DATA = nudge.data("embedded")
#: Short phases and few samples: these tests are about control, not about learning.
FEW: dict[str, Any] = {"samples": 40, "batch": 16, "free_steps": 4, "nudged_steps": 4}


def mine(**options):
    return nudge.Network([nudge.Conv(2, kernel=5), nudge.Dense(12), nudge.Dense(10)], **options)


def test_a_network_from_code_is_that_of_the_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[[stage]]\nconv = 2\nkernel = 5\n[[stage]]\ndense = 12\n[[stage]]\ndense = 10\n'
    )
    assert mine().spec == nudge.Network.load(file).spec
    assert mine(schedule={"free": 20}, learning={"gain": 0.7}).spec.schedule.free == 20


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: nudge.Network.preset("huge"), SpecError, "unknown preset 'huge'"),
        (lambda: nudge.Network.load("nothing"), WeightsError, "no weights at nothing"),
        (lambda: nudge.Network.load("nothing.toml"), SpecError, "nothing.toml: No such file"),
        (lambda: nudge.Network([nudge.Conv(4)]), SpecError, "network mine: the last stage must"),
        (lambda: nudge.Network([10]), UsageError, "a stage must be nudge.Conv or nudge.Dense, not 10"),  # type: ignore[list-item]
        (lambda: mine(schedule={"free": 1}), SpecError, "free"),
        (
            lambda: mine().fit(nonsense=1),
            UsageError,
            "fit has no option 'nonsense': choose from data_dir, samples",
        ),
        (lambda: mine().fit("letters"), PlanError, "unknown data set 'letters'"),
        (lambda: mine().fit(held_out=1000), PlanError, "--held-out must be 0..999, not 1000"),
        (lambda: mine().fit(samples=901, held_out=100), PlanError, "--samples must be 1..900"),
        (
            lambda: mine().predict(np.zeros((1, 5, 5), np.uint8)),
            ModelError,
            r"images must be uint8 \(n, 28, 28\)",
        ),
        (
            lambda: mine().predict(DATA.test_images, arithmetic="half"),
            UsageError,
            "arithmetic must be fixed or float",
        ),
        (
            lambda: nudge.paper.system("snn-ep", "best"),
            UsageError,
            "no system 'snn-ep', 'best': choose one of",
        ),
        (
            lambda: nudge.paper.system("snn-ep", data="letters"),
            UsageError,
            "data must be mnist or fashion-mnist",
        ),
    ],
)
def test_what_is_wrong_is_one_line(make, error, says):
    with pytest.raises(error, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stages", [(nudge.Conv(4, 5, 2), nudge.Dense(3)), (nudge.Dense(3),)], ids=str)
def test_floating_point_predicts_colour_alike(stages):
    """A network that has learnt three colours predicts nearly all images alike in both arithmetics."""
    random = np.random.default_rng(1)
    labels = np.arange(300) % 3
    images = random.integers(0, 60, (300, 3, 12, 16)).astype(np.uint8)
    images[np.arange(300), labels] += 100
    net = nudge.Network(stages, input={"channels": 3, "height": 12, "width": 16, "classes": 3})
    parts: list[Any] = [images[:200], labels[:200], images[200:], labels[200:]]
    result = net.fit(nudge.Data(*parts), epochs=3, seed=1)
    fixed, floating = (net.predict(images[200:], arithmetic=name) for name in ("fixed", "float"))
    assert result.error_percent is not None
    assert result.error_percent < 10
    assert (fixed == floating).mean() > 0.95


def test_fit_is_the_command(tmp_path, capsys):
    options = [part for name, value in FEW.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = ["train", "--preset", "tiny", "--board", "golden", "--epochs", "2", "--seed", "3", *options]
    assert cli.main([*command, "--out", str(tmp_path / "command")]) == 0
    said = capsys.readouterr().out
    net = nudge.Network.preset("tiny")
    result = net.fit(epochs=2, seed=3, out=tmp_path / "api", **FEW)
    assert f"test error {result.error_percent:.2f} %" in said
    files = [checkpoint.load(tmp_path / name / "weights.safetensors") for name in ("command", "api")]
    for ours, theirs in zip(files[0][1], files[1][1], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert files[0][2].plan == files[1][2].plan
    # the network has the learnt weights, and so has its file
    again = nudge.Network.load(tmp_path / "api")
    assert all(np.array_equal(again.weights[name], net.weights[name]) for name in net.weights)
    assert again.evaluate().error_percent == net.evaluate().error_percent == result.error_percent
    assert np.array_equal(net.predict(DATA.test_images), net.evaluate().predictions)
    assert (tmp_path / "api" / "learning-curve.png").exists()


def test_the_history_has_every_commit_and_held_out_images(tmp_path):
    result = mine().fit(epochs=2, held_out=30, out=tmp_path, **FEW)
    history = result.history
    assert history.samples.tolist() == [16, 32, 40, 56, 72, 80]
    assert history.error_percent.shape == history.seconds.shape == (6,)
    assert [(epoch.epoch, epoch.samples) for epoch in history.epochs] == [(1, 40), (2, 80)]
    # the same images, with the weights at the end of the run
    net = nudge.Network.load(tmp_path)
    wrong = net.predict(DATA.train_images[-30:]) != DATA.train_labels[-30:].numpy()
    assert history.epochs[-1].held_out_error_percent == pytest.approx(100 * wrong.mean())
    assert (
        (tmp_path / "epochs.csv")
        .read_text()
        .splitlines()[0]
        .startswith("epoch,samples,training_error_percent,held_out")
    )
    axes = result.plot().axes[0]
    assert [line.get_label().split(":")[0] for line in axes.lines] == [
        "training, last 100 samples",
        "held out, after each epoch",
        "test",
    ]


def test_held_out_images_change_no_weight(tmp_path):
    plain, tried = (mine() for _ in range(2))
    plain.fit(epochs=2, **FEW)
    tried.fit(epochs=2, held_out=100, **FEW)
    assert all(np.array_equal(plain.weights[name], tried.weights[name]) for name in plain.weights)


def test_a_callback_sees_each_commit_and_can_stop(tmp_path):
    seen = []

    def watch(run):
        seen.append((run.epoch, run.position))
        return len(seen) == 4

    result = mine().fit(epochs=2, out=tmp_path, callbacks=[watch], **FEW)
    assert seen == [(0, 16), (0, 32), (1, 0), (1, 16)]
    assert not result.finished
    assert result.error_percent is None
    # resuming gives the weights of an uninterrupted run
    command = ["resume", str(tmp_path)]
    assert cli.main(command) == 0
    through = mine()
    through.fit(epochs=2, **FEW)
    resumed = nudge.Network.load(tmp_path)
    assert all(np.array_equal(through.weights[name], resumed.weights[name]) for name in through.weights)


def test_images_of_ones_own(tmp_path):
    own = nudge.Data(*(part[:50] for part in DATA))
    net = mine()
    result = net.fit(own, samples=40, free_steps=4, nudged_steps=4, out=tmp_path)
    assert result.evaluation is not None
    assert result.evaluation.samples == 50
    learnt = checkpoint.load(tmp_path / "weights.safetensors")[2].plan["data"]
    assert learnt == {"kind": "given", "path": "", "digest": datasets.digest(own)}
    named = mine()
    named.fit("embedded", samples=40, free_steps=4, nudged_steps=4)
    assert all(np.array_equal(named.weights[name], net.weights[name]) for name in net.weights)
    with pytest.raises(ModelError, match=r"labels must be 0\.\.9"):
        net.evaluate(own._replace(test_labels=own.test_labels + 5))


def test_the_paper_s_systems_learn():
    run = nudge.paper.run("crnn-ep", samples=20, epochs=1, narrow=16, tested=20)
    trained = nudge.paper.train(run, DATA)
    assert len(trained.training) == 8
    assert 0 <= nudge.paper.test_error(run, trained.parameters, DATA) <= 100
    assert ("snn-ep", "table-1") in {(c.name, c.variant) for c in nudge.paper.table_two("mnist")}


def test_public_names_are_documented():
    for name in nudge.__all__:
        assert getattr(nudge, name) is not None
        if name != "PRESETS":
            assert getattr(nudge, name).__doc__, name
