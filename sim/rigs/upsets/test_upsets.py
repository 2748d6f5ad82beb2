"""A flipped bit in a memory of weights is noticed or has no effect; an unnoticed error is reported."""

import pytest

from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.config import ENGINES, configuration
from nudge.golden.contract.presets import preset
from nudge.golden.model.parameters import initial
from nudge.golden.training.data import load

from .cases import BATCH, DIGEST, NOTHING, SILENT, WEIGHTS, Cases, Outcome, Upset, draw, kind_of


@pytest.fixture(scope="module")
def cases():
    with VirtualBoard(configuration(preset("tiny"), ENGINES[0])) as virtual:
        yield Cases(virtual, load("embedded"))


def test_upsets_of_weights(cases):
    assert cases.run(None) == Outcome(NOTHING)
    sizes = cases.virtual.memories
    assert {kind_of(name) for name in sizes} >= set(WEIGHTS)
    # a wrong master is noticed by the digest after its commit
    master = Upset("masters", "core.weights_1.memory.master.words", 0, 7, None)
    assert cases.run(master) == Outcome(DIGEST, 2, BATCH, cured=True)
    # a commit overwrites the working weights and biases
    for name in (
        "core.weights_1.memory.working.words",
        "core.weights_2.memory.working.words",
        "core.array_1.bias.words",
    ):
        for bit in (0, sizes[name][1] - 1):
            assert cases.run(Upset("working weights", name, 0, bit, None)) == Outcome(NOTHING), name
    drawn = [upset for upset in draw(sizes, 36, 1) if upset.kind in WEIGHTS]
    assert len(drawn) == 9
    assert SILENT not in {cases.run(upset).ending for upset in drawn}
    # wrong weights at the end of a run, with right digests, count as unnoticed
    wrong = [tensor.tolist() for part in initial(cases.spec, 2) for tensor in part]
    cases.expected = [(way, batch, wrong if way == SILENT else right) for way, batch, right in cases.expected]
    assert cases.run(None) == Outcome(SILENT)
