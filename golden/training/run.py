"""A training run: its state, and how it is begun, resumed and saved."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nudge.golden.contract import network_file
from nudge.golden.contract.presets import chosen
from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import Parameters, initial, mean
from nudge.golden.model.settings import Settings
from nudge.plumbing.errors import PlanError, WeightsError
from nudge.plumbing.progress import note, plain

from . import checkpoint, curve
from . import data as datasets
from . import metrics as report
from .board import Board
from .checkpoint import Checkpoint
from .data import Data
from .evaluate import Evaluation, chunks
from .folder import CURVE, EPOCH, EPOCHS, METRICS, RunFolder, unused
from .metrics import Epoch, Row
from .options import ResumeOptions, TrainingOptions
from .plan import Plan, first_samples
from .sets.class_names import Names

#: Default interval between checkpoints in seconds: the work that a power cut may cost.
CHECKPOINT_SECONDS = 60.0


@dataclass
class Run:
    """State of a run: masters, the next sample, and the measurements so far."""

    plan: Plan
    spec: Spec
    #: Folder of weights, metrics and learning curve.
    out: Path
    #: Masters as of the last commit.
    parameters: Parameters
    #: Epoch of the next sample, from 0.
    epoch: int = 0
    #: Position of the next sample within the epoch.
    position: int = 0
    #: Wrong predictions in the epoch so far.
    epoch_errors: int = 0
    #: Seconds of training, all sessions together.
    seconds: float = 0.0
    #: One row per commit.
    rows: list[Row] = field(default_factory=list)
    #: One entry per finished epoch.
    epochs: list[Epoch] = field(default_factory=list)
    #: Command line that began the run.
    command: str = field(default_factory=checkpoint.command)
    #: Samples trained when the weight file was written.
    saved: int = 0
    #: Whether this process writes files: of several processes in the same run, one does.
    writes: bool = True
    #: Interval between checkpoints in seconds: the work that a power cut may cost.
    every: float = CHECKPOINT_SECONDS
    #: Clock in seconds; None: real time.
    clock: Callable[[], float] | None = None
    #: Whether to draw the learning curve.
    picture: bool = True
    #: Masters after each of the epochs in `averaged`, by number of epochs.
    kept: dict[int, Parameters] = field(default_factory=dict)
    #: `state` of the weight file that the run began with or wrote last; None: no file.
    found: str | None = None
    #: Called after each commit; if one returns True, the training is saved and ends there.
    callbacks: Sequence[Callable[["Run"], object]] = ()
    #: Whether the weight file is this run's.
    checkpointed: bool = False
    #: Board, as `--board` names it; "": not named.
    board: str = ""
    #: Names of classes, as far as the data have any.
    classes: Names = ()
    #: Folder of `--data-dir`, where the data are looked for; None: not given.
    data_dir: Path | None = None
    #: Returns the board's counters, which are saved with the run; None: the board has none to save.
    counters: Callable[[], dict[str, Any]] | None = None
    #: The run's files in `out`.
    folder: RunFolder = field(init=False)

    def __post_init__(self) -> None:
        self.folder = RunFolder(self.out)

    @property
    def weights(self) -> Path:
        """The weight file."""
        return self.folder.weights

    def now(self) -> float:
        """Return the time in seconds, from an arbitrary start."""
        return time.monotonic() if self.clock is None else self.clock()

    @property
    def done(self) -> int:
        """Samples trained so far, over all epochs."""
        return self.epoch * self.plan.samples + self.position

    @property
    def fresh(self) -> bool:
        """Whether nothing was trained or written yet."""
        return not self.done and not self.checkpointed

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.epoch >= self.plan.epochs

    @classmethod
    def begin(
        cls,
        plan: Plan,
        spec: Spec,
        out: Path,
        *,
        force: bool = False,
        data_dir: Path | None = None,
        classes: Names = (),
    ) -> "Run":
        """Begin a new run; it overwrites another run's weights only with `force`.

        data_dir: the folder of its data.
        """
        folder = RunFolder(out)
        there = [
            path for path in (folder.weights, *folder.path.glob(EPOCH.format("*"))) if os.path.lexists(path)
        ]
        if there and not force:
            raise PlanError(
                f"{there[0]} exists: `nudge resume` continues it, --force overwrites it, or choose another "
                "--out"
            )
        start, where = initial(spec, plan.seed), _absolute(data_dir)
        return cls(plan, spec, out, start, found=folder.state, data_dir=where, classes=classes)

    @classmethod
    def resume(cls, out: Path, epochs: int | None = None) -> "Run":
        """Resume the run in `out`. epochs: in all; None: the run's own number."""
        folder = RunFolder(out)
        before = folder.state
        spec, parameters, found = checkpoint.load(folder.weights)
        plan = plan_of(folder.weights, spec, found)
        epochs = plan.epochs if epochs is None else epochs
        if epochs < found.epoch + (found.position > 0):
            raise PlanError(f"--epochs {epochs}: the run in {out} has already trained {found.epoch} epochs")
        if plan.average > 1 and epochs != plan.epochs:
            raise PlanError(
                f"--epochs {epochs}: the run in {out} averages the last of {plan.epochs}; leave it out to "
                "resume"
            )
        rows = report.read_metrics(out / METRICS, found.epoch, found.position, found.metrics)
        run = cls(replace(plan, epochs=epochs), spec, out, parameters, found=before, checkpointed=True)
        finished = (epoch for epoch in run.averaged if epoch <= found.epoch)
        run.kept = {epoch: _after(folder.after(epoch), epoch, spec, plan) for epoch in finished}
        run.epoch, run.position, run.epoch_errors = found.epoch, found.position, found.epoch_errors
        run.seconds, run.rows, run.command, run.classes = found.seconds, rows, found.command, found.classes
        run.epochs = report.read_epochs(out / EPOCHS, found.epoch)
        run.board, run.data_dir = found.board, Path(found.data_dir) if found.data_dir else None
        return run

    def reload(self) -> None:
        """Return to the last checkpoint; `WeightsError` if another run's weights have replaced it."""
        saved = Run.resume(self.out)
        if (
            replace(saved.plan, epochs=self.plan.epochs) != self.plan
            or saved.spec.identity != self.spec.identity
        ):
            raise WeightsError(
                f"{self.weights} is of another run now: it has another plan than the one to go back to"
            )
        for name in (
            "parameters",
            "epoch",
            "position",
            "epoch_errors",
            "seconds",
            "rows",
            "epochs",
            "kept",
            "found",
        ):
            setattr(self, name, getattr(saved, name))
        self.folder.forget()

    @classmethod
    def again(cls, out: Path, options: ResumeOptions) -> tuple["Run", Data]:
        """Resume the run in `out` with these options; return it and its data."""
        run = cls.resume(out, options.epochs)
        run.data_dir = _absolute(options.data_dir) or run.data_dir
        images = datasets.load(run.plan.data.at(options.data), run.data_dir, run.spec.input)
        first_samples(run.plan.samples, len(images.train_images) - run.plan.held_out, run.plan.data)
        run.classes = run.classes or images.classes
        return run, images

    @classmethod
    def prepare(cls, out: Path | None, options: TrainingOptions) -> tuple["Run", Data]:
        """Begin a new run with these options; return it and its data. out None: a new folder in `RUNS`."""
        spec = chosen(options.preset, options.network)
        source = datasets.Source.asked(options.data_name)
        images = datasets.load(source, options.data_dir, spec.input)
        plan = options.plan(spec, source.of(images), len(images.train_images))
        out = unused(spec.name, plan.data) if out is None else out
        run = cls.begin(
            plan, spec, out, force=options.force, data_dir=options.data_dir, classes=images.classes
        )
        return run, images

    def owned(self) -> AbstractContextManager[None]:
        """While entered, only this process trains in `out`: see `RunFolder.owned`."""
        return self.folder.owned(self.found) if self.writes else nullcontext()

    def count(self, samples: int, errors: int, seconds: float) -> None:
        """Record a committed batch: samples, wrong predictions, and seconds of training so far."""
        self.position += samples
        self.epoch_errors += errors
        self.seconds = seconds
        self.rows.append(
            Row(self.epoch, self.position, samples, errors, 100 * self.epoch_errors / self.position, seconds)
        )

    def end_epoch(self, board: Board, data: Data) -> None:
        """Record the end of an epoch, with the held-out error on the board."""
        tried, kept = None, self.plan.held_out
        if kept:
            images, labels = data.train_images[-kept:], data.train_labels[-kept:]
            found = np.concatenate(list(chunks(board, images, labels)))
            tried = Evaluation(labels.numpy(), found, self.spec.classes).error_percent
        trained = 100 * self.epoch_errors / self.position
        self.epoch, self.position, self.epoch_errors = self.epoch + 1, 0, 0
        self.epochs.append(Epoch(self.epoch, self.done, trained, tried, self.seconds))

    def show(self) -> None:
        """Write the measurements so far, for anyone who watches."""
        if self.writes:
            self.folder.show(self.rows, self.epochs)

    @property
    def averaged(self) -> range:
        """Numbers of epochs after which the weights enter the final mean; empty for a run without one."""
        return (
            range(self.plan.epochs - self.plan.average + 1, self.plan.epochs + 1)
            if self.plan.average > 1
            else range(0)
        )

    def save(self, board: Board, settings: Settings) -> None:
        """Write weights, metrics and curve, each atomically."""
        self.parameters = board.read()
        if self.position == 0 and self.epoch in self.averaged:
            self.kept[self.epoch] = self.parameters
        if self.writes:
            try:
                self._write(settings)
            except OSError as error:
                kept = (
                    f"; {self.weights} holds the state after {self.saved} samples: `nudge resume` "
                    "continues it"
                )
                raise PlanError(f"{error}{kept if self.found else ''}") from None
        self.saved = self.done

    def end(self, board: Board) -> None:
        """End the plan: load the mean of the kept weights to the board, and write it to the weight file."""
        if self.averaged:
            self.parameters = mean([self.kept[epoch] for epoch in self.averaged])
            board.load(self.parameters)
            if self.writes:
                self._write(self.plan.settings(self.spec)[-1], ended=True)

    def _write(self, settings: Settings, ended: bool = False) -> None:
        reached = Checkpoint(
            preset=self.plan.preset,
            spec=self.spec.identity,
            network=network_file.document(self.spec),
            plan=asdict(self.plan),
            settings=asdict(settings),
            epoch=self.epoch,
            position=self.position,
            epoch_errors=self.epoch_errors,
            seconds=self.seconds,
            command=self.command,
            metrics=report.digest(self.rows),
            board=self.board,
            data_dir="" if self.data_dir is None else str(self.data_dir),
            classes=self.classes,
        )
        # metrics first: on resuming, rows beyond a checkpoint are dropped, but missing ones could not be
        # restored
        counted = None if self.counters is None else self.counters() | {"samples": self.done}
        self.folder.write(self.rows, self.epochs, counted)
        if self.position == 0 and self.epoch in self.averaged and not ended:
            checkpoint.save(self.folder.after(self.epoch), self.spec, self.parameters, reached)
        checkpoint.save(self.weights, self.spec, self.parameters, reached)
        self.found, self.checkpointed = self.folder.state, True
        self.plot()

    def plot(self, test_error: float | None = None) -> None:
        """Draw the learning curve. If that fails, training goes on."""
        if not (self.writes and self.picture):
            return
        title = plain(f"{self.plan.preset}, {self.plan.data}, seed {self.plan.seed}")
        try:
            curve.plot_curve(self.out / CURVE, self.rows, self.epochs, title, test_error)
        except Exception as error:
            note(f"{self.out / CURVE} isn't drawn: {type(error).__name__}: {error}")


