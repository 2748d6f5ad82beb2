"""The list of attacks: values that nobody means, damaged files, odd environments, other owners, signals at any moment.

Each is one command in a cell. It must end as `Ended.judge` says, and where it succeeds, its result must be the undisturbed one.
"""

import shutil
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from plumbing.progress import Meter

from .attack import Attack
from .damaged_builds import damaged_builds, damaged_engines
from .damaged_files import damaged_files
from .occupied import occupied
from .odd_networks import odd_networks
from .odd_options import options
from .surroundings import environments, ignored, owners, signals
from .worlds import worlds


def attacks(seed: int = 1) -> list[Attack]:
    """All, in the order of their families."""
    return [
        *options(),
        *odd_networks(),
        *damaged_files(seed),
        *damaged_builds(seed),
        *damaged_engines(seed),
        *environments(),
        *owners(),
        *occupied(),
        *worlds(),
        *signals(seed, 400),
        *ignored(seed, 40),
    ]


def attack(chosen: list[Attack]) -> tuple[Counter[str], list[str], float]:
    """Carry them out: how many of each family, what was wrong, and the seconds of the slowest."""
    assert threading.active_count() == 1
    counts: Counter[str] = Counter()
    wrong, slowest = [], 0.0
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        folder, meter = Path(place, "cell"), Meter("attacks", len(chosen))
        for each in chosen:
            folder.mkdir()
            each.prepare(folder)
            start = time.monotonic()
            ended = each.run(folder)
            slowest = max(slowest, time.monotonic() - start)
            counts[each.family] += 1
            # first, as it may know that the end was meant
            found = each.check(folder, ended)
            found += ended.judge("--json" in each.arguments)
            wrong += [f"{each.family}: {each.name}: {why}: {ended.err[-300:]!r}" for why in found]
            shutil.rmtree(folder)
            meter.advance(1, f"{len(wrong)} wrong")
    return counts, wrong, slowest
