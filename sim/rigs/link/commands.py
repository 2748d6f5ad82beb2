"""Commands of `python -m tests.attack` that attack the link and training over it."""

import random
from typing import Annotated

import typer

from nudge.boards.virtual import VIRTUAL, VIRTUAL_SDRAM
from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.spec import Spec
from nudge.golden.training.data import Data, load
from nudge.golden.training.plan import Plan, first_samples
from nudge.host.training.compare import compare
from nudge.host.training.throughput import ADAPTER_DELAY, BAUD
from nudge.plumbing.errors import ExitCode, UsageError

from . import sweep as single
from .delays import measured
from .fuzz import fuzz as fuzzed
from .soak import soak as soaked
from .struck import Fault, struck
from .targets import Attack

Preset = Annotated[str, typer.Option("--preset", help="Take this network.")]
Seed = Annotated[int, typer.Option(help="Draw from this seed.")]
Samples = Annotated[int, typer.Option(help="Train the first N digits.")]
Times = Annotated[int, typer.Option(min=0, help="Number of these events in the run.")]
Stored = Annotated[bool, typer.Option("--stored", help="Train from memory, moved by <= 1 pixel, mirrored.")]


def planned(spec: Spec, samples: int, batch: int, stored: bool, **options: float) -> tuple[Plan, Data]:
    """Return a training plan, and its digits. stored: as `Stored`. options: arguments of `Plan.of`."""
    digits = load("embedded", shown=spec.input)
    moves = {"shift": 1, "flip": True} if stored else {}
    count = first_samples(samples, len(digits.train_images), "embedded")
    return Plan.of(spec, "embedded", count, batch=batch, **moves, **options), digits


def soak(
    preset_name: Preset = "tiny",
    board: Annotated[
        str, typer.Option(help="Attack sim (a virtual board) or golden (a model of it).")
    ] = "sim",
    samples: Samples = 200,
    faults: Annotated[float, typer.Option(help="Damage bytes both ways with this probability.")] = 1e-3,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(help="Commit after each N samples.")] = 8,
    resets: Times = 0,
    flips: Times = 0,
    disconnects: Times = 0,
    stalls: Times = 0,
    stored: Stored = False,
    damages: Times = 0,
) -> int:
    """Train through faults; succeed only if all weights equal those of an undisturbed run."""
    attack = Attack(faults, seed, resets, flips, disconnects, stalls, damages, stored)
    spec = preset(preset_name)
    report = soaked(spec, board, *planned(spec, samples, batch, stored, seed=seed), attack)
    print(report.text())
    return ExitCode.DIFFERENT if report.differing else ExitCode.OK


def sweep(
    preset_name: Preset = "tiny",
    samples: Annotated[int | None, typer.Option(help="Try N random faults [default: all].")] = None,
    seed: Seed = 0,
    fault: Annotated[str | None, typer.Option(metavar="WAY:BYTE:KIND:VALUE", help="Try this fault.")] = None,
) -> int:
    """Repeat one session with one byte damaged each time; fail if a session hangs or gives wrong results."""
    session = single.Sweep.record(preset(preset_name))
    cases = single.cases(session)
    if fault is not None:
        cases = [case for case in cases if single.case_name(case) == fault]
        if not cases:
            raise UsageError(
                f"--fault must be WAY:BYTE:KIND:VALUE, such as up:{session.up - 1}:flip:7, not {fault!r}"
            )
    elif samples is not None:
        cases = random.Random(seed).sample(cases, first_samples(samples, len(cases), "a session"))
    endings, others = single.run(session, cases)
    for case, ending in others[:20]:
        print(f"--fault {single.case_name(case)}: {ending}")
    ends = ", ".join(f"{count} {ending}" for ending, count in endings.items())
    print(
        f"{len(cases)} single faults in a session of {session.up} bytes to the board, {session.down} back: "
        f"{ends}"
    )
    return ExitCode.DIFFERENT if endings["wrong"] + endings["hang"] else ExitCode.OK


def fuzz(
    frames: Annotated[int, typer.Option(help="Send N good and bad frames.")] = 100_000,
    seed: Seed = 1,
    preset_name: Preset = "tiny",
    memory: Annotated[bool, typer.Option("--memory", help="Give the board a memory for samples.")] = False,
) -> None:
    """Compare the virtual board's answers to random frames with the model's."""
    config = configuration(preset(preset_name))
    with VirtualBoard(config, board=VIRTUAL_SDRAM if memory else VIRTUAL) as virtual:
        endings = fuzzed(virtual.url, config, frames, seed)
    counts = ", ".join(f"{count} {name}" for name, count in endings.most_common())
    print(f"{endings.total()} answers, all equal to the model's, and all weights: {counts}")


def flip(
    bit: Annotated[str, typer.Argument(metavar="BUNDLE:INDEX:BIT", help="Bit of a master, such as 1:0:15.")],
    preset_name: Preset = "tiny",
    board: Annotated[str, typer.Option(help="Take this board, as in `nudge compare`.")] = "sim",
    samples: Samples = 64,
    batch: Annotated[int, typer.Option(help="Commit after each N samples.")] = 8,
    stored: Stored = False,
) -> None:
    """Run `nudge compare` with a bit flipped on the board half-way: the comparison must fail."""
    spec = preset(preset_name)
    fault, scale = Fault.parse(bit, spec), min(1.0, batch / spec.learning.batch)
    plan, digits = planned(spec, samples, batch, stored, lr_scale=scale)
    with struck(board, spec, fault, samples // batch // 2, memory=stored) as device:
        compare(device, plan, digits, stored=stored)


def delays(
    delay: Annotated[float, typer.Option(help="Delay per round trip in s.", min=0, max=60)] = ADAPTER_DELAY,
    baud: Annotated[float, typer.Option(help="Scale the delay for this line rate.", min=1, max=1e9)] = BAUD,
    rounds: Annotated[int, typer.Option(help="Measure N times.", min=1)] = 5,
) -> None:
    """Measure how fast the virtual board trains `tiny` over an adapter's delay, in wall-clock time."""
    for run in measured(preset("tiny"), load("embedded"), delay, baud, rounds=rounds):
        where = f"virtual board, {run.delay * 1e3:.0f} ms of delay, {run.window} in flight"
        print(
            f"{where}: {run.samples_per_second:.1f} training samples/s, {100 * run.share:.1f} % of the "
            "undelayed"
        )
