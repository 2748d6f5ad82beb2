"""Command of `python -m tests.attack` that flips bits and prints a table of the endings."""

from collections import Counter
from typing import Annotated

import typer

from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.config import ENGINES, configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training.data import load
from nudge.plumbing.errors import ToolError
from nudge.plumbing.progress import Meter

from .cases import (
    COUNTED,
    DIGEST,
    FLIP_FLOPS,
    KINDS,
    LINK,
    NOTHING,
    PREDICTION,
    SILENT,
    WEIGHTS,
    Cases,
    Outcome,
    Upset,
    draw,
    draw_flip_flops,
)
from .registers import faulty_board

COLUMNS = (PREDICTION, DIGEST, LINK, NOTHING, COUNTED, SILENT)
NOTICED = (PREDICTION, DIGEST, LINK)


def upsets(
    count: Annotated[int, typer.Option(help="Flip N bits, one at a time.", min=1)] = 120,
    seed: Annotated[int, typer.Option(help="Draw from this seed.")] = 1,
    flip_flops: Annotated[bool, typer.Option("--flip-flops", help="Flip flip-flops, not memories.")] = False,
) -> None:
    """Flip single bits of the virtual board while `tiny` trains; print how each upset is noticed, or ends."""
    config = configuration(preset("tiny"), ENGINES[0])
    program = faulty_board(config) if flip_flops else None
    found: dict[str, list[tuple[Upset, Outcome]]] = {}
    with VirtualBoard(config, program=program) as virtual, Meter("upsets", count) as meter:
        cases = Cases(virtual, load("embedded"))
        if (healthy := cases.run(None)) != Outcome(NOTHING):
            raise ToolError(f"without an upset, the board ends with {healthy}")
        drawn = (
            draw_flip_flops(virtual.registers, count, seed)
            if flip_flops
            else draw(virtual.memories, count, seed)
        )
        if flip_flops:
            print(f"{sum(virtual.registers.values())} flip-flops", flush=True)
        for upset in drawn:
            outcome = cases.run(upset)
            when = f"before the commit, {upset.kind}" if upset.after is None else upset.kind
            found.setdefault(when, []).append((upset, outcome))
            if outcome.ending in (SILENT, COUNTED) or (outcome.ending in NOTICED and not outcome.cured):
                print(f"{outcome}: {upset}", flush=True)
            meter.advance(1, outcome.ending)
    kinds = tuple(FLIP_FLOPS) if flip_flops else (*KINDS, *(f"before the commit, {kind}" for kind in KINDS))
    print("| flipped in | cases | " + " | ".join(COLUMNS) + " |")
    print("| --- | " + " | ".join(["---:"] * (1 + len(COLUMNS))) + " |")
    for kind in kinds:
        if kind in found:
            ways = Counter(outcome.ending for _, outcome in found[kind])
            print(f"| {kind} | {ways.total()} | " + " | ".join(str(ways[way]) for way in COLUMNS) + " |")
    summarise(found)


def summarise(found: dict[str, list[tuple[Upset, Outcome]]]) -> None:
    """Print delays of detection, the recoveries without a reset, and the unnoticed errors."""
    every = [case for cases in found.values() for case in cases]
    for way in (PREDICTION, DIGEST):
        waits = [outcome.waited(upset) for upset, outcome in every if outcome.ending == way]
        if waits:
            print(
                f"noticed by {way}: {sum(waits) / len(waits):.1f} samples later in the mean, "
                f"{max(waits):.1f} at most"
            )
    noticed = [outcome for _, outcome in every if outcome.ending in NOTICED]
    print(f"then trains right without a reset: {sum(outcome.cured for outcome in noticed)} of {len(noticed)}")
    silent = sum(outcome.ending == SILENT for _, outcome in every)
    of_weights = [
        outcome.ending for kind, cases in found.items() if kind.endswith(WEIGHTS) for _, outcome in cases
    ]
    worst = f"{of_weights.count(SILENT)} of {len(of_weights)}"
    print(f"wrong and unnoticed: {silent} of {len(every)}; in memories that hold weights {worst}")
