"""The list of attacks: odd values, damaged files, odd environments, other owners, signals at any moment.

Each is one command in a cell. It must break no rule of `Ended.judge`; if it succeeds, its result must be the
undisturbed one.
"""

import shutil
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from nudge.plumbing.progress import Meter

from .attack import Attack
from .damaged_builds import damaged_builds, damaged_engines
from .damaged_files import damaged_files
from .occupied import occupied
from .odd_networks import odd_networks
from .odd_options import options
from .surroundings import environments, ignored, owners, signals
from .worlds import worlds


def attacks(seed: int = 1) -> list[Attack]:
    """Return all attacks, family by family."""
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
    """Run attacks; return their number in each family, the errors, and the seconds of the slowest."""
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
            # before `judge`: the check of signals replaces the code of a SIGKILL that the attack itself sent
            found = each.check(folder, ended)
            found += ended.judge("--json" in each.arguments)
            wrong += [f"{each.family}: {each.name}: {why}: {ended.err[-300:]!r}" for why in found]
            shutil.rmtree(folder)
            meter.advance(1, f"{len(wrong)} wrong")
    return counts, wrong, slowest
