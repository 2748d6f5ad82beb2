"""Changes that make variants of a configuration: one each, and nothing else changed. `why` says what it was."""

from dataclasses import replace
from typing import Any

from .configuration import Configuration
from .neuron import Dynamics

#: Feedback of what has weak feedback, by held-out images (docs/log/2026-11-29-recurrence.md). Layers that drive each other less
#: settle sooner and bear larger steps; among spikes the nudge is then lost, but for `FINE` ones.
WEAK = 0.25

#: `Dynamics.fine` of 2C2FC with weak feedback, likewise (docs/log/2026-11-29-fine-spikes.md): the nudge's way down the layers.
FINE = (8, 6, 4, 1)

#: Of a cited work, whose rates don't fall.
PUBLISHED_FALLING, PUBLISHED_WEAK = "published falling", "published weak feedback"
#: Of 2C2FC, and of a cited work's network with all that 2C2FC has there.
TUNED_WEAK = "tuned weak feedback"
#: What the variants begin with whose rates fall as far as a budget says.
FALLING = ("tuned", PUBLISHED_FALLING, PUBLISHED_WEAK)


def changed(c: Configuration, variant: str, why: str, factor: float = 1, **changes: Any) -> Configuration:
    """Another variant: with these changes, and its rates times a factor."""
    rates = tuple(factor * rate for rate in c.rates)
    return replace(c, variant=variant, why=", ".join(filter(None, (c.why, why))), rates=rates, **changes)


def with_half_rates(c: Configuration) -> Configuration:
    """For what `tuned` upsets."""
    return changed(c, f"{c.variant} half rates", "these rates / 2", 0.5)


def with_centred_updates(c: Configuration) -> Configuration:
    """Those of `centre`."""
    return changed(c, f"{c.variant} centred", "centred updates", centred=True)


def with_weak_feedback(c: Configuration, variant: str, factor: int) -> Configuration:
    """factor: on the rates, which may be larger where layers drive each other less."""
    network = replace(c.network, feedback=WEAK)
    return changed(c, variant, f"feedback {WEAK:g}, these rates x {factor}", factor, network=network)


def with_fine_spikes(c: Configuration) -> Configuration:
    """In the nudged phases: those of `deviation`."""
    assert isinstance(c.dynamics, Dynamics)
    worth = ", ".join(f"2^-{point}" for point in FINE)
    return changed(c, c.variant, f"spikes of nudged phases worth {worth}", dynamics=replace(c.dynamics, fine=FINE))


def with_falling_rates(c: Configuration) -> Configuration:
    """How far, a budget says, over its own epochs."""
    return changed(c, PUBLISHED_FALLING, "rates that fall")
