"""The result of a training: test error, history, and report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nudge.golden.training.evaluate import Evaluation
from nudge.golden.training.metrics import Epoch, sliding_error
from nudge.golden.training.run import Run
from nudge.host.training.fit import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class History:
    """The error over the course of a training."""

    #: Samples trained so far, (commits,) int64.
    samples: np.ndarray
    #: Training error in percent, (commits,), over the last `window` samples, predicted before they are
    #: learned.
    error_percent: np.ndarray
    #: Seconds of training so far, (commits,).
    seconds: np.ndarray
    #: Number of samples of the running error.
    window: int
    #: The end of each epoch, with the held-out error if the option `held_out` was given.
    epochs: tuple[Epoch, ...]


class Result:
    """Result of `Network.fit`."""

    def __init__(self, run: Run, outcome: Outcome):
        self._run, self._outcome = run, outcome

    @property
    def finished(self) -> bool:
        """False if a callback or Ctrl-C ended the training; `nudge resume` continues it in `out`."""
        return self._run.finished

    @property
    def evaluation(self) -> Evaluation | None:
        """The test at the end: labels, predictions, confusion matrix. None if not finished."""
        return self._outcome.test

    @property
    def error_percent(self) -> float | None:
        """Test error in percent at the end. None if not finished."""
        return None if self._outcome.test is None else self._outcome.test.error_percent

    @property
    def samples_per_second(self) -> float | None:
        """Training samples per second; with board "sim", those of the simulation."""
        return self._outcome.rate

    @property
    def out(self) -> Path:
        """The run's directory, with weights, metrics and learning curve."""
        return self._run.out

    @property
    def history(self) -> History:
        """The error after each commit and each epoch."""
        rows = self._run.rows
        window, samples, percent = sliding_error(rows)
        seconds = np.array([row.seconds for row in rows])
        return History(
            np.array(samples, np.int64), np.array(percent), seconds, window, tuple(self._run.epochs)
        )

    def plot(self) -> "Figure":
        """Draw the learning curve."""
        from matplotlib.figure import Figure  # imported here, since it takes half a second

        history = self.history
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(history.samples, history.error_percent, label=f"training, last {history.window} samples")
        ends = [(epoch.samples, epoch.held_out_error_percent) for epoch in history.epochs]
        tried = {samples: percent for samples, percent in ends if percent is not None}
        if tried:
            axes.plot(list(tried), list(tried.values()), "o-", label="held out, after each epoch")
        if self.error_percent is not None:
            axes.plot(
                history.samples[-1:], [self.error_percent], "s", label=f"test: {self.error_percent:.2f} %"
            )
        axes.set(xlabel="training samples", ylabel="error (%)", title=self._run.spec.name)
        axes.grid(alpha=0.3)
        axes.legend()
        return figure

    def report(self, path: str | Path) -> Path:
        """Write one HTML file with all views of this run, as `nudge view OUT --save`; return its path."""
        from nudge.host.view.save import save  # imported here, since Bokeh takes half a second

        return save([self.out], Path(path))

    def __repr__(self) -> str:
        error = "interrupted" if self.error_percent is None else f"test error {self.error_percent:.2f} %"
        return f"<Result {self._run.spec.name}: {error}, {self._run.done} samples>"
