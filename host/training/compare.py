"""Compares a board with the golden model in lockstep: every prediction, weight, bias and spike counter."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nudge.golden.model.difference import Part, first_difference, master_parts
from nudge.golden.model.parameters import Parameters, initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.batch import Batch
from nudge.golden.training.data import Data
from nudge.golden.training.plan import Plan
from nudge.host.devices.golden import GoldenBoard
from nudge.host.devices.held import Held
from nudge.host.devices.interface import OpenBoard
from nudge.plumbing.errors import ComparisonError, UsageError
from nudge.plumbing.progress import Meter


def check(parts: list[Part]) -> int:
    """Compare a board's values with the golden model's, and return the number of values.

    `ComparisonError` names the first that differs, with the number of all that do.
    """
    if (difference := first_difference(parts)) is not None:
        raise ComparisonError(difference.text("board", "golden"))
    return sum(np.asarray(golden).size for _, _, golden in parts)


def verify(board: OpenBoard, parameters: Parameters) -> None:
    """Compare the digests of a board's weights with those of `parameters`.

    `ComparisonError` names the first weight that differs.
    """
    golden = GoldenBoard(board.config)
    golden.load(parameters)
    if board.digest() != golden.digest():
        check(master_parts(board.read(), golden.read()))
        raise ComparisonError(
            f"digests {board.digest()}, golden {golden.digest()}, though all weights read equal"
        )


@dataclass(frozen=True)
class Comparison:
    """Numbers of values that were compared and are equal."""

    weights: int
    predictions: int
    counters: int

    @property
    def compared(self) -> int:
        return self.weights + self.predictions + self.counters


class Twin(OpenBoard):
    """A board and the golden model in lockstep, with the interface of a board.

    `train` and `infer` compare predictions, `commit` the digest of every bundle (all weights if one differs),
    `read` every weight and bias. The first difference raises `ComparisonError`.
    """

    def __init__(self, board: OpenBoard):
        self.board, self.spec, self.config, self.name = board, board.spec, board.config, board.name
        self.golden = GoldenBoard(board.config)
        self.predictions = self.commits = 0
        self._spikes = self._read_spikes(board)

    def write_settings(self, settings: Settings) -> None:
        self.board.write_settings(settings)
        self.golden.write_settings(settings)

    def load(self, parameters: Parameters) -> None:
        self.board.load(parameters)
        self.golden.load(parameters)

    def train(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self._predictions(self.board.train(images, labels), self.golden.train(images, labels))

    def infer(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self._predictions(self.board.infer(images, labels), self.golden.infer(images, labels))

    def hold(self, data: Data, train: int, test: bool = False) -> Held | None:
        return self.board.hold(data, train, test)

    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        for batch in batches:
            (predictions,) = self.board.train_batches([batch])
            self._predictions(predictions, self.golden.train(batch.images, batch.labels))
            self.golden.commit()
            self._compare_digests()
            yield predictions

    def infer_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        for batch in batches:
            (predictions,) = self.board.infer_batches([batch])
            yield self._predictions(predictions, self.golden.infer(batch.images, batch.labels))

    def _predictions(self, board: np.ndarray, golden: np.ndarray) -> np.ndarray:
        self.predictions += check([(f"after {self.predictions} equal ones, prediction", board, golden)])
        return board

    def commit(self) -> int:
        committed = self.board.commit()
        check([("number of samples committed", committed, self.golden.commit())])
        self._compare_digests()
        return committed

    def _compare_digests(self) -> None:
        self.commits += 1
        board, golden = self.board.digest(), self.golden.digest()
        if board != golden:
            self.read()  # raises with the weight's name
            raise ComparisonError(
                f"commit {self.commits}: digests {board}, golden {golden}, though all weights read equal"
            )

    def read(self) -> Parameters:
        board, golden = self.board.read(), self.golden.read()
        try:
            check(master_parts(board, golden))
        except ComparisonError as error:
            raise ComparisonError(f"after commit {self.commits}: {error}") from None
        return board

    def digest(self) -> tuple[int, ...]:
        return self.board.digest()

    def registers(self) -> dict[str, int]:
        return self.board.registers()

    def clear(self) -> None:
        self.board.clear()
        self.golden.clear()
        self._spikes = [0] * len(self._spikes)

    def close(self) -> None:
        self.board.close()

    def _read_spikes(self, board: OpenBoard) -> list[int]:
        values = board.registers()
        return [values[f"spikes_{layer.index}"] for layer in self.spec.layers[1:]]

    def finish(self) -> Comparison:
        """Compare every weight and bias, and the spikes of each layer since the twin was created."""
        self.read()
        new = [
            (now - before) % 2**32
            for now, before in zip(self._read_spikes(self.board), self._spikes, strict=True)
        ]
        pairs = enumerate(zip(new, self._read_spikes(self.golden), strict=True), 1)
        counters = check([(f"spikes of layer {n}", ours, golden) for n, (ours, golden) in pairs])
        return Comparison(self.spec.parameters, self.predictions, counters)


def compare(
    board: OpenBoard,
    plan: Plan,
    data: Data,
    *,
    stored: bool = False,
    parameters: Parameters | None = None,
) -> Comparison:
    """Train `plan` on the board and on the golden model, and compare them.

    parameters: initial weights, None for those of the plan's seed. stored: train twice, from the board's
    memory and streamed, each compared with the model; `UsageError` if the memory can't hold the samples.
    Raises `ComparisonError` at the first difference.
    """
    twin, begun = Twin(board), initial(board.spec, plan.seed) if parameters is None else parameters
    held = twin.hold(data, plan.samples) if stored else None
    if stored and held is None:
        raise UsageError(f"--stored: {board.name} has no memory for samples, or too little")
    with Meter("comparing", plan.epochs * plan.samples * (2 if stored else 1)) as meter:
        if held is not None:
            masters = _train(twin, begun, plan, data, meter, held)
        streamed = _train(twin, begun, plan, data, meter, None)
        if held is not None:
            check(master_parts(masters, streamed))
    return twin.finish()


def _train(
    twin: Twin, begun: Parameters, plan: Plan, data: Data, meter: Meter, held: Held | None
) -> Parameters:
    """Train from `begun` and return the masters at the end. held: the stored samples; None to stream."""
    settings = plan.settings(twin.spec)
    twin.load(begun)
    for epoch in range(plan.epochs):
        twin.write_settings(settings[epoch])
        batches = [plan.batch_of(data, epoch, numbers) for numbers in plan.batches(epoch)]
        for i, batch in enumerate(batches):
            if held is None:
                twin.train(batch.images, batch.labels)
                twin.commit()
            elif held.asked(batch) is None:
                raise ComparisonError(
                    f"epoch {epoch}, batch {i}: its samples aren't those in the board's memory"
                )
            else:
                list(twin.train_batches([batch]))
            meter.advance(len(batch))
    return twin.read()
