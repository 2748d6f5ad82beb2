"""One run of a sweep, on a worker: trained as by `nudge train`, or continued as by `nudge resume`."""

import hashlib
import json
import shlex
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nudge.golden.contract import network_file
from nudge.golden.contract.spec import Spec
from nudge.golden.training.checkpoint import WEIGHTS
from nudge.golden.training.options import ResumeOptions, TrainingOptions
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import Run
from nudge.host.training.fit import fit
from nudge.plumbing import cluster, files
from nudge.plumbing.errors import PlanError

from .table import Figures, State

if TYPE_CHECKING:
    import optuna

#: Network of a run in which the sweep has changed a key: `nudge train --network` takes it.
NETWORK = "network.toml"

#: Seconds between two reports of a run's progress.
TELL_SECONDS = 0.5


@dataclass(frozen=True)
class Trial:
    """A trial of an Optuna study, whose record the worker writes to itself."""

    storage: str
    study: str
    #: Optuna's identifier in its storage.
    trial: int
    #: Whether Optuna's median rule may stop it.
    prune: bool


@dataclass(frozen=True)
class Task:
    """A run that a worker trains."""

    #: Folder of the run.
    out: Path
    options: TrainingOptions
    #: Text of the network's file, or None.
    network: str | None
    #: Options of `fit`: those in `sweep_file.BOARD`.
    board: dict[str, Any]
    #: `fingerprint` of the run, by which it is recognised.
    fingerprint: str
    trial: Trial | None = None


def fingerprint(spec: Spec, plan: Plan) -> str:
    """Return a digest of all that determines a run's result: its network and its plan."""
    content = [network_file.document(spec), asdict(plan)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def carry_out(task: Task) -> tuple[State, Figures]:
    """Begin or continue a run, to its end or until it is pruned; return its figures.

    Raises the run's errors, `PlanError` if the worker sees another file system or other data than the sweep,
    and `CancelledError` if the sweep doesn't want the run any longer; the run is then saved.
    """
    if not task.out.parent.is_dir():
        raise PlanError(
            f"{task.out.parent} doesn't exist here: the sweep's folder must be on a disk that all workers "
            "share"
        )
    if (task.out / WEIGHTS).exists():
        run, images = Run.again(task.out, ResumeOptions(data=None, data_dir=task.options.data_dir))
    else:
        options = task.options
        if task.network is not None:
            task.out.mkdir(exist_ok=True)
            files.write(task.out / NETWORK, task.network)
            options = replace(options, network=task.out / NETWORK)
        run, images = Run.prepare(task.out, options)
        run.command = command(task)
    found = fingerprint(run.spec, run.plan)
    if found != task.fingerprint:
        raise PlanError(
            f"{task.out}: other data here, or another run than the sweep's ({found}, not {task.fingerprint})"
        )
    watch = Watch(task)
    run.callbacks = (watch,)
    outcome = fit(run, images, **task.board, test=not run.plan.held_out)
    if watch.cancelled:
        raise CancelledError(f"{task.out}: cancelled after {run.done} samples")
    last = run.epochs[-1] if run.epochs else None
    figures = Figures(
        epochs=run.epoch,
        training_percent=None if last is None else last.training_error_percent,
        held_out_percent=None if last is None else last.held_out_error_percent,
        test_percent=None if outcome.test is None else outcome.test.error_percent,
        seconds=run.seconds,
    )
    return State.PRUNED if watch.pruned else State.DONE, figures


def command(task: Task) -> str:
    """Return the command line that trains the same run alone."""
    given = {name: value for name, value in asdict(task.options).items() if value not in (None, False)}
    if task.network is not None:
        given["network"] = task.out / NETWORK
    words = ["nudge", "train"]
    for name, value in (given | {name: value for name, value in task.board.items() if value}).items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


class CancelledError(PlanError):
    """The sweep has ended before this run."""


class Watch:
    """Callback of a run: tells its progress, and ends it if it is cancelled or pruned."""

    def __init__(self, task: Task):
        self._name, self._told, self._epochs = task.out.name, 0.0, 0
        self._trial = None if task.trial is None else trial_of(task.trial)
        self._prunes = task.trial is not None and task.trial.prune
        self.pruned = self.cancelled = False

    def __call__(self, run: Run) -> bool:
        now = time.monotonic()
        if now - self._told > TELL_SECONDS:
            self._told = now
            self.cancelled = not cluster.wanted()
            percent = run.rows[-1].error_percent
            cluster.tell(self._name, done=run.done, total=run.plan.epochs * run.plan.samples, percent=percent)
        if self._trial is not None and len(run.epochs) > self._epochs:
            self._epochs, last = len(run.epochs), run.epochs[-1]
            assert last.held_out_error_percent is not None
            self._trial.report(last.held_out_error_percent, last.epoch)
            self.pruned = self._prunes and not run.finished and bool(self._trial.should_prune())
        return self.pruned or self.cancelled


def trial_of(trial: Trial) -> "optuna.Trial":
    """Return a trial in its storage."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.Trial(optuna.load_study(study_name=trial.study, storage=trial.storage), trial.trial)
