"""What training gives: the test error, the history, and a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from golden.training.evaluate import Evaluation
from golden.training.metrics import Epoch, sliding_error
from golden.training.run import Run
from host.training.fit import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class History:
    """How the error fell."""

    #: (commits,) int64: samples trained so far.
    samples: np.ndarray
    #: (commits,): training error in percent over the last `window` samples, each predicted before it was learned.
    error_percent: np.ndarray
    #: (commits,): seconds of training so far.
    seconds: np.ndarray
    #: Samples that `error_percent` is over.
    window: int
    #: The end of each epoch, with the error on held-out images where `held_out` asked for it.
    epochs: tuple[Epoch, ...]


class Result:
    """What `Network.fit` ended with."""

    def __init__(self, run: Run, outcome: Outcome):
        self._run, self._outcome = run, outcome

    @property
    def finished(self) -> bool:
        """False where a callback or Ctrl-C ended it; `nudge resume` goes on in `out`."""
        return self._run.finished

    @property
    def evaluation(self) -> Evaluation | None:
        """The test at the end: labels, predictions, confusion matrix. None: not finished."""
        return self._outcome.test

    @property
    def error_percent(self) -> float | None:
        """Of the test images, misclassified at the end. None: not finished."""
        return None if self._outcome.test is None else self._outcome.test.error_percent

    @property
    def samples_per_second(self) -> float | None:
        """Training samples a second: of the simulation with board "sim"."""
        return self._outcome.rate

    @property
    def out(self) -> Path:
        """The run's directory: weights, metrics, learning curve."""
        return self._run.out

    @property
    def history(self) -> History:
        """The error after each commit and each epoch."""
        rows = self._run.rows
        window, samples, percent = sliding_error(rows)
        seconds = np.array([row.seconds for row in rows])
        return History(np.array(samples, np.int64), np.array(percent), seconds, window, tuple(self._run.epochs))

    def plot(self) -> "Figure":
        """The learning curve."""
        from matplotlib.figure import Figure  # late: it takes half a second

        history = self.history
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(history.samples, history.error_percent, label=f"training, last {history.window} samples")
        ends = [(epoch.samples, epoch.held_out_error_percent) for epoch in history.epochs]
        tried = {samples: percent for samples, percent in ends if percent is not None}
        if tried:
            axes.plot(list(tried), list(tried.values()), "o-", label="held out, after each epoch")
        if self.error_percent is not None:
            axes.plot(history.samples[-1:], [self.error_percent], "s", label=f"test: {self.error_percent:.2f} %")
        axes.set(xlabel="training samples", ylabel="error (%)", title=self._run.spec.name)
        axes.grid(alpha=0.3)
        axes.legend()
        return figure

    def report(self, path: str | Path) -> Path:
        """One HTML file with everything there is to see of this run, as `nudge view OUT --save` writes it; its path."""
        from host.view.save import save  # late: Bokeh takes half a second

        return save([self.out], Path(path))

    def __repr__(self) -> str:
        error = "interrupted" if self.error_percent is None else f"test error {self.error_percent:.2f} %"
        return f"<Result {self._run.spec.name}: {error}, {self._run.done} samples>"
