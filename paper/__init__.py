"""The paper's systems in floating point: spiking and convergent networks, trained by EP or by BPTT::

    run = nudge.paper.run("snn-ep", samples=200, epochs=1, narrow=16)
    trained = nudge.paper.train(run, nudge.data("embedded"))
    nudge.paper.test_error(run, trained.parameters, nudge.data("embedded"))

`nudge repro table2` trains all of them; docs/paper.md compares the results with the paper's.
"""

from typing import Any

from nudge.plumbing.errors import UsageError

from .systems.configuration import Configuration
from .systems.configurations import table_two
from .systems.neuron import Dynamics
from .systems.published import PUBLISHED
from .systems.train import SystemRun, Trained, error, pixels, test_error, train, update

__all__ = [
    "PUBLISHED",
    "Configuration",
    "Dynamics",
    "SystemRun",
    "Trained",
    "error",
    "pixels",
    "run",
    "system",
    "table_two",
    "test_error",
    "train",
    "update",
]


def system(name: str, variant: str = "tuned", *, data: str = "mnist", narrow: int = 1) -> Configuration:
    """Return a system of Table II by its name, such as "snn-ep" or "crnn-bptt", and its variant ("table-1",
    "tuned", "published").

    data: "mnist" or "fashion-mnist", which selects Table I's constants. narrow: divisor of all widths, for
    small machines. Raises `UsageError` with the list of all systems for an unknown one.
    """
    if data not in PUBLISHED:
        raise UsageError(f"data must be {' or '.join(PUBLISHED)}, not {data!r}")
    known = {(c.name, c.variant): c for c in table_two(data, narrow)}
    if (name, variant) not in known:
        raise UsageError(f"no system {name!r}, {variant!r}: choose one of {', '.join(map(' '.join, known))}")
    return known[name, variant]


def run(
    name: str,
    variant: str = "tuned",
    *,
    samples: int,
    epochs: int,
    seed: int = 0,
    narrow: int = 1,
    **options: Any,
) -> SystemRun:
    """Return a training run of a `system` on the first `samples` images. options: fields of `SystemRun`."""
    return SystemRun(system(name, variant, narrow=narrow), samples, epochs, seed, **options)
