"""`python -m sim.upsets`: a table of flipped bits, and what became of each."""

import sys
from collections import Counter
from typing import Annotated

import typer

from golden.contract.config import ENGINES, configuration
from golden.contract.errors import ToolError
from golden.contract.presets import preset
from golden.progress import Meter
from golden.training.data import load
from sim.board.virtual import VirtualBoard

from .cases import COUNTED, DIGEST, KINDS, LINK, NOTHING, PREDICTION, SILENT, WEIGHTS, Cases, Outcome, draw

COLUMNS = (PREDICTION, DIGEST, LINK, NOTHING, COUNTED, SILENT)


def main(
    count: Annotated[int, typer.Option(help="Flipped bits.", min=1)] = 120,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
) -> None:
    """Flip single bits of the virtual board's memories while `tiny` trains; what notices, what heals, what goes wrong."""
    found: dict[str, Counter[str]] = {}
    with VirtualBoard(configuration(preset("tiny"), ENGINES[0])) as virtual, Meter("upsets", count) as meter:
        cases = Cases(virtual, load("embedded"))
        if (healthy := cases.run(None)) != Outcome(NOTHING):
            print(f"upsets: without one, the board ends with {healthy}", file=sys.stderr)
            raise typer.Exit(1)
        for upset in draw(virtual.memories, count, seed):
            outcome = cases.run(upset)
            when = f"before the commit, {upset.kind}" if upset.after is None else upset.kind
            found.setdefault(when, Counter())[outcome.ending] += 1
            if outcome.ending in (SILENT, COUNTED):
                print(f"{outcome.ending}: {upset}")
            meter.advance(1, outcome.ending)
    print("| flipped in | cases | " + " | ".join(COLUMNS) + " |")
    print("| --- | " + " | ".join(["---:"] * (1 + len(COLUMNS))) + " |")
    for kind in (*KINDS, *(f"before the commit, {kind}" for kind in KINDS)):
        if kind in found:
            print(f"| {kind} | {found[kind].total()} | " + " | ".join(str(found[kind][way]) for way in COLUMNS) + " |")
    weights: Counter[str] = sum((ways for kind, ways in found.items() if kind.endswith(WEIGHTS)), Counter())
    silent = sum(ways[SILENT] for ways in found.values())
    print(f"wrong and unnoticed: {silent} of {count}; in memories that hold weights {weights[SILENT]} of {weights.total()}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except ToolError as error:
        print(f"upsets: {error}", file=sys.stderr)
        sys.exit(1)
