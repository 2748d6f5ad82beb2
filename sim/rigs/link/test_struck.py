"""A fault flips exactly one bit, and the comparison with the model then fails and names it."""

import re

import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.model.parameters import initial
from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.host.devices.golden import GoldenBoard
from nudge.host.training.compare import compare
from nudge.plumbing.errors import ComparisonError, UsageError

from .struck import Fault, struck

SPEC = preset("tiny")
CONFIG = configuration(SPEC)


@pytest.mark.parametrize("text", ["0:0:0", "3:0:0", "1:40:0", "2:6770:0", "1:0:16", "1:0", "1:0:x", "1:-1:0"])
def test_no_bit_of_a_weight(text):
    with pytest.raises(UsageError, match=r"within 1:0:0\.\.1:39:15, 2:0:0\.\.2:6769:15, not "):
        Fault.parse(text, SPEC)


FAULTS = [
    ("1:0:0", "bundle 1 weight 0 [0, 0, 0, 0]"),
    ("2:1695:15", "bundle 2 weight 1695 [2, 343]"),
    ("2:6769:2", "bundle 2 bias 9"),
]


@pytest.mark.parametrize(("text", "name"), FAULTS)
@pytest.mark.parametrize("board", ["golden", "sim"])
def test_a_comparison_names_a_flipped_bit(board, text, name):
    fault, plan = Fault.parse(text, SPEC), Plan.of(SPEC, "embedded", 24, batch=8, lr_scale=0.25, seed=7)
    with struck(board, SPEC, fault, 1) as device, pytest.raises(ComparisonError) as error:
        compare(device, plan, load("embedded"))
    values = r"board (\S+), golden (\S+) \(1 of 6810 values differ\)"
    found = re.fullmatch(f"after commit 2: {re.escape(name)}: {values}", str(error.value))
    assert found, error.value
    assert (int(found[1]) ^ int(found[2])) & 0xFFFF == 1 << fault.bit


@pytest.mark.parametrize("bit", [0, 14, 15])
def test_a_fault_flips_one_bit(bit):
    board = GoldenBoard(CONFIG)
    board.load(initial(SPEC, 1))
    before = board.read()
    Fault(1, 4, bit).inject(board)
    after = board.read()
    assert (int(before.weights[0].view(-1)[4]) ^ int(after.weights[0].view(-1)[4])) & 0xFFFF == 1 << bit
    pairs = zip(before.weights + before.biases, after.weights + after.biases, strict=True)
    assert sum(int((a != b).sum()) for a, b in pairs) == 1
