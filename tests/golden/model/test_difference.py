"""The text of a first difference has its place, both values, and the number of values that differ."""

import numpy as np
import pytest
import torch

from nudge.golden.contract.presets import preset
from nudge.golden.model.difference import first_difference, first_master
from nudge.golden.model.parameters import initial


def test_equal_parts_have_none():
    assert first_difference([]) is None
    assert (
        first_difference([("x", np.arange(6).reshape(2, 3), torch.arange(6).reshape(2, 3)), ("n", 3, 3)])
        is None
    )


@pytest.mark.parametrize(
    ("found", "wanted", "axes", "text"),
    [
        ([[0, 1], [9, 8]], [[0, 1], [2, 3]], (), "x 2 [1, 0]: got 9, expected 2 (2 of 4 values differ)"),
        ([0, 1, 9, 8], [[0, 1], [2, 3]], (), "x 2 [1, 0]: got 9, expected 2 (2 of 4 values differ)"),
        (
            [[0, 1], [2, 8]],
            [[0, 1], [2, 3]],
            ("word", "lane"),
            "x, word 1, lane 1: got 8, expected 3 (1 of 4 values differ)",
        ),
        ([5, 6], [5, 7], (), "x 1: got 6, expected 7 (1 of 2 values differ)"),
        (4, 3, (), "x: got 4, expected 3 (1 of 1 values differ)"),
        ([1 << 70], [1], (), f"x 0: got {1 << 70}, expected 1 (1 of 1 values differ)"),
    ],
)
def test_the_first_difference_in_words(found, wanted, axes, text):
    difference = first_difference([("x", found, wanted)])
    assert difference is not None
    assert difference.text("got", "expected", axes) == text


def test_parts_are_counted_together():
    difference = first_difference([("a", [1, 2], [1, 2]), ("b", [1, 3], [1, 2]), ("c", [0], [1])])
    assert str(difference) == "b 1: got 3, expected 2 (2 of 5 values differ)"


def test_the_first_master_is_named():
    wanted = initial(preset("tiny"), 1)
    assert first_master(wanted, wanted) is None
    bias = wanted.biases[0].clone()
    bias[2] += 1
    found = wanted._replace(biases=(bias, *wanted.biases[1:]))
    size = preset("tiny").parameters
    assert (
        str(first_master(found, wanted)) == f"bundle 1 bias 2: got 1, expected 0 (1 of {size} values differ)"
    )
