"""Each call of a command fails once: open, read, write, sync, rename, start of a program, large allocation.

As SQLite tests itself (https://www.sqlite.org/testing.html, sections 3.1 and 3.2): the n-th call fails, for
every n, until the command makes fewer than n calls. Each time it must end with a documented exit code and one
line of error, and continuing must end with the same bits.
"""

import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nudge.plumbing.errors import ExitCode
from nudge.plumbing.progress import note

from .cell import KINDS, Fault
from .scenarios import SCENARIOS

#: Seconds between two lines of progress.
TOLD_SECONDS = 10.0

MEMORY = KINDS["memory"]

#: How calls fail: bits of their kinds, whether a failing write writes half, and whether the disk stays full.
MODES = {
    "once": (sum(KINDS.values()) - MEMORY, False, False),
    "half": (KINDS["write"], True, True),
    "full": (KINDS["write"], False, True),
    "memory": (MEMORY, False, False),
}


@dataclass
class Tally:
    """Results of a scenario's faults: failed calls by kind, exit codes, and errors."""

    calls: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def disturb(name: str, mode: str, every: int, first: int = 1) -> Tally:
    """Fail each `every`-th call of a scenario, from `first` on, in a run of its own."""
    scenario, (kinds, half, stays) = SCENARIOS[name], MODES[mode]
    names = {bit: kind for kind, bit in KINDS.items()}
    tally, number, told = Tally(), first, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        kept = Path(place, "begin")
        kept.mkdir()
        scenario.prepare(kept)
        while True:
            folder = Path(place, "cell")
            shutil.copytree(kept, folder, symlinks=True)
            ended = scenario.run(folder, Fault(number, kinds, half, stays))
            wrong = ended.judge(memory=mode == "memory")
            if ended.code is not None and ended.code >= 0 and not ended.failed and ended.calls < number:
                if ended.code != ExitCode.OK:
                    tally.wrong.append(
                        f"{name} {mode}: without a fault it ended with {ended.code}: {ended.err.strip()}"
                    )
                break
            wrong += scenario.check(folder, ended)
            wrong += scenario.mend(folder)
            tally.calls[names.get(ended.failed, "?")] += 1
            tally.codes[ended.code if ended.code is not None else 999] += 1
            tally.wrong += [
                f"{name} {mode} {number} ({names.get(ended.failed)}): {why}: {ended.err[-300:]!r}"
                for why in wrong
            ]
            shutil.rmtree(folder)
            number += every
            if time.monotonic() - told > TOLD_SECONDS:
                told = time.monotonic()
                note(f"{name}, {mode}: call {number}, {len(tally.wrong)} wrong")
    return tally
