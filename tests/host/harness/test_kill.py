"""kill -9 of the host, 20 times in one run: the weights are those of a run that nobody disturbed."""

from golden.training import checkpoint
from golden.training.data import load
from golden.training.plan import Plan
from host.harness.soak import undisturbed

from .killing import SPEC, killed_again_and_again


def test_a_run_killed_20_times_ends_with_the_same_bits(tmp_path):
    plan = Plan.of(SPEC, "embedded", 1000, epochs=2, batch=4, seed=2, free_steps=8, nudged_steps=8)
    out = tmp_path / "run"
    alive = killed_again_and_again(out, "golden", plan, kills=20, longest=0.15, seed=1)
    assert alive == 20, "the run ended before it had been killed so often"
    expected = undisturbed(SPEC, plan, load("embedded"))
    _, found, state = checkpoint.load(out / "weights.safetensors")
    assert state.epoch == plan.epochs
    assert all(a.equal(b) for a, b in zip([*found.weights, *found.biases], [*expected.weights, *expected.biases], strict=True))
    assert sorted(path.name for path in out.iterdir()) == ["epochs.csv", "metrics.csv", "weights.safetensors"]
