# amaranth: UnusedElaboratable=no
"""The core of preset `cifar-wide`: 20 images of CIFAR-10's test set with trained weights, one learned image.

No part supported here holds its weights twice, so it only runs in simulation. NUDGE_CIFAR names the arrays
(docs/cifar.md); without it, the tests are skipped.
"""

import os
from dataclasses import replace
from pathlib import Path

import cocotb
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training import checkpoint, data
from nudge.hw.core.core import Core

from . import large

IMAGES, PLACE = 20, os.environ.get("NUDGE_CIFAR", "")
LANES = (1, 4, 8, 8, 1)

SPEC = preset("cifar-wide")
CONFIG = replace(configuration(replace(SPEC, lanes=()), "line"), lanes=LANES, arrays=LANES)
TOP = Core(CONFIG)

GIVEN = pytest.mark.skipif(not PLACE, reason="NUDGE_CIFAR isn't set to CIFAR-10's arrays")


@cocotb.test()
@GIVEN
async def answers_as_the_model_does(dut):
    parameters = checkpoint.load(checkpoint.find(Path("cifar-wide-cifar10")), SPEC)[1]
    await large.answers(dut, CONFIG, parameters, data.load(PLACE, shown=SPEC.input).test_images[:IMAGES])


@cocotb.test()
@GIVEN
async def learns_as_the_model_does(dut):
    found = data.load(PLACE, shown=SPEC.input)
    await large.learns(dut, CONFIG, found.train_images[:1], found.train_labels[:1])
