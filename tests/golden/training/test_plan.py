"""What a plan asks for: learning rates of each epoch, and images moved and mirrored."""

from dataclasses import replace

import numpy as np

from golden.contract.presets import preset
from golden.training.plan import Plan

from .cut_run import DATA, PLAN, SPEC


def test_rates_shrink_by_the_decay_each_epoch():
    settings = replace(PLAN, lr_scale=2.0, decay=0.5).settings(SPEC)
    for registers, scale in zip(settings, (2.0, 1.0), strict=True):
        pairs = zip(SPEC.bundles, SPEC.learning.rates, strict=True)
        assert registers.weight_rates == tuple(SPEC.rate(b, lr=scale * lr, beta=0.5, batch=8) for b, lr in pairs)


def test_rates_shrink_down_to_the_smallest_that_a_register_holds():
    """Also where a register is worth more than a learning rate's LSB, as with fine spikes."""
    garments = preset("garments")
    first, last = (Plan.of(garments, "embedded", 10, epochs=40, decay=0.5).settings(garments)[at] for at in (0, -1))
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
    # how far an image moves is the same with and without
    moved = replace(PLAN, shift=2).images(DATA, 1, numbers)
    for image, before in zip(replace(PLAN, shift=2, flip=True).images(DATA, 1, numbers), moved, strict=True):
        assert np.array_equal(image, before) or np.array_equal(image, before[:, ::-1])
