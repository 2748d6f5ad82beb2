"""A run whose host process is killed 20 times (SIGKILL) ends with the weights of an undisturbed run."""

from contextlib import nullcontext

import pytest

from nudge.golden.model.difference import first_master
from nudge.golden.training import checkpoint
from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.host.devices.open import virtual_board

from .killing import SPEC, killed_again_and_again
from .soak import undisturbed

SHORT = {"free_steps": 8, "nudged_steps": 8}


@pytest.mark.parametrize(
    ("board", "plan", "longest", "least"),
    [
        ("golden", Plan.of(SPEC, "embedded", 1000, epochs=2, batch=4, seed=2, **SHORT), 0.15, 20),
        ("sim", Plan.of(SPEC, "embedded", 160, batch=4, seed=3), 0.5, 15),
    ],
)
def test_a_run_killed_20_times_ends_with_the_same_bits(tmp_path, board, plan, longest, least):
    out = tmp_path / "run"
    with virtual_board(SPEC) if board == "sim" else nullcontext() as virtual:
        alive = killed_again_and_again(
            out, virtual.url if virtual else board, plan, kills=20, longest=longest, seed=1
        )
    assert alive >= least, "the run ended before it had been killed so often"
    _, found, state = checkpoint.load(out / "weights.safetensors")
    assert state.epoch == plan.epochs
    assert first_master(found, undisturbed(SPEC, plan, load("embedded"))) is None
    assert sorted(path.name for path in out.iterdir()) == ["epochs.csv", "metrics.csv", "weights.safetensors"]
