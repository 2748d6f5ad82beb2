"""That all of Table II learns."""

from dataclasses import replace

import pytest

from paper.systems import train as training
from paper.systems.configuration import Configuration
from paper.systems.configurations import table_two
from paper.systems.variants import PUBLISHED_FALLING, PUBLISHED_WEAK

from .small_systems import DIGITS

#: What a short run needs, where it isn't the configuration's own: epochs, factor on the initial weights, learning rates.
#: Table I's own rates drown the convolutions of snn-ep in the noise of a single xi (docs/paper.md); Ernoult's are for
#: 3,000 updates an epoch; oconnor-3fc starts late, and how late depends on the machine's rounding; crnn-bptt falls back to
#: chance now and then with Table I's at batch 20.
SHORT: dict[tuple[str, str], tuple[int, float, tuple[float, ...] | None]] = {
    ("snn-ep", "table-1"): (6, 1.5, (0.008, 0.008, 0.02, 0.032)),
    ("ernoult-2c1fc", "published"): (4, 1.0, (0.3, 0.07, 0.03)),
    ("oconnor-3fc", "published"): (20, 1.0, None),
    ("snn-bptt", "tuned"): (3, 1.0, None),
    ("snn-bptt", "table-1"): (4, 1.0, None),
    ("crnn-bptt", "table-1"): (4, 1.0, (0.12, 0.08, 0.05, 0.04)),
    # its own, chosen at four times the widths, and half of them upset one seed in three here
    ("crnn-bptt", "tuned"): (6, 1.0, (0.12, 0.08, 0.05, 0.04)),
}


def short(c: Configuration) -> training.SystemRun:
    """At most 60 + 20 steps, batches of 20."""
    epochs, gain, rates = SHORT.get((c.name, c.variant), (3, c.gain, None))
    dynamics = replace(c.dynamics, free=min(c.dynamics.free, 60), nudged=min(c.dynamics.nudged, 20))
    c = replace(c, dynamics=dynamics, batch=20, gain=gain, rates=rates or c.rates)
    return training.SystemRun(c, 500, epochs, 1, 500)


def cases() -> list:
    """All of Table II; tuned variants are the same for both data sets, and rates fall only if a budget says how far.

    Cut short, FashionMNIST's constants differ from MNIST's in rates alone: those are slow.
    """
    mnist, fashion = (table_two(name, 16, (8, 16, 64)) for name in ("mnist", "fashion-mnist"))
    slow = [c for c in fashion if c.variant != "tuned"]
    return [
        pytest.param(c, id=f"{c.name}-{c.variant}-{c.dynamics.free}", marks=[pytest.mark.slow] if c in slow else [])
        for c in [*mnist, *slow]
        if c.variant not in (PUBLISHED_FALLING, PUBLISHED_WEAK)
    ]


@pytest.mark.parametrize("c", cases())
def test_every_system_of_table_2_learns(c):
    """500 digits a few times, in seconds: at most 80 % of 500 others are wrong; by chance it would be 90 ± 1.3 %."""
    run = short(c)
    parameters = training.train(run, DIGITS).parameters
    wrong = training.error(run, parameters, DIGITS.test_images, DIGITS.test_labels)
    assert wrong < 80
