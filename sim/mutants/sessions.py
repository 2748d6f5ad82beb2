"""Mutation check: would the comparison with the golden model notice if the core's netlist were slightly wrong?

Yosys changes one bit of one cell's port in each mutant: stuck at 0, stuck at 1, or inverted. All mutants are in one netlist,
which an input chooses from, so one build of the virtual board serves them all. Each one trains a few samples in lockstep with
the golden model (`host.harness.compare`); the mutant is caught if a prediction, weight, bias, spike counter or number of cycles
differs, or if the board stops answering.

    python -m sim.mutants.sessions --count 120 --seed 1

An interrupted run goes on where it stopped.
"""

import csv
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from golden.contract.config import Config, configuration
from golden.contract.presets import preset
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training.data import Data, load
from host.boards.serial import SerialBoard
from host.harness.compare import Twin
from host.link.link import Link
from plumbing.cache import build_root
from plumbing.errors import ComparisonError, NudgeError, ToolError
from plumbing.progress import Meter
from sim.board.virtual import VirtualBoard

from .board import mutant_netlist, mutant_program
from .check import MutantsError

#: Sessions: training samples, batch, and factor on and seed of the initial weights. An inference ends each. A mutant that
#: survives one session meets the next. Large weights bring states to their upper bits. The largest, of a seed whose kernels
#: all have a positive sum, bring the window sums of each channel to the one value that has the highest bit, that of a neuron
#: which is saturated for a whole window. A sample takes 6,000 cycles.
SESSIONS = ((6, 3, 1.0, 1), (16, 8, 3.0, 1), (16, 8, 8.0, 6), (96, 16, 1.0, 1))

#: Deadlines that a board may miss in a row, and seconds of each at most. A mutant that misses one more counts as hung;
#: a healthy board on a busy machine misses some.
RETRIES, PATIENCE = 4, 10.0


def ending(url: str, config: Config, data: Data, session: tuple[int, int, float, int], cycles: list[int]) -> str:
    """How a session with the board ends: "survived", or what noticed. cycles: of the healthy one; filled if empty.

    Of a batch's samples only the first one's cycles count: those of the others, and of COMMIT, depend on when they come.
    """
    spec, found = config.spec, []
    samples, batch, gain, seed = session
    try:
        with SerialBoard.over(Link.open(url, timeout=PATIENCE, retries=RETRIES), spec) as board:
            twin = Twin(board)
            twin.load(initial(replace(spec, learning=replace(spec.learning, gain=gain * spec.learning.gain)), seed))
            twin.write_settings(Settings.of(spec))
            images, labels = data.train_images.numpy(), data.train_labels.numpy()
            for start in range(0, samples, batch):
                part = np.arange(start, start + batch)
                twin.train(images[part], labels[part])
                found += board.cycles[:1]
                twin.commit()
            twin.infer(images[-1:], labels[-1:])
            found += board.cycles
            twin.finish()
    except ComparisonError:
        return "difference"
    except (NudgeError, ValueError) as error:
        return f"no answer ({type(error).__name__})"
    if cycles and found != cycles:
        return "cycles"
    cycles[:] = found
    return "survived"


def read(path: Path, changes: tuple[str, ...]) -> dict[int, str]:
    """Endings by number, as a run that was interrupted left them; none without a file.

    `MutantsError` where they are of other mutants.
    """
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    known = {str(number): change for number, change in enumerate(changes, 1)}
    if any(len(row) != 3 or known.get(row[0]) != row[2] for row in rows):
        raise MutantsError(f"{path} is of other mutants: choose another --out, or remove it")
    return {int(number): ending for number, ending, _ in rows}


@dataclass(frozen=True)
class Score:
    """What became of all mutants."""

    #: How many ended in which way.
    endings: Counter[str]
    #: Those that nothing noticed.
    survivors: list[str]

    @property
    def caught(self) -> int:
        return self.endings.total() - len(self.survivors)


def check(config: Config, count: int, seed: int, out: Path) -> Score:
    """Try `count` mutants drawn from `seed`. out: a CSV file of number, ending and change, which a later run goes on with."""
    netlist = mutant_netlist(config, count, seed)
    endings = read(out, netlist.changes)
    program, data = mutant_program(netlist.verilog), load("embedded")
    cycles: list[list[int]] = [[] for _ in SESSIONS]
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        out.open("a", newline="") as stream,
        VirtualBoard(config, program=program) as virtual,
        Meter("mutants", len(netlist.changes), len(endings)) as meter,
    ):

        def tried(number: int) -> str:
            found = "survived"
            for session, expected in zip(SESSIONS, cycles, strict=True):
                virtual.mutate(number)
                found = ending(virtual.url, config, data, session, expected)
                if found != "survived":
                    break
            return found

        def healthy() -> None:
            if (found := tried(0)) != "survived":
                raise MutantsError(f"the design without a mutation ends with {found}")

        healthy()
        for number, change in enumerate(netlist.changes, 1):
            if number not in endings:
                endings[number] = tried(number)
                csv.writer(stream).writerow([number, endings[number], change])
                stream.flush()
                meter.advance(1, endings[number])
        # what a mutant leaves behind must not be what catches the next one
        healthy()
    return Score(Counter(endings.values()), [change for n, change in enumerate(netlist.changes, 1) if endings[n] == "survived"])


def main(
    count: Annotated[int, typer.Option(help="Mutants.")] = 120,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
    preset_name: Annotated[str, typer.Option("--preset", help="Network.")] = "tiny",
    out: Annotated[Path | None, typer.Option(help="CSV [default: build/mutants-PRESET-COUNT-SEED.csv]; continued.")] = None,
) -> None:
    """Try mutants of the core; how many were caught, by what, and which were not."""
    file = out or build_root() / f"mutants-{preset_name}-{count}-{seed}.csv"
    try:
        score = check(configuration(preset(preset_name), "line"), count, seed, file)
    except (MutantsError, ToolError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    how = ", ".join(f"{n} {ending}" for ending, n in score.endings.items())
    print(f"{score.caught} of {score.endings.total()} mutants caught: {how}")
    for change in score.survivors:
        print(f"survived: {change}")


if __name__ == "__main__":
    typer.run(main)
