"""A run of twelve batches on the model that may be stopped after any of them, and its saved weights."""

from dataclasses import replace

import torch

from nudge.golden.contract.config import configuration
from nudge.golden.training import checkpoint
from nudge.golden.training.recover import train
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard

from . import small_run
from .small_run import DATA, SPEC

CONFIG = configuration(SPEC)
PLAN = replace(small_run.PLAN, samples=44, free_steps=8, nudged_steps=8)


class After(Stop):
    """Asks for a stop after `batches` batches; the run asks it once after each."""

    def __init__(self, batches: int):
        super().__init__()
        self.left = batches

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def weights(out) -> list[torch.Tensor]:
    _, parameters, _ = checkpoint.load(out / "weights.safetensors")
    return [*parameters.weights, *parameters.biases]


def saved(tmp_path):
    run = Run.begin(replace(PLAN, epochs=1, samples=8), SPEC, tmp_path)
    train(run, GoldenBoard(CONFIG), DATA, Stop())
    return run.weights
