"""A training run: where it stands, how it is begun, continued and saved."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.contract import network_file
from golden.contract.presets import chosen
from golden.contract.spec import Spec
from golden.model.parameters import Parameters, initial, mean
from golden.model.settings import Settings
from plumbing.errors import PlanError, WeightsError
from plumbing.progress import note, plain

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

#: Seconds of work that a power cut may cost, unless a run says otherwise.
CHECKPOINT_SECONDS = 60.0


@dataclass
class Run:
    """Where a run stands: masters, the next sample, and what has been measured."""

    plan: Plan
    spec: Spec
    #: Directory of weights, metrics and learning curve.
    out: Path
    #: Masters as of the last commit.
    parameters: Parameters
    #: Of the next sample, from 0.
    epoch: int = 0
    #: Of the next sample within the epoch.
    position: int = 0
    #: Wrong predictions of the epoch.
    epoch_errors: int = 0
    #: Of training, all sessions together.
    seconds: float = 0.0
    #: A row for each commit.
    rows: list[Row] = field(default_factory=list)
    #: The end of each epoch.
    epochs: list[Epoch] = field(default_factory=list)
    #: Command line that began the run.
    command: str = field(default_factory=checkpoint.command)
    #: Samples that were trained when the weight file was written.
    saved: int = 0
    #: Whether this process writes files: of several that do the same run, one does.
    writes: bool = True
    #: Seconds of work that a power cut may cost.
    every: float = CHECKPOINT_SECONDS
    #: Seconds that pass; None: real ones.
    clock: Callable[[], float] | None = None
    #: Whether to draw the learning curve.
    picture: bool = True
    #: Masters after each of the epochs that `Plan.average` asks for, by number of epochs.
    kept: dict[int, Parameters] = field(default_factory=dict)
    #: `state` of the weight file that it began with or wrote last; None: no file.
    found: str | None = None
    #: Called after each commit; one that answers True ends the training there, saved.
    callbacks: Sequence[Callable[["Run"], object]] = ()
    #: Whether the weight file is this run's.
    checkpointed: bool = False
    #: Which board it is, as `--board` names it; "" where none is named.
    board: str = ""
    #: Names of classes, as far as the data have some.
    classes: Names = ()
    #: Folder that `--data-dir` names, where the data are looked for; None: none is named.
    data_dir: Path | None = None
    #: What the board counts, read when the run is saved; None: nothing is asked.
    counters: Callable[[], dict[str, Any]] | None = None
    #: Its files in `out`.
    folder: RunFolder = field(init=False)

    def __post_init__(self) -> None:
        self.folder = RunFolder(self.out)

    @property
    def weights(self) -> Path:
        """The weight file."""
        return self.folder.weights

    def now(self) -> float:
        """Seconds, from no particular moment."""
        return time.monotonic() if self.clock is None else self.clock()

    @property
    def done(self) -> int:
        """Samples trained so far, over all epochs."""
        return self.epoch * self.plan.samples + self.position

    @property
    def fresh(self) -> bool:
        """Whether nothing of it was trained or written."""
        return not self.done and not self.checkpointed

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.epoch >= self.plan.epochs

    @classmethod
    def begin(
        cls, plan: Plan, spec: Spec, out: Path, *, force: bool = False, data_dir: Path | None = None, classes: Names = ()
    ) -> "Run":
        """A new run; it doesn't overwrite another one's weights unless `force`. data_dir: where its data were looked for."""
        folder = RunFolder(out)
        there = [path for path in (folder.weights, *folder.path.glob(EPOCH.format("*"))) if os.path.lexists(path)]
        if there and not force:
            raise PlanError(f"{there[0]} exists: `nudge resume` continues it, --force overwrites it, or choose another --out")
        start, where = initial(spec, plan.seed), _absolute(data_dir)
        return cls(plan, spec, out, start, found=folder.state, data_dir=where, classes=classes)

    @classmethod
    def resume(cls, out: Path, epochs: int | None = None) -> "Run":
        """The run in `out`, continued. epochs: in all; None: as many as it had."""
        folder = RunFolder(out)
        before = folder.state
        spec, parameters, found = checkpoint.load(folder.weights)
        plan = plan_of(folder.weights, spec, found)
        epochs = plan.epochs if epochs is None else epochs
        if epochs < found.epoch + (found.position > 0):
            raise PlanError(f"--epochs {epochs}: the run in {out} has already trained {found.epoch} epochs")
        if plan.average > 1 and epochs != plan.epochs:
            raise PlanError(f"--epochs {epochs}: the run in {out} averages the last of {plan.epochs}; leave it out to resume")
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
        """Back to what was saved last; `WeightsError` if another run's weights have taken its place."""
        saved = Run.resume(self.out)
        if replace(saved.plan, epochs=self.plan.epochs) != self.plan or saved.spec.identity != self.spec.identity:
            raise WeightsError(f"{self.weights} is of another run now: it has another plan than the one to go back to")
        for name in ("parameters", "epoch", "position", "epoch_errors", "seconds", "rows", "epochs", "kept", "found"):
            setattr(self, name, getattr(saved, name))
        self.folder.forget()

    @classmethod
    def again(cls, out: Path, options: ResumeOptions) -> tuple["Run", Data]:
        """The run in `out`, continued, and its data."""
        run = cls.resume(out, options.epochs)
        run.data_dir = _absolute(options.data_dir) or run.data_dir
        images = datasets.load(run.plan.data.at(options.data), run.data_dir, run.spec.input)
        first_samples(run.plan.samples, len(images.train_images) - run.plan.held_out, run.plan.data)
        run.classes = run.classes or images.classes
        return run, images

    @classmethod
    def prepare(cls, out: Path | None, options: TrainingOptions) -> tuple["Run", Data]:
        """A new run as it is asked for, and its data. out: None: a folder of its own in `RUNS`."""
        spec = chosen(options.preset, options.network)
        source = datasets.Source.asked(options.data_name)
        images = datasets.load(source, options.data_dir, spec.input)
        plan = options.plan(spec, source.of(images), len(images.train_images))
        out = unused(spec.name, plan.data) if out is None else out
        run = cls.begin(plan, spec, out, force=options.force, data_dir=options.data_dir, classes=images.classes)
        return run, images

    def owned(self) -> AbstractContextManager[None]:
        """While entered, this process alone trains in `out`: see `RunFolder.owned`."""
        return self.folder.owned(self.found) if self.writes else nullcontext()

    def count(self, samples: int, errors: int, seconds: float) -> None:
        """A batch is committed: `samples` of it, `errors` wrong, at `seconds` of training."""
        self.position += samples
        self.epoch_errors += errors
        self.seconds = seconds
        self.rows.append(Row(self.epoch, self.position, samples, errors, 100 * self.epoch_errors / self.position, seconds))

    def end_epoch(self, board: Board, data: Data) -> None:
        """All samples of an epoch are trained; the board tries those that are kept out."""
        tried, kept = None, self.plan.held_out
        if kept:
            images, labels = data.train_images[-kept:], data.train_labels[-kept:]
            found = np.concatenate(list(chunks(board, images, labels)))
            tried = Evaluation(labels.numpy(), found, self.spec.classes).error_percent
        trained = 100 * self.epoch_errors / self.position
        self.epoch, self.position, self.epoch_errors = self.epoch + 1, 0, 0
        self.epochs.append(Epoch(self.epoch, self.done, trained, tried, self.seconds))

    def show(self) -> None:
        """Write down what has been measured, for whoever watches."""
        if self.writes:
            self.folder.show(self.rows, self.epochs)

    @property
    def averaged(self) -> range:
        """Numbers of epochs after which the weights go into the mean that the run ends with; none without a mean."""
        return range(self.plan.epochs - self.plan.average + 1, self.plan.epochs + 1) if self.plan.average > 1 else range(0)

    def save(self, board: Board, settings: Settings) -> None:
        """Write weights, metrics and curve, each atomically."""
        self.parameters = board.read()
        if self.position == 0 and self.epoch in self.averaged:
            self.kept[self.epoch] = self.parameters
        if self.writes:
            try:
                self._write(settings)
            except OSError as error:
                kept = f"; {self.weights} holds the state after {self.saved} samples: `nudge resume` continues it"
                raise PlanError(f"{error}{kept if self.found else ''}") from None
        self.saved = self.done

    def end(self, board: Board) -> None:
        """At the end of the plan: the mean of the weights that were kept, on the board and in the weight file."""
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
        # metrics first: rows beyond a checkpoint are dropped when it is resumed, missing ones could not be made up
        counted = None if self.counters is None else self.counters() | {"samples": self.done}
        self.folder.write(self.rows, self.epochs, counted)
        if self.position == 0 and self.epoch in self.averaged and not ended:
            checkpoint.save(self.folder.after(self.epoch), self.spec, self.parameters, reached)
        checkpoint.save(self.weights, self.spec, self.parameters, reached)
        self.found, self.checkpointed = self.folder.state, True
        self.plot()

    def plot(self, test_error: float | None = None) -> None:
        """Draw the learning curve. A picture that can't be drawn is no reason to end a training."""
        if not (self.writes and self.picture):
            return
        title = plain(f"{self.plan.preset}, {self.plan.data}, seed {self.plan.seed}")
        try:
            curve.plot_curve(self.out / CURVE, self.rows, self.epochs, title, test_error)
        except Exception as error:
            note(f"{self.out / CURVE} isn't drawn: {type(error).__name__}: {error}")


