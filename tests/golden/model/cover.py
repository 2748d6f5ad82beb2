"""Choose seeds of random networks, or of random cores, that together reach every extreme: a greedy set cover.

python -m tests.golden.model.cover networks|cores FROM TO [SEED ...]: choose among FROM..TO-1 and these seeds.
"""

import sys
from collections.abc import Callable

from sim.core.whole.random_cores import core_case

from . import page
from .extremes import wanted
from .random_nets import Case, network_case

CASES: dict[str, Callable[[int], Case]] = {"networks": network_case, "cores": lambda seed: core_case(seed)[1]}


def cost(case: Case) -> int:
    """Return the relative time to simulate the case's core: images * steps * neurons^2.

    Neurons count twice, as cycles and as cells.
    """
    schedule, neurons = case.spec.schedule, sum(layer.neurons for layer in case.spec.layers)
    return len(case.images) * (schedule.free + 2 * schedule.nudged) * neurons**2


def cover(cases: dict[int, Case]) -> list[int]:
    """Add, again and again, the seed that reaches the most new extremes for its cost; return all seeds."""
    reached = {
        seed: {key for key, times in case.scalar()[0].extremes.items() if times}
        for seed, case in cases.items()
    }
    left, seeds = set(wanted(page.CALLS)), []
    while any(left & found for found in reached.values()):
        seeds.append(max(reached, key=lambda seed: len(left & reached[seed]) / cost(cases[seed])))
        left -= reached[seeds[-1]]
    # remove seeds that later ones made redundant
    for seed in list(seeds):
        others = set().union(*(reached[other] for other in seeds if other != seed))
        if reached[seed] & set(wanted(page.CALLS)) <= others:
            seeds.remove(seed)
    print(f"never reached: {sorted(left)}")
    return seeds


if __name__ == "__main__":
    kind, first, last, *more = sys.argv[1:]
    print(cover({seed: CASES[kind](seed) for seed in (*range(int(first), int(last)), *map(int, more))}))
