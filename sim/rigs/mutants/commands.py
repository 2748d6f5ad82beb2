"""Command of `python -m tests.attack` that reports the mutants that benches notice, and the survivors."""

import csv
import os
import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from amaranth.hdl import UnusedElaboratable

from nudge.plumbing.cache import build_root
from nudge.plumbing.parts import HELP

from .check import check
from .equivalent import identity, reason
from .subjects import benches, quick
from .trial import SURVIVED


def mutants(
    count: Annotated[int, typer.Option(help="Draw N mutants.")] = 60,
    seed: Annotated[int, typer.Option(help="Draw from this seed.")] = 1,
    only: Annotated[
        str, typer.Option(help="Take benches by prefix, such as link; quick: those of `make verify`.")
    ] = "",
    jobs: Annotated[int, typer.Option(help="Run N simulators at once.")] = os.cpu_count() or 1,
    part: Annotated[str | None, typer.Option(help=f"{HELP} Their files together are that of all.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write or continue this CSV [default: in build/].")] = None,
) -> None:
    """Try mutants of every component; print the noticed share, and all survivors with known reasons."""
    # only some of the benches' units are elaborated
    warnings.simplefilter("ignore", UnusedElaboratable)
    chosen = [quick()] if only == "quick" else [bench for bench in benches() if bench.name.startswith(only)]
    found = check(
        chosen,
        count,
        seed,
        out or build_root() / f"mutants{only and '-'}{only}-{count}-{seed}.csv",
        jobs,
        part,
    )
    survived = [mutant for mutant, ending in found.items() if ending == SURVIVED]
    with ThreadPoolExecutor(jobs) as pool:
        reasons = dict(zip(survived, pool.map(reason, survived), strict=True))
    tried, lost, same = (
        Counter(mutant.subject.partition(".")[0] for mutant in some)
        for some in (found, reasons, (mutant for mutant, why in reasons.items() if why))
    )
    for folder, number in tried.items():
        print(f"  {folder}: {number - lost[folder]} of {number}, {same[folder]} equivalent")
    lines = csv.writer(sys.stdout, lineterminator="\n")
    for mutant, why in reasons.items():
        print("equivalent: " if why else "survived: ", end="")
        lines.writerow([*identity(mutant), why or ""])
    caught, wrong = len(found) - len(reasons), len(found) - same.total()
    print(f"{100 * caught / max(wrong, 1):.1f} % of the {wrong} that aren't equivalent")
    print(f"{caught} of {len(found)} caught")
