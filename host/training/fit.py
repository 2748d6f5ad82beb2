"""Runs a whole training on a board: opens it, trains, and tests once at the end.

`nudge train` and `nudge.Network.fit` use it.
"""

from dataclasses import asdict, dataclass
from typing import Any

from nudge.golden.contract import values
from nudge.golden.training.data import Data
from nudge.golden.training.evaluate import Evaluation, evaluate
from nudge.golden.training.recover import recovering
from nudge.golden.training.recover import train as train_on_board
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.interface import OpenBoard
from nudge.host.devices.open import open_board
from nudge.host.devices.serial import SerialBoard
from nudge.plumbing.errors import UsageError

from .compare import Comparison, Twin


@dataclass
class Outcome:
    """Result of a training run."""

    rate: float | None = None  #: training samples a second, end to end; None if nothing was left to train
    core: float | None = None  #: training samples a second of the core alone; None if unknown
    upload: float | None = None  #: duration in seconds of uploading the samples; None if they were streamed
    test: Evaluation | None = None  #: None if interrupted
    twin: Comparison | None = None  #: None without a twin
    recovered: int = 0  #: number of returns to the checkpoint


def fit(
    run: Run,
    images: Data,
    board: str,
    engines: str | None = None,
    twin: bool = False,
    recover: int = 0,
    stream: bool = False,
    test: bool = True,
) -> Outcome:
    """Continue a run on a board, from its checkpoint again if the board is lost; then test once.

    board, engines: as for `host.devices.open.open_board`. twin: run the golden model in lockstep, and stop
    where the board differs from it. recover: largest number of returns to the checkpoint. stream: send every
    image in each epoch, even if the board's memory could hold them. test: whether to ask the test set.
    """
    board = values.plain(str, board, "--board", UsageError)
    engines = values.plain(str | None, engines, "--engines", UsageError)
    twin, stream = (
        values.plain(bool, x, name, UsageError) for x, name in ((twin, "--twin"), (stream, "--stream"))
    )
    recover = values.plain(int, recover, "--recover", UsageError)
    if recover < 0:
        raise UsageError(f"--recover must be 0 or more, not {recover}")
    outcome, compared = Outcome(), twin and not run.done

    def work(run: Run, device: OpenBoard) -> None:
        # samples trained beside a twin, which stay behind if the run goes on without it
        run.counters = lambda: counters(device, board) | {"compared": run.done if compared else None}
        run.board = board
        held = None if stream else device.hold(images, run.plan.samples)
        if held is not None:
            outcome.upload = (outcome.upload or 0.0) + held.seconds
        with Stop() as stop:
            target = Twin(device) if twin else device
            rate = train_on_board(run, target, images, stop)
            outcome.rate = rate or outcome.rate  # 0 if nothing was left to train
            if isinstance(target, Twin):
                outcome.twin = target.finish()
        outcome.core = device.core_rate()
        if run.finished and test:
            if held is not None:
                device.hold(images, run.plan.samples, test=True)
            outcome.test = evaluate(device, images.test_images, images.test_labels, run.classes)

    outcome.recovered = len(
        list(recovering(run, lambda: open_board(board, run.spec, engines), work, recover))
    )
    return outcome


def counters(device: OpenBoard, asked: str) -> dict[str, Any]:
    """Return a board's registers and its link's counters. asked: the board's name as for `open_board`."""
    link = asdict(device.link.counters) if isinstance(device, SerialBoard) else {}
    return {"board": asked, "registers": device.registers(), "link": link}