def _absolute(folder: Path | None) -> Path | None:
    """Return the folder as an absolute path, valid wherever the run is resumed; an empty name is None."""
    return Path(os.path.abspath(folder)) if folder is not None and str(folder) else None  # noqa: PTH100 (links stay)


def _after(path: Path, epoch: int, spec: Spec, plan: Plan) -> Parameters:
    """Return a run's weights after `epoch` epochs; `WeightsError` if the file is of another run."""
    _, parameters, kept = checkpoint.load(path, spec)
    if (plan_of(path, spec, kept), kept.epoch, kept.position) != (plan, epoch, 0):
        raise WeightsError(f"{path}: not of this run after {epoch} epochs")
    return parameters


def plan_of(path: Path, spec: Spec, found: Checkpoint) -> Plan:
    """Return the plan of a checkpoint; `WeightsError` if no run could have left it."""
    try:
        plan = Plan(**found.plan | {"data": datasets.Source.recorded(found.plan.get("data"))})
        plan.settings(spec)
        within = 0 <= found.position < plan.samples and found.epoch_errors <= found.position
    except (TypeError, ArithmeticError, PlanError) as error:
        raise WeightsError(f"{path}: damaged metadata (plan: {error})") from None
    if plan.preset != spec.name or not within:
        raise WeightsError(
            f"{path}: damaged metadata (sample {found.position} of {plan.samples}, preset {plan.preset!r})"
        )
    return plan
