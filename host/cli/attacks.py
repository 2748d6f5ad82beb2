"""`nudge board soak` and `nudge board sweep`: training and sessions over a line that damages what it carries."""

import random
from dataclasses import asdict
from typing import Annotated

import typer

from golden.contract.presets import chosen
from plumbing.errors import ExitCode, UsageError

from .options import (
    JsonOption,
    NetworkOption,
    PresetOption,
    TrainSamplesOption,
)
from .run import importing
from .terminal import emit


def soak(
    preset_name: PresetOption = None,
    network: NetworkOption = None,
    board: Annotated[
        str, typer.Option("--board", help="Attack sim (a virtual board) or golden (a model of it).")
    ] = "sim",
    samples: TrainSamplesOption = 200,
    faults: Annotated[
        float, typer.Option(help="Hit each byte, both ways, with this probability.")
    ] = 1e-3,
    seed: Annotated[int, typer.Option(help="Draw weights, order and faults from this seed.")] = 0,
    batch: Annotated[int, typer.Option(help="Commit after each N samples.")] = 8,
    resets: Annotated[int, typer.Option(help="Reset the board N times.")] = 0,
    flips: Annotated[
        int, typer.Option(help="Flip N bits of its memories, for a twin to find.")
    ] = 0,
    disconnects: Annotated[int, typer.Option(help="Cut the connection N times.")] = 0,
    stalls: Annotated[int, typer.Option(help="Let nothing through for a while, N times.")] = 0,
    stored: Annotated[
        bool,
        typer.Option(
            "--stored", help="Train from the board's memory, moved by one pixel and mirrored too."
        ),
    ] = False,
    damages: Annotated[
        int, typer.Option(help="With --stored: flip N bits of the stored samples.")
    ] = 0,
    as_json: JsonOption = False,
) -> int:
    """Train through faults; succeed only if every weight is that of a run without any."""
    if not 0 <= faults < 1:
        raise UsageError(f"--faults must be 0 or more and below 1, not {faults:g}")
    for option, count in (
        ("--resets", resets),
        ("--flips", flips),
        ("--disconnects", disconnects),
        ("--stalls", stalls),
        ("--damages", damages),
    ):
        if count < 0:
            raise UsageError(f"{option} must be 0 or more, not {count}")
    if damages and not stored:
        raise UsageError(f"--damages {damages}: only with --stored")
    with importing():
        from golden.training import data as datasets
        from golden.training.plan import Plan, first_samples
        from host.harness.attack import Attack
        from host.harness.soak import soak as run_soak
    spec = chosen(preset_name, network)
    images = datasets.load("embedded", shown=spec.input)
    plan = Plan.of(
        spec,
        "embedded",
        first_samples(samples, len(images.train_images), "embedded"),
        seed=seed,
        batch=batch,
        **({"shift": 1, "flip": True} if stored else {}),
    )
    attack = Attack(faults, seed, resets, flips, disconnects, stalls, damages, stored)
    report = run_soak(spec, board, plan, images, attack)
    emit(as_json, asdict(report) | {"equal": not report.differing}, report.text())
    return ExitCode.DIFFERENT if report.differing else ExitCode.OK


def sweep(
    preset_name: PresetOption = None,
    network: NetworkOption = None,
    samples: Annotated[
        int | None, typer.Option(help="Draw N faults from the seed [default: try each one].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draw from this seed.")] = 0,
    fault: Annotated[
        str | None,
        typer.Option(
            metavar="WAY:BYTE:KIND:VALUE",
            help="Try this fault alone, as it is printed: up:9000:drop:0.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(help="Run N sessions at once.", min=1)] = 1,
    as_json: JsonOption = False,
) -> int:
    """Repeat one session, each time with one byte damaged; fail if one hangs or ends wrong."""
    with importing():
        from golden.training.plan import first_samples
        from host.harness.sweep import Sweep, case_name
        from host.harness.sweep import cases as every_case
        from host.harness.sweep import run as run_sweep
    session = Sweep.record(chosen(preset_name, network))
    cases = every_case(session)
    if fault is not None:
        cases = [case for case in cases if case_name(case) == fault]
        if not cases:
            raise UsageError(
                f"--fault must be WAY:BYTE:KIND:VALUE, such as up:{session.up - 1}:flip:7, not {fault!r}"
            )
    elif samples is not None:
        cases = random.Random(seed).sample(
            cases, first_samples(samples, len(cases), "a session")
        )
    endings, others = run_sweep(session, cases, processes)
    bad = endings["wrong"] + endings["hang"]
    lines = [f"--fault {case_name(case)}: {ending}" for case, ending in others[:20]]
    size = f"{session.up} bytes to the board, {session.down} back"
    lines.append(
        f"{len(cases)} single faults in a session of {size}: {', '.join(f'{n} {end}' for end, n in endings.items())}"
    )
    emit(
        as_json,
        {"faults": len(cases), "endings": dict(endings), "up": session.up, "down": session.down},
        "\n".join(lines),
    )
    return ExitCode.DIFFERENT if bad else ExitCode.OK
