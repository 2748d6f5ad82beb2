"""A board compared with the model: the first difference is named, in any quantity."""

from dataclasses import replace

import numpy as np
import pytest

from nudge.golden.training.recover import train
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard
from nudge.host.training.compare import Twin, check, compare
from nudge.plumbing.errors import ComparisonError
from tests.golden.training.cut_run import CONFIG, DATA, PLAN, SPEC


class Faulty(GoldenBoard):
    """A board with a defect in one quantity."""

    def __init__(self, quantity: str):
        super().__init__(CONFIG)
        self.quantity = quantity

    def train(self, images, labels):
        predictions = super().train(images, labels)
        if self.quantity == "prediction":
            predictions[3] = (predictions[3] + 1) % 10
        if self.quantity == "spikes":
            self.spikes[1] += 1
        return predictions

    def commit(self):
        count = super().commit()
        if self.quantity in ("weight", "bias"):
            masters = self.parameters.weights if self.quantity == "weight" else self.parameters.biases
            masters[1].view(-1)[7] ^= 1
        return count

    def digest(self):
        good = super().digest()
        return (good[0] ^ 1, *good[1:]) if self.quantity == "digest" else good


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        ("prediction", r"after 0 equal ones, prediction 3: board \d, golden \d \(1 of 8"),
        ("weight", r"after commit 1: bundle 2 weight 7 \[0, 7\]: board -?\d+, golden -?\d+ \(1 of 6810"),
        ("bias", r"after commit 1: bundle 2 bias 7: board -?\d+, golden -?\d+ \(1 of 6810"),
        ("spikes", r"spikes of layer 2: board \d+, golden \d+ \(1 of 2"),
        ("digest", r"commit 1: digests \(.*\), golden \(.*\), though all weights read equal"),
    ],
)
def test_the_twin_names_what_differs(quantity, message):
    with pytest.raises(ComparisonError, match=message):
        compare(Faulty(quantity), replace(PLAN, epochs=1, samples=16), DATA)


def test_a_difference_ends_training(tmp_path):
    with pytest.raises(ComparisonError, match="prediction 3"):
        train(Run.begin(PLAN, SPEC, tmp_path), Twin(Faulty("prediction")), DATA, Stop())


def test_check_counts_all_and_names_the_first():
    golden = np.arange(6).reshape(2, 3)
    assert check([("x", golden.copy(), golden), ("y", golden, golden)]) == 12
    board = golden.copy()
    board[1] += 1
    with pytest.raises(ComparisonError, match=r"^y 3 \[1, 0\]: board 4, golden 3 \(3 of 12 values differ\)$"):
        check([("x", golden, golden), ("y", board, golden)])
