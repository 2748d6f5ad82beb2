"""Functions that derive a variant of a configuration by one change, which `Configuration.why` names."""

from dataclasses import replace
from typing import Any

from .configuration import Configuration
from .neuron import Dynamics

#: `Network.feedback` of weak feedback, chosen on held-out images (docs/log/2026-11-29-recurrence.md). Layers
#: that drive each other less settle sooner and allow larger learning rates (FRE-RNN, arXiv 2508.11659); with
#: spikes the nudge is then lost, except in fine ones.
WEAK = 0.25

#: `Dynamics.fine` of 2C2FC with weak feedback, also chosen on held-out images
#: (docs/log/2026-11-29-fine-spikes.md): spikes get smaller with the nudge on its way down the layers.
FINE = (8, 6, 4, 1)

#: Variants of a cited work, whose published rates don't fall.
PUBLISHED_FALLING, PUBLISHED_WEAK = "published falling", "published weak feedback"
#: Variant of 2C2FC, and of a cited work's network with the dynamics and options of that variant.
TUNED_WEAK = "tuned weak feedback"
#: Beginnings of the names of variants whose learning rates fall, as far as the budget sets.
FALLING = ("tuned", PUBLISHED_FALLING, PUBLISHED_WEAK)


def changed(c: Configuration, variant: str, why: str, factor: float = 1, **changes: Any) -> Configuration:
    """Return another variant: c with these changes, and its learning rates times a factor."""
    rates = tuple(factor * rate for rate in c.rates)
    return replace(c, variant=variant, why=", ".join(filter(None, (c.why, why))), rates=rates, **changes)


def with_half_rates(c: Configuration) -> Configuration:
    """Halve the learning rates, for a system that is unstable at those of `tuned`."""
    return changed(c, f"{c.variant} half rates", "these rates / 2", 0.5)


def with_centred_updates(c: Configuration) -> Configuration:
    """Centre the updates (`paper.systems.centre`)."""
    return changed(c, f"{c.variant} centred", "centred updates", centred=True)


def with_weak_feedback(c: Configuration, variant: str, factor: int) -> Configuration:
    """Set the feedback to `WEAK`. factor: on the learning rates, which can be larger with weaker feedback."""
    network = replace(c.network, feedback=WEAK)
    return changed(c, variant, f"feedback {WEAK:g}, these rates x {factor}", factor, network=network)


def with_fine_spikes(c: Configuration) -> Configuration:
    """Use the fine spikes of `paper.systems.deviation` in the nudged phases, with the weights of `FINE`."""
    assert isinstance(c.dynamics, Dynamics)
    worth = ", ".join(f"2^-{point}" for point in FINE)
    return changed(
        c, c.variant, f"spikes of nudged phases worth {worth}", dynamics=replace(c.dynamics, fine=FINE)
    )


def with_falling_rates(c: Configuration) -> Configuration:
    """Let the learning rates fall over the epochs; the budget sets how far."""
    return changed(c, PUBLISHED_FALLING, "rates that fall")
