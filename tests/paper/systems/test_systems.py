"""Every system of Table II learns."""

from dataclasses import replace

import pytest

from nudge.paper.systems import train as training
from nudge.paper.systems.configuration import Configuration
from nudge.paper.systems.configurations import table_two
from nudge.paper.systems.variants import PUBLISHED_FALLING, PUBLISHED_WEAK

from .small_systems import DIGITS

#: Epochs, factor on the initial weights, and learning rates (None: the configuration's) of exceptional short
#: runs. Table I's own rates drown the convolutions of snn-ep in the noise of a single xi (docs/paper.md);
#: Ernoult's are for 3,000 updates an epoch; oconnor-3fc begins to learn late, and how late depends on the
#: machine's rounding; crnn-bptt sometimes falls back to chance with Table I's rates at batch 20.
SHORT: dict[tuple[str, str], tuple[int, float, tuple[float, ...] | None]] = {
    ("snn-ep", "table-1"): (6, 1.5, (0.008, 0.008, 0.02, 0.032)),
    ("ernoult-2c1fc", "published"): (4, 1.0, (0.3, 0.07, 0.03)),
    ("oconnor-3fc", "published"): (20, 1.0, None),
    ("snn-bptt", "tuned"): (3, 1.0, None),
    ("snn-bptt", "table-1"): (4, 1.0, None),
    ("crnn-bptt", "table-1"): (4, 1.0, (0.12, 0.08, 0.05, 0.04)),
    # its own rates were chosen at four times the widths; even half of them upset one seed in three here
    ("crnn-bptt", "tuned"): (6, 1.0, (0.12, 0.08, 0.05, 0.04)),
}


def short(c: Configuration) -> training.SystemRun:
    """Return a short run: 500 digits in batches of 20, at most 60 + 20 steps."""
    epochs, gain, rates = SHORT.get((c.name, c.variant), (3, c.gain, None))
    dynamics = replace(c.dynamics, free=min(c.dynamics.free, 60), nudged=min(c.dynamics.nudged, 20))
    c = replace(c, dynamics=dynamics, batch=20, gain=gain, rates=rates or c.rates)
    return training.SystemRun(c, 500, epochs, 1, 500)


def cases() -> list:
    """Return all of Table II, tuned variants once, since they are the same for both data sets.

    Variants whose rates fall are left out: a budget determines how far. Cut short, FashionMNIST's constants
    differ from MNIST's in rates alone, so those cases are marked slow, as are Table I's constants and
    O'Connor's three hidden layers, which take the longest.
    """
    mnist, fashion = (table_two(name, 16, (8, 16, 64)) for name in ("mnist", "fashion-mnist"))
    others = [c for c in fashion if c.variant != "tuned"]
    slow = [c for c in [*mnist, *others] if c in others or c.variant == "table-1" or c.name == "oconnor-3fc"]
    return [
        pytest.param(
            c, id=f"{c.name}-{c.variant}-{c.dynamics.free}", marks=[pytest.mark.slow] if c in slow else []
        )
        for c in [*mnist, *others]
        if c.variant not in (PUBLISHED_FALLING, PUBLISHED_WEAK)
    ]


@pytest.mark.parametrize("c", cases())
def test_every_system_of_table_2_learns(c):
    """After 500 digits a few times, in seconds, under 80 % of 500 others are wrong; chance is 90 ± 1.3 %."""
    run = short(c)
    parameters = training.train(run, DIGITS).parameters
    wrong = training.error(run, parameters, DIGITS.test_images, DIGITS.test_labels)
    assert wrong < 80
