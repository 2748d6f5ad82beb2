"""A sweep's search, by Optuna: draws the values of the next run, and remembers all trials in its storage."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nudge.plumbing import install
from nudge.plumbing.errors import PlanError, ToolError

from .sweep_file import Range, SweepFile
from .table import State

if TYPE_CHECKING:
    import optuna

#: Optuna's record in the sweep's folder, unless the file names another storage; name of the study in it.
STORAGE, STUDY = "search.db", "sweep"


class Tree:
    """A search by a tree-structured Parzen estimator (Optuna's TPE), for the smallest held-out error.

    Trials of an earlier, interrupted call of the same sweep are continued first, with their values.
    """

    def __init__(self, file: SweepFile, folder: Path):
        try:
            import optuna  # imported here: a grid doesn't need it
        except ImportError as error:
            raise ToolError(f"a search needs the package {error.name}: {install('sweep')}") from None
        assert file.search is not None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._file, self._search = file, file.search
        self.storage = file.search.storage or f"sqlite:///{(folder / STORAGE).absolute()}"
        self.name = STUDY if file.search.storage is None else f"{STUDY} {folder.absolute()}"
        with self._stored():
            optuna.create_study(storage=self.storage, study_name=self.name, load_if_exists=True)
            # opened again, as workers do: a database in memory has no study for them
            self._study = optuna.load_study(storage=self.storage, study_name=self.name)
            # a resumed search mustn't draw the first trials' values again
            seed = self._search.seed + len(self._study.trials)
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self.prunes = file.search.prune
        self._states = optuna.trial.TrialState
        self._reopened = optuna.Trial

    @contextmanager
    def _stored(self) -> Iterator[None]:
        """Context in which Optuna's and SQLAlchemy's many errors become a `PlanError`, such as no driver."""
        try:
            yield
        except Exception as error:
            line = str(error).partition("\n")[0]
            raise PlanError(f"storage {self.storage} can't serve workers: {line}") from None

    def trials(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield the trials to train, up to the number asked for: number, Optuna's identifier, values."""
        with self._stored():
            for old in self._study.get_trials(deepcopy=False, states=(self._states.RUNNING,)):
                trial = self._reopened(self._study, old._trial_id)
                yield old.number, old._trial_id, self._drawn(trial)
            while len(self._study.get_trials(deepcopy=False)) < self._search.trials:
                trial = self._study.ask()
                yield trial.number, trial._trial_id, self._drawn(trial)

    def _drawn(self, trial: "optuna.Trial") -> dict[str, Any]:
        return {key: _value(trial, key, choices) for key, choices in self._file.vary.items()}

    def ended(self, number: int, state: State, percent: float | None) -> None:
        """Record the result of a trial."""
        its = {
            State.DONE: self._states.COMPLETE,
            State.PRUNED: self._states.PRUNED,
            State.FAILED: self._states.FAIL,
        }[state]
        with self._stored():
            self._study.tell(
                number, percent if state is State.DONE else None, state=its, skip_if_finished=True
            )


def _value(trial: "optuna.Trial", key: str, choices: list[Any] | Range) -> Any:
    """Return a trial's value of a key: drawn when it is first asked for, and the same from then on."""
    if isinstance(choices, list):
        known: dict[Any, Any] = {
            each if isinstance(each, int | float | str) else json.dumps(each): each for each in choices
        }
        return known[trial.suggest_categorical(key, list(known))]  # Optuna stores no lists
    low, high, step = choices.low, choices.high, choices.step
    if all(isinstance(x, int) for x in (low, high, step or 1)):
        return trial.suggest_int(key, int(low), int(high), log=choices.log, step=int(step or 1))
    return trial.suggest_float(key, low, high, log=choices.log, step=step)
