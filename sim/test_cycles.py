"""Cycles per sample against boards/baselines/cycles.json, for every preset in it with both kinds of engines.

The file's figures are those of ``nudge bench --preset P --engines E --weights
golden/weights/P-mnist.safetensors``.
"""

import json
from pathlib import Path

import pytest

from nudge.boards.toolchain.report import BASELINES, TOLERANCES
from nudge.boards.virtual.board import VirtualBoard
from nudge.boards.virtual.program import board_program
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training import checkpoint
from nudge.golden.training.data import load
from nudge.host.devices.serial import SerialBoard
from nudge.host.training.bench import bench

COMMITTED: dict[str, dict[str, dict[str, float]]] = json.loads((BASELINES / "cycles.json").read_text())
WEIGHTS = Path(checkpoint.__file__).parents[1] / "weights"
#: The preset that other tests compile too; the others are marked slow.
QUICK = "tiny"
CASES = [(name, engines) for name, kinds in COMMITTED.items() for engines in kinds]


@pytest.mark.parametrize(
    ("name", "engines"),
    [pytest.param(*case, marks=[] if case[0] == QUICK else [pytest.mark.slow]) for case in CASES],
)
def test_no_more_cycles_than_committed(name, engines):
    config = configuration(preset(name), engines)
    parameters = checkpoint.load(WEIGHTS / f"{name}-mnist.safetensors")[1]
    committed = COMMITTED[name][engines]
    program = board_program(config, brief=name != QUICK)
    with VirtualBoard(config, program=program) as virtual, SerialBoard(virtual.url, config.spec) as board:
        result = bench(
            board, config, load("embedded"), config.spec.learning.batch, seed=0, parameters=parameters
        )
    found = {"training": result.cycles_per_training_sample, "inference": result.cycles_per_inference}
    for kind, cycles in found.items():
        where = f"{name}, {engines}, {kind}: {cycles:.1f} cycles, committed {committed[kind]:.1f}"
        assert abs(cycles / committed[kind] - 1) <= TOLERANCES["cycles"], where
