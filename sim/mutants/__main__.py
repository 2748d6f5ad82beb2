"""`python -m sim.mutants`: how many mutants the benches notice, and which they don't."""

import os
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from amaranth.hdl import UnusedElaboratable

from golden.cache import build_root
from golden.contract.errors import ToolError
from sim.harness.branch import SURVIVED
from sim.harness.testbench import CocotbError

from .check import MutantsError, check
from .subjects import benches


def main(
    count: Annotated[int, typer.Option(help="Mutants.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
    only: Annotated[str, typer.Option(help="Benches whose name begins so, such as link or synapse.")] = "",
    jobs: Annotated[int, typer.Option(help="Tests at a time.")] = os.cpu_count() or 1,
    out: Annotated[Path | None, typer.Option(help="CSV [default: build/mutants-COUNT-SEED.csv]; continued.")] = None,
) -> None:
    """Try mutants of every component; how many were caught, by which benches, and which were not."""
    # the benches' units are taken as they are, and only some are made
    warnings.simplefilter("ignore", UnusedElaboratable)
    chosen = [bench for bench in benches() if bench.name.startswith(only)]
    try:
        found = check(chosen, count, seed, out or build_root() / f"mutants{only and '-'}{only}-{count}-{seed}.csv", jobs)
    except (MutantsError, ToolError, CocotbError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    tried = Counter(mutant.bench for mutant in found)
    lost = Counter(mutant.bench for mutant, ending in found.items() if ending == SURVIVED)
    for bench, number in tried.items():
        print(f"  {bench}: {number - lost[bench]} of {number}")
    for mutant, ending in found.items():
        if ending == SURVIVED:
            print(f"survived: {mutant.bench} {mutant.unit}: {mutant.change}")
    print(f"{len(found) - lost.total()} of {len(found)} caught")


if __name__ == "__main__":
    typer.run(main)
