"""Draw random cores: a supported network, its samples, and every free parameter of its hardware."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.event_units import KERNEL
from nudge.golden.contract.spec import Conv, Dense, Spec
from tests.golden.model.random_nets import (
    DEEP,
    Case,
    any_formats,
    any_spec,
    deep_spec,
    random_case,
    with_fine_spikes,
)

#: Largest height and width of an image, in pixels.
SIDE = 9


def core_case(seed: int, padded: bool = False) -> tuple[Config, Case]:
    """Draw a configuration, and a network's parameters, settings and samples.

    padded: convolutions may have padding, and none has an event-driven engine. One network in four of the
    others comes from `deep_spec`. The configuration has random lanes, array widths, image taps, passes,
    shared multipliers and kernel memories; instead of line engines, those of odd seeds have scatter engines,
    some with folded kernels.
    """
    random = np.random.default_rng(seed)

    def choose(low: int, high: int) -> int:
        return int(random.integers(low, high, endpoint=True))

    engines = "line" if padded else ("event", "line")[choose(0, 1)]
    if not padded and choose(0, 3) == 0:
        spec = deep_spec(choose)
        case = random_case(random, spec, DEEP)
    else:
        spec = replace(any_spec(choose, SIDE, ("odd-even",), padded), formats=any_formats(choose))
        if engines == "event":
            spec = with_events(spec, choose)
        spec = with_fine_spikes(choose, spec)
        case = random_case(random, spec)
    known = configuration(spec, engines)

    def divisor(*numbers: int) -> int:
        """Draw a common divisor of the numbers."""
        return int(
            random.choice(
                [n for n in range(1, max(numbers) + 1) if not any(number % n for number in numbers)]
            )
        )

    lanes = (1, *(divisor(layer.channels) for layer in spec.layers[1:]))
    scatters = configuration(spec, "scatter").scatters if engines == "line" and seed % 2 else frozenset()
    config = Config(spec, lanes, events=known.events, scatters=scatters, image_taps=choose(1, 9))
    arrays = tuple(divisor(of_layer) for of_layer in lanes)
    shared = frozenset(bundle.index for bundle in spec.bundles if choose(0, 1))
    # passes must divide these counts of rows of drives: forward and backward rows of each event-driven engine
    bundles = [spec.bundles[index - 1] for index in config.events]
    rows = [(config.groups(bundle.post), 2 * config.groups(bundle.pre)) for bundle in bundles]
    forward, backward = (divisor(*side) for side in zip(*rows, strict=True)) if rows else (1, 1)
    config = replace(
        config, arrays=arrays, shared=shared, passes=(forward, backward), kernel_blocks=bool(choose(0, 1))
    )
    config = replace(config, folded=frozenset(index for index in sorted(scatters) if choose(0, 1)))
    return config, case


def with_events(spec: Spec, choose: Callable[[int, int], int]) -> Spec:
    """Return `spec` with one or two convolutions that event-driven engines support.

    `any_spec` rarely draws such a network.
    """
    many = 1 if choose(0, 7) else 2
    convs = [Conv(choose(1, 4 // many), choose(1, 3)), *(Conv(choose(1, 4), KERNEL) for _ in range(many))]
    stages = (*convs, *(stage for stage in spec.stages if isinstance(stage, Dense)))
    least = 4
    for _ in convs[1:]:
        least = 2 * least + 2  # undo the 2x2 pooling and a kernel of 3
    shown = replace(spec.input, height=least + choose(0, 3), width=least + choose(0, 3))
    return replace(
        spec, stages=stages, input=shown, learning=replace(spec.learning, rates=(0.1,) * len(stages))
    )
