"""`python -m tests.attack COMMAND`: all rigs that attack or fuzz, or count how many faults are noticed."""

import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Annotated

import typer

from nudge.host.cli.run import run
from nudge.plumbing.errors import ExitCode
from nudge.plumbing.parts import HELP, part
from sim.rigs.link.commands import delays, flip, fuzz, soak, sweep
from sim.rigs.mutants.commands import mutants
from sim.rigs.upsets.commands import upsets

from . import cell, scenarios
from .attacks import attack, attacks
from .cuts import cut
from .faults import MODES, disturb

app = typer.Typer(add_completion=False)
for command in (soak, sweep, fuzz, delays, flip, mutants, upsets):
    app.command()(command)


@contextmanager
def cells(pictures: bool = False) -> Iterator[None]:
    """Prepare cells: load the shim, make a temporary folder for their files, and do all one-time work."""
    cell.restart_with_shim()
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        from nudge.golden.model import native_check

        native_check.usable()  # compiles into the usual build cache
        os.environ["NUDGE_BUILD"] = place
        os.environ["TMPDIR"] = place
        cell.warm(pictures)
        scenarios.warm_scenarios()
        gc.freeze()  # a garbage collection in a fork would write to, and so copy, all of this memory
        yield


@app.command()
def faults(
    only: Annotated[
        str, typer.Option(help="Scenarios, separated by commas.")
    ] = "train,resume,build,report,repro",
    modes: Annotated[str, typer.Option(help="Ways to fail, separated by commas.")] = ",".join(MODES),
    every: Annotated[int, typer.Option(help="Fail each N-th call only.")] = 1,
    first: Annotated[int, typer.Option(help="Begin with this call.")] = 1,
    pictures: Annotated[bool, typer.Option("--pictures", help="Draw pictures, with 10,000 calls.")] = False,
) -> int:
    """Fail each call of each command once."""
    total = 0
    wrong: list[str] = []
    with cells(pictures):
        for name, mode in product(only.split(","), modes.split(",")):
            start = time.monotonic()
            tally = disturb(name, mode, every, first)
            count = sum(tally.calls.values())
            total, wrong = total + count, wrong + tally.wrong
            kinds = ", ".join(f"{number} {kind}" for kind, number in tally.calls.most_common())
            codes = ", ".join(f"{number} x {code}" for code, number in sorted(tally.codes.items()))
            seconds = time.monotonic() - start
            line = (
                f"{name}, {mode}: {count} faults ({kinds}); exit codes {codes}; {len(tally.wrong)} wrong; "
                f"{seconds:.0f} s"
            )
            print(line, flush=True)
    return finish(f"{total} faults", wrong)


@app.command()
def cuts(every: Annotated[int, typer.Option(help="Try each N-th state only.")] = 1) -> int:
    """Cut the power after each prefix of a training's writes."""
    start = time.monotonic()
    with cells():
        endings, wrong = cut(every)
    states, recorded = endings.pop("states"), endings.pop("calls")
    print(
        f"{recorded} calls of a training of 3 commits, {states} states of a disk; "
        f"{time.monotonic() - start:.0f} s"
    )
    for ending, count in endings.most_common():
        print(f"  {count} x {ending}")
    return finish(f"{sum(endings.values())} power cuts", wrong)


@app.command("list")
def every_attack(
    its: Annotated[str | None, typer.Option("--part", help=HELP)] = None,
    family: Annotated[str | None, typer.Option(help="Try attacks of this family alone.")] = None,
    seed: Annotated[int, typer.Option(help="Draw damages and moments from this seed.")] = 1,
    only: Annotated[str, typer.Option(help="Try attacks whose name contains this text.")] = "",
) -> int:
    """Try the list of attacks."""
    start = time.monotonic()
    with cells():
        known = attacks(seed)
        chosen = part(
            [one for one in known if family in (None, one.family) and only in one.name], its, "--part"
        )
        print(f"{len(chosen)} of {len(known)} attacks", flush=True)
        counts, wrong, slowest = attack(chosen)
    for name, count in counts.items():
        print(f"  {count} x {name}")
    print(f"{time.monotonic() - start:.0f} s, the slowest took {slowest:.1f} s")
    return finish(f"{sum(counts.values())} attacks", wrong)


def finish(what: str, wrong: list[str]) -> int:
    """Print the number of errors and the first 40; return the exit code."""
    for line in wrong[:40]:
        print(f"WRONG {line}")
    print(f"{what}: {len(wrong)} wrong")
    return ExitCode.DIFFERENT if wrong else ExitCode.OK


if __name__ == "__main__":
    sys.exit(run(app, "attack", None))
