"""The training loop: a run's first parameters, training to the end or to a stop, saving on the way."""

from nudge.golden.contract.spec import Spec
from nudge.golden.model import centring
from nudge.golden.model.batch import train_batch
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.settings import Settings
from nudge.plumbing.progress import Meter

from .board import Board
from .commits import commits
from .data import Data
from .plan import Plan
from .run import Run
from .stop import Stop

#: Largest share of the time for checkpoints at the ends of epochs; more frequent ones are postponed. Reading
#: the weights of a board takes a tenth of a second, in which it doesn't train.
CHECKPOINT_SHARE = 0.01

#: Seconds between additions of rows to the metrics file, for anyone who watches the run.
WATCH_SECONDS = 0.5


def started(plan: Plan, spec: Spec, data: Data, parameters: Parameters) -> Parameters:
    """Return initial weights with running means of the plan's first `Learning.initial_means` images, neither
    moved nor mirrored; parameters that have means are returned as they are.

    Without them, the first hundred commits would be those of a network that isn't centred, and its rates too
    large. The model computes them, whatever the board.
    """
    count = min(spec.learning.initial_means, plan.samples)
    if not (spec.schedule.centred and count) or any(mean.any() for mean in parameters.means):
        return parameters
    images, labels = data.train_images[:count], data.train_labels[:count]
    found = train_batch(spec, plan.settings(spec)[0], parameters, images, labels)
    return parameters._replace(means=centring.begun(spec, found.updates.means, count))


def train(run: Run, board: Board, data: Data, stop: Stop) -> float:
    """Train `run` to its end or to `stop`, whichever comes first, and save it.

    Returns the training samples per second of this call. The batch in progress at a stop is finished and
    committed, so a resumed run ends with the weights of an uninterrupted one. The board's errors pass
    through; the last checkpoint stays usable.
    """
    with run.owned():
        return _train(run, board, data, stop)


def _train(run: Run, board: Board, data: Data, stop: Stop) -> float:
    plan = run.plan
    if not run.done:
        run.parameters = started(plan, run.spec, data, run.parameters)
        if run.writes:
            run.folder.clear()
    board.load(run.parameters)
    run.saved = run.done
    if run.finished:
        # no commit is left to write them, and a test needs the run's number of steps
        board.write_settings(plan.settings(run.spec)[-1])
    begun = run.now()
    if not run.done:
        run.save(board, plan.settings(run.spec)[0])  # fail now, not after hours, if it can't be written
    first, before, start = run.done, run.seconds, run.now()
    saved_at, stopped, cost = start, False, start - begun
    shown_at = start

    def going() -> bool:
        return not stopped and run.now() - saved_at <= run.every

    def save(settings: Settings) -> None:
        nonlocal saved_at, cost
        began = run.now()
        run.save(board, settings)
        saved_at = run.now()
        cost = saved_at - began

    with Meter("training", plan.epochs * plan.samples, run.done) as meter:
        while not run.finished and not stopped:
            for commit in commits(plan, run.spec, board, data, run.epoch, run.position, going):
                samples = len(commit.numbers)
                run.count(samples, commit.errors, before + run.now() - start)
                meter.advance(
                    samples, f"epoch {run.epoch + 1}/{plan.epochs} error {run.rows[-1].error_percent:.2f} %"
                )
                stopped = bool(stop) or stopped
                ended = run.position >= plan.samples
                if ended:
                    paused = run.now()
                    run.end_epoch(board, data)
                    start += run.now() - paused  # not training time
                for callback in run.callbacks:
                    stopped |= callback(run) is True
                if run.now() - shown_at > WATCH_SECONDS:
                    run.show()
                    shown_at = run.now()
                due = (
                    run.finished
                    or run.epoch in run.averaged
                    or cost <= CHECKPOINT_SHARE * (run.now() - saved_at)
                )
                if ended and due:
                    save(commit.settings)
            if run.done != run.saved:
                save(commit.settings)
    if run.finished:
        run.end(board)
    return (run.done - first) / max(run.seconds - before, 1e-9)
