"""A run of two batches on the model, for tests of the files in a run's folder."""

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training.data import Source, load
from nudge.golden.training.loop import train
from nudge.golden.training.plan import Plan
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard

SPEC = preset("tiny")
DATA = load("embedded")
PLAN = Plan(
    "tiny",
    Source("embedded"),
    8,
    epochs=2,
    batch=8,
    seed=5,
    lr_scale=1.0,
    beta=0.5,
    free_steps=4,
    nudged_steps=4,
)


def carried_out(run):
    """Train a run to its end, without a picture, and return it."""
    run.picture = False
    train(run, GoldenBoard(configuration(SPEC)), DATA, Stop())
    return run
