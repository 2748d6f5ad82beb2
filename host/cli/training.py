"""`nudge train`: on a board, or in the model on one or several processes."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from golden.contract.errors import ExitCode, UsageError
from golden.progress import note
from golden.training import checkpoint
from golden.training.data import Data
from golden.training.evaluate import evaluate
from golden.training.loop import train as run_train
from golden.training.options import TrainingOptions
from golden.training.processes import SharedModel, SharedStop, World
from golden.training.run import Run
from host.harness.fit import Outcome, fit
from host.view.events import Events
from host.view.live import live as served

from .options import BOARDS, EnginesOption, JsonOption, with_fields
from .terminal import emit, reported


@with_fields
def train(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The same as --out.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write weights, metrics and learning curve to this directory."),
    ] = None,
    board: Annotated[
        str | None, typer.Option("--board", help=f"{BOARDS} [default: sim, or with --resume the run's].")
    ] = None,
    engines: EnginesOption = None,
    options: TrainingOptions = TrainingOptions(),  # noqa: B008 (frozen)
    device: Annotated[
        str,
        typer.Option(
            help="With --board golden: compute on the cpu or on cuda, a GPU for each process."
        ),
    ] = "cpu",
    twin: Annotated[
        bool,
        typer.Option(
            "--twin", help="Step the golden model in lockstep; end where the board differs from it."
        ),
    ] = False,
    recover: Annotated[
        int,
        typer.Option(
            help="Go back to the checkpoint, up to N times, if the board is lost or the twin differs."
        ),
    ] = 0,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Send every image anew, even if the board's memory could hold them."
        ),
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Serve a page that follows the run, at a terminal until Ctrl-C; its address is printed.",
        ),
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write event files for TensorBoard to this directory."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Train, then evaluate once on the test set.

    Where the board has memory for the samples they are stored there first, and then only asked for.

    Ctrl-C finishes the batch and saves; --resume goes on from there.

    torchrun --nproc-per-node K -m host.cli train --board golden ... trains the model on K
    processes, with the same bits.
    """
    out = directory if out is None else out
    if out is None or directory not in (None, out):
        raise UsageError(
            "one --out is needed: the directory for weights, metrics and learning curve"
        )
    if board is None:
        board = (checkpoint.load(out / checkpoint.WEIGHTS)[2].board if options.resume else "") or "sim"
    world = World.of_environment()
    place = world.place(device)
    shared = world.size > 1 or device != "cpu"
    if shared:
        check_shared(
            world,
            device,
            board,
            {"--engines": engines, "--twin": twin, "--recover": recover, "--stream": stream},
        )
    page = None
    with ExitStack() as pages, world.connected(place), ExitStack() as stack:
        run, images = world.together(lambda: Run.prepare(out, options))
        run.writes = world.first
        world.together(lambda: stack.enter_context(run.owned()))
        if live and world.first:
            page = pages.enter_context(served(run.out))
            note(f"live: {page.address}")
        events = Events(tensorboard, run) if tensorboard is not None and world.first else None
        if events is not None:
            run.callbacks = (*run.callbacks, events)
        result: dict[str, Any] = {"weights": str(run.weights), "epochs": run.plan.epochs}
        with reported(as_json, result):
            if shared:
                outcome = in_processes(run, images, world, place)
            else:
                outcome = fit(run, images, board, engines, twin, recover, stream)
        if events is not None:
            events.close(run, None if outcome.test is None else outcome.test.error_percent)
        # together: none ends, which would end all, before the first has written
        world.together(
            lambda: run.plot(None if outcome.test is None else outcome.test.error_percent)
        )
        pages = pages.pop_all()  # the page outlives what the training held
    where = f"on board {board!r}" + (
        f", {world.size} processes of {world.threads} threads" if world.size > 1 else ""
    )
    with pages:
        if world.first:
            emit(as_json, result | values(run, outcome), text(run, outcome, where))
        if page is not None and outcome.test is not None and not as_json:
            page.stay()
    return ExitCode.INTERRUPTED if outcome.test is None else ExitCode.OK


def check_shared(world: World, device: str, board: str, others: dict[str, Any]) -> None:
    """Raise `UsageError` for what several processes or a GPU can't do. others: options as given."""
    why = f"{world.size} processes" if world.size > 1 else f"--device {device}"
    if board != "golden":
        raise UsageError(f"--board {board}: {why} can only train --board golden")
    for name, value in others.items():
        if value:
            raise UsageError(f"{name}: not with {why}")


def in_processes(run: Run, images: Data, world: World, place: torch.device) -> Outcome:
    """Carry the run on with the model, this process's share of it."""
    outcome, finished = Outcome(), run.finished
    with SharedStop() as stop:
        model = SharedModel(run.spec, world, stop, place)
        rate = run_train(run, model, images, stop)
    outcome.rate = None if finished else rate
    if run.finished:
        outcome.test = evaluate(model, images.test_images, images.test_labels)
    return outcome


def values(run: Run, outcome: Outcome) -> dict[str, Any]:
    """An outcome for --json."""
    found = {
        "samples": run.done,
        "samples_per_second": outcome.rate,
        "end_to_end_samples_per_second": outcome.rate,
        "core_samples_per_second": outcome.core,
        "upload_seconds": outcome.upload,
        "recovered": outcome.recovered,
    }
    if outcome.twin is not None:
        found |= {"equal": True, "compared": outcome.twin.compared}
    if outcome.test is None:
        return found | {"interrupted": True}
    return found | {
        "error_percent": outcome.test.error_percent,
        "test_samples": outcome.test.samples,
    }


def text(run: Run, outcome: Outcome, where: str) -> str:
    """An outcome to read. where: it was trained."""
    if outcome.test is None:
        done = f"interrupted after {run.done} of {run.plan.epochs * run.plan.samples} samples"
        return f"{done}: {run.weights} is usable, --resume continues it"
    test, files = outcome.test, f"weights, metrics and learning curve in {run.out}"
    speed = (
        "the run was finished before"
        if outcome.rate is None
        else f"{outcome.rate:.1f} training samples/s {where}"
    )
    if outcome.core is not None and outcome.rate is not None:
        speed += f" (its core: {outcome.core:.0f}/s)"
    lines = [
        f"test error {test.error_percent:.2f} % ({test.errors} of {test.samples})",
        f"{speed}; {files}",
    ]
    if outcome.twin is not None:
        lines.append(f"bit-identical: board == golden ({outcome.twin.weights} weights)")
    return "\n".join(lines)
