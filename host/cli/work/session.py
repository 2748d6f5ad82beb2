"""The work of `nudge train` and `nudge resume`."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from nudge.golden.training.data import Data
from nudge.golden.training.evaluate import evaluate
from nudge.golden.training.loop import train as run_train
from nudge.golden.training.processes import SharedModel, SharedStop, World
from nudge.golden.training.run import Run
from nudge.host.cli.options import Where
from nudge.host.cli.terminal import emit, reported
from nudge.host.devices.open import check_name
from nudge.host.training.fit import Outcome, fit
from nudge.host.view.events import Events
from nudge.host.view.live import live as served
from nudge.plumbing.errors import ExitCode, UsageError
from nudge.plumbing.progress import note


def carry_out(
    prepare: Callable[[], tuple[Run, Data]],
    board: str | None,
    where: Where,
    as_json: bool,
    *,
    named: bool = True,
) -> int:
    """Train the run and data that `prepare` returns, with the options `where`; return the exit code.

    board: None for the run's own or, with several processes or a GPU, the model. named: the user has given
    the run's folder; otherwise a note tells it at the start.
    """
    if board is not None:
        check_name(board)
    world = World.of_environment()
    place = world.place(where.device)
    shared = world.size > 1 or where.device != "cpu"
    if shared:
        board = board or "golden"
        check_shared(world, board, where)
    page = None
    with ExitStack() as pages, world.connected(place), ExitStack() as stack:
        run, images = world.together(prepare)
        board = board or run.board or "sim"
        run.writes = world.first
        world.together(lambda: stack.enter_context(run.owned()))
        if not named:
            note(f"training in {run.out}")
        if where.live and world.first:
            page = pages.enter_context(served(run.out))
            note(f"live: {page.address}")
        events = Events(where.tensorboard, run) if where.tensorboard is not None and world.first else None
        if events is not None:
            run.callbacks = (*run.callbacks, events)
        result: dict[str, Any] = {"weights": str(run.weights), "epochs": run.plan.epochs}
        with reported(as_json, result):
            if shared:
                outcome = in_processes(run, images, world, place)
            else:
                outcome = fit(run, images, board, where.engines, where.twin, where.recover, where.stream)
        if events is not None:
            events.close(run, None if outcome.test is None else outcome.test.error_percent)
        # together: torchrun ends all processes once one ends, so none may end before the first has written
        world.together(lambda: run.plot(None if outcome.test is None else outcome.test.error_percent))
        pages = pages.pop_all()  # keep the page open after the other contexts are closed
    on = f"on board {board!r}" + (
        f", {world.size} processes of {world.threads} threads" if world.size > 1 else ""
    )
    with pages:
        if world.first:
            emit(as_json, result | values(run, outcome), text(run, outcome, on))
        if page is not None and outcome.test is not None and not as_json:
            page.stay()
    return ExitCode.INTERRUPTED if outcome.test is None else ExitCode.OK


def check_shared(world: World, board: str, where: Where) -> None:
    """Raise `UsageError` for options that several processes or a GPU don't support."""
    why = f"{world.size} processes" if world.size > 1 else f"--device {where.device}"
    if board != "golden":
        raise UsageError(f"--board {board}: {why} can only train --board golden")
    others = {"engines": where.engines, "twin": where.twin, "recover": where.recover, "stream": where.stream}
    for name, value in others.items():
        if value:
            raise UsageError(f"--{name}: not with {why}")


def in_processes(run: Run, images: Data, world: World, place: torch.device) -> Outcome:
    """Continue the run on the model; this process computes its share of each batch."""
    outcome, finished, run.board = Outcome(), run.finished, "golden"
    with SharedStop() as stop:
        model = SharedModel(run.spec, world, stop, place)
        rate = run_train(run, model, images, stop)
    outcome.rate = None if finished else rate
    if run.finished:
        outcome.test = evaluate(model, images.test_images, images.test_labels, run.classes)
    return outcome


def values(run: Run, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data for --json."""
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


def text(run: Run, outcome: Outcome, on: str) -> str:
    """Return an outcome as text. on: names the board that it was trained on."""
    if outcome.test is None:
        done = f"interrupted after {run.done} of {run.plan.epochs * run.plan.samples} samples"
        return f"{done}: {run.weights} is usable, `nudge resume {run.out}` continues it"
    test, files = outcome.test, f"weights, metrics and learning curve in {run.out}"
    speed = (
        "the run was finished before"
        if outcome.rate is None
        else f"{outcome.rate:.1f} training samples/s {on}"
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
