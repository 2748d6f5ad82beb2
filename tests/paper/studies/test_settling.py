"""Half as many steps suffice in the order "odd-even": a sweep is two steps, without cycles of period two."""

from math import prod

import pytest

from nudge.paper.studies.settling import ORDERS, cycling, distances, equilibrium, first, floating, trained

TINY = ("tiny-mnist", 4)


def test_the_equilibrium_is_one():
    """Both orders, damped or not, are at the same equilibrium after 100 steps."""
    rest = equilibrium(*TINY)
    assert rest.min() >= 0
    assert 0 < rest.mean() < rest.max() <= 1
    for order in ORDERS:
        for shift in (0, 1):
            assert (first(floating(*TINY, order, shift), 100)[-1] - rest).abs().max() < 1e-9, (order, shift)


@pytest.mark.parametrize("weights", ["tiny-mnist", "small-mnist"])
def test_a_sweep_is_two_steps(weights):
    """Undamped, from rest: n sweeps give odd layers as after 2n - 1 steps of "all", even ones as after 2n."""
    layers = trained(weights)[0].layers[1:]
    sweeps, steps = (
        [
            x.split([prod(layer.shape) for layer in layers], 1)
            for x in first(floating(weights, 2, order, 0), 8)
        ]
        for order in ("odd-even", "all")
    )
    for n in range(1, 5):
        for odd, even in zip(range(0, len(layers), 2), range(1, len(layers), 2), strict=True):
            assert sweeps[n - 1][odd].equal(steps[2 * n - 2][odd])
            assert sweeps[n - 1][even].equal(steps[2 * n - 1][even])


@pytest.mark.parametrize("arithmetic", ["floating", "spiking"])
def test_halves_are_nearer_after_as_many(arithmetic):
    all_at_once, halves = (distances(*TINY, arithmetic, order, 1) for order in ORDERS)
    assert len(halves) == 32
    for t in (4, 8):
        assert halves[f"distance_{t}"] < all_at_once[f"distance_{t}"]
    assert halves["distance_32"] < 1e-3


def test_only_all_at_once_cycles():
    """With weights four times as large, half of the images cycle in the order "all", none in "odd-even"."""
    assert cycling(*TINY, "all", 4.0)["cycling_percent"] == 50
    assert cycling(*TINY, "odd-even", 4.0)["cycling_percent"] == 0
    assert cycling(*TINY, "all", 1.0)["cycling_percent"] == 0
