"""A batch has its numbers' images, moved as drawn; a run draws batches ahead if the board takes them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.training.batch import Batch
from nudge.golden.training.board import Ahead, trained
from nudge.golden.training.commits import commits
from nudge.golden.training.epoch import drawn_moves, moved
from nudge.golden.training.loop import train
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard

from .cut_run import DATA, PLAN, SPEC


@pytest.mark.parametrize(("shift", "flip"), [(0, True), (1, False), (3, True), (4, True)])
def test_moves_are_the_draws_of_a_generator_for_each_sample(shift, flip):
    numbers = np.array([7, 3, 900])
    images = DATA.train_images[numbers].numpy()
    made = moved(images, drawn_moves(numbers, shift, flip, 9, 2))
    for n, number in enumerate(numbers):
        random = np.random.Generator(np.random.PCG64([9, 2, number]))
        y, x = random.integers(0, 2 * shift, 2, endpoint=True)
        shown = np.pad(images[n], shift)[y : y + 28, x : x + 28]
        mirrored = flip and random.integers(0, 1, endpoint=True)
        assert np.array_equal(made[n], shown[:, ::-1] if mirrored else shown)


def test_a_batch_is_of_training_or_test_images():
    numbers = np.array([4, 2])
    for test, images, labels in (
        (False, DATA.train_images, DATA.train_labels),
        (True, DATA.test_images, DATA.test_labels),
    ):
        batch = Batch(DATA, numbers, test=test)
        assert np.array_equal(batch.images, images[numbers].numpy())
        assert np.array_equal(batch.labels, labels[numbers].numpy())
        assert len(batch) == 2


class Eager(GoldenBoard):
    """Draws `ahead` batches before it trains the first. most: largest number of batches that waited."""

    def __init__(self, ahead: int):
        super().__init__(configuration(SPEC))
        self.ahead, self.under_way, self.most = ahead, 0, 0

    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        source, waiting = iter(batches), list[Batch]()
        while True:
            while len(waiting) < self.ahead and (batch := next(source, None)) is not None:
                waiting.append(batch)
                self.under_way, self.most = len(waiting), max(self.most, len(waiting))
            if not waiting:
                return
            (predictions,) = trained(self, [waiting.pop(0)])
            self.under_way = len(waiting)
            yield predictions

    def read(self):
        assert not self.under_way, "what is saved is what was counted"
        return super().read()


@pytest.mark.parametrize(("every", "cut"), [(0.0, 4), (60.0, 1), (60.0, 4), (60.0, 99)])
def test_a_board_that_is_told_ahead_is_saved_at_rest(tmp_path, every, cut):
    class After(Stop):
        left = cut

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left <= 0

    plain = Run.begin(PLAN, SPEC, tmp_path / "plain")
    train(plain, GoldenBoard(configuration(SPEC)), DATA, Stop())
    board, run = Eager(3), Run.begin(PLAN, SPEC, tmp_path / "ahead")
    assert isinstance(board, Ahead)
    run.every, run.picture = every, False
    train(run, board, DATA, After())
    assert run.saved == run.done
    if cut < 12:
        assert cut * PLAN.batch - 4 <= run.done < PLAN.epochs * PLAN.samples
        assert board.most == (1 if every == 0 else 3), "nothing is told ahead where a checkpoint is due"
        train(run, board, DATA, Stop())
    ends = [[*run.parameters.weights, *run.parameters.biases] for run in (plain, run)]
    assert all(a.equal(b) for a, b in zip(*ends, strict=True))
    assert [replace(row, seconds=0) for row in plain.rows] == [replace(row, seconds=0) for row in run.rows]


def test_commits_end_where_they_are_told_to():
    answers = [True, False]
    going = lambda: bool(answers) and answers.pop(0)  # noqa: E731
    found = list(commits(PLAN, SPEC, GoldenBoard(configuration(SPEC)), DATA, going=going))
    assert [commit.numbers.tolist() for commit in found] == [batch.tolist() for batch in PLAN.batches(0)][:2]
