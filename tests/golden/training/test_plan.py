"""A plan's learning rates in each epoch, its moved and mirrored images, and the types of its values."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nudge.golden.contract.presets import preset
from nudge.golden.contract.registers import rate_register
from nudge.golden.training.options import TrainingOptions
from nudge.golden.training.plan import Plan
from nudge.plumbing.errors import PlanError

from .cut_run import DATA, PLAN, SPEC


def test_rates_shrink_by_the_decay_each_epoch():
    settings = replace(PLAN, lr_scale=2.0, decay=0.5).settings(SPEC)
    for registers, scale in zip(settings, (2.0, 1.0), strict=True):
        pairs = zip(SPEC.bundles, SPEC.learning.rates, strict=True)
        assert registers.weight_rates == tuple(
            rate_register(SPEC, b, lr=scale * lr, beta=0.5, batch=8) for b, lr in pairs
        )


def test_rates_shrink_down_to_the_smallest_that_a_register_holds():
    """Also if a register's unit is worth more than a learning rate's LSB, as with fine spikes."""
    garments = preset("garments")
    first, last = (
        Plan.of(garments, "embedded", 10, epochs=40, decay=0.5).settings(garments)[at] for at in (0, -1)
    )
    assert min(first.weight_rates) > 1
    assert last.weight_rates == last.bias_rates == (1,) * 4


def test_shifted_images_depend_on_seed_epoch_and_number_alone():
    plan, numbers = replace(PLAN, shift=2), np.arange(20)
    whole = plan.images(DATA, 1, numbers)
    parts = [plan.images(DATA, 1, numbers[::-1][i : i + 7].copy()) for i in (0, 7, 14)]
    assert np.array_equal(whole[::-1], np.concatenate(parts))
    assert not np.array_equal(whole, plan.images(DATA, 0, numbers))
    original = DATA.train_images[:20].numpy()
    padded = np.pad(original, ((0, 0), (2, 2), (2, 2)))
    moves = [(y, x) for y in range(5) for x in range(5)]
    found = []
    for image, frame in zip(whole, padded, strict=True):
        found.append({(y, x) for y, x in moves if np.array_equal(frame[y : y + 28, x : x + 28], image)})
    assert all(found), "an image was not just moved"
    assert len(set().union(*found)) > 8, "always the same few moves"


def test_flipped_images_are_mirrored_or_not():
    plan, numbers = replace(PLAN, flip=True), np.arange(60)
    original = DATA.train_images[:60].numpy()
    whole = plan.images(DATA, 1, numbers)
    mirrored = [np.array_equal(image, before[:, ::-1]) for image, before in zip(whole, original, strict=True)]
    kept = [np.array_equal(image, before) for image, before in zip(whole, original, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 15 < sum(mirrored) < 45
    assert np.array_equal(whole[::-1], plan.images(DATA, 1, numbers[::-1].copy()))
    # mirroring doesn't change how far an image moves
    moved = replace(PLAN, shift=2).images(DATA, 1, numbers)
    for image, before in zip(replace(PLAN, shift=2, flip=True).images(DATA, 1, numbers), moved, strict=True):
        assert np.array_equal(image, before) or np.array_equal(image, before[:, ::-1])


def test_values_become_plain_ones():
    """They can be written as a weight file's JSON, and are equal when read."""
    given: dict[str, Any] = {
        "seed": np.int16(3),
        "samples": np.uint64(8),
        "lr_scale": np.float32(0.5),
        "beta": Fraction(1, 4),
    }
    made = replace(PLAN, **given, decay=1)
    assert made == replace(PLAN, seed=3, samples=8, lr_scale=0.5, beta=0.25, decay=1.0)
    assert [type(x) for x in (made.seed, made.samples, made.lr_scale, made.beta, made.decay)] == [
        int,
        int,
        float,
        float,
        float,
    ]
    options = TrainingOptions(network="a.toml", data_dir=Path("b"), data=Path("c.npz"), seed=np.int64(4))  # type: ignore[arg-type]
    assert (options.network, options.data_dir, options.data, options.seed) == (
        Path("a.toml"),
        Path("b"),
        "c.npz",
        4,
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("flip", 1, "--flip must be True or False, not 1"),
        ("shift", 1.0, "--shift must be a whole number, not 1.0"),
        ("average", 1.0, "--average must be a whole number, not 1.0"),
        ("seed", True, "--seed must be a whole number, not True"),
        ("lr_scale", True, "--lr-scale must be a number, not True"),
        ("beta", 10**400, f"--beta must be a number, not 1{17 * '0'}...{19 * '0'}"),
        ("decay", 1 + 0j, "--decay must be a number, not (1+0j)"),
        ("epochs", "2", "--epochs must be a whole number, not '2'"),
        ("held_out", np.zeros((2, 2)), "--held-out must be a whole number, not array([[0., 0... [0., 0.]])"),
    ],
)
def test_a_value_of_another_type_is_named(name, value, says):
    for make in (lambda: replace(PLAN, **{name: value}), lambda: TrainingOptions(**{name: value})):
        with pytest.raises(PlanError, match=f"^{re.escape(says)}$"):
            make()


def test_a_number_that_python_does_not_print_is_named():
    with pytest.raises(
        PlanError, match=r"^--beta must be a number, not a number of more digits than Python prints$"
    ):
        replace(PLAN, beta=10**5000)