def _absolute(folder: Path | None) -> Path | None:
    """The folder from wherever the run goes on; an empty name is none."""
    return Path(os.path.abspath(folder)) if folder is not None and str(folder) else None  # noqa: PTH100 (links stay)


def _after(path: Path, epoch: int, spec: Spec, plan: Plan) -> Parameters:
    """The weights that a run had after `epoch` epochs; `WeightsError` where the file is of another run."""
    _, parameters, kept = checkpoint.load(path, spec)
    if (plan_of(path, spec, kept), kept.epoch, kept.position) != (plan, epoch, 0):
        raise WeightsError(f"{path}: not of this run after {epoch} epochs")
    return parameters


def plan_of(path: Path, spec: Spec, found: Checkpoint) -> Plan:
    """The plan that a checkpoint belongs to; `WeightsError` where no run could have left it."""
    try:
        plan = Plan(**found.plan | {"data": datasets.Source.recorded(found.plan.get("data"))})
        plan.settings(spec)
        within = 0 <= found.position < plan.samples and found.epoch_errors <= found.position
    except (TypeError, ArithmeticError, PlanError) as error:
        raise WeightsError(f"{path}: damaged metadata (plan: {error})") from None
    if plan.preset != spec.name or not within:
        raise WeightsError(f"{path}: damaged metadata (sample {found.position} of {plan.samples}, preset {plan.preset!r})")
    return plan
