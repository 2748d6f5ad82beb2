"""Chooses seeds of random networks, or of random cores, that together reach every extreme: a greedy cover.

python -m tests.golden.model.cover networks|cores COUNT, of so many seeds.
"""

import sys

from sim.core.random_cores import core_case

from . import page
from .extremes import wanted
from .random_nets import network_case


def cover(case, count: int) -> list[int]:
    """The seed that reaches most of what the ones before don't reach, again and again."""
    reached = [{key for key, times in case(seed).scalar()[0].extremes.items() if times} for seed in range(count)]
    left, seeds = set(wanted(page.CALLS)), []
    while new := max((left & one for one in reached), key=len):
        seeds.append(next(seed for seed, one in enumerate(reached) if left & one == new))
        left -= new
    print(f"never reached: {sorted(left)}")
    return seeds


if __name__ == "__main__":
    print(cover({"networks": network_case, "cores": lambda seed: core_case(seed)[1]}[sys.argv[1]], int(sys.argv[2])))
