# amaranth: UnusedElaboratable=no
"""The core of preset `paper`, with the published widths: inference with trained weights, one learned digit.

Its weights need 25 times the memory of the largest part supported here, so it only runs in simulation, at
half a minute per digit. NUDGE_PAPER=20 sets the number of digits (docs/log/2026-11-30-paper-gateware.md);
without it, the tests are skipped.
"""

import os
from dataclasses import replace
from pathlib import Path

import cocotb
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.model.batch import infer, train_batch
from nudge.golden.model.difference import first_master
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training import checkpoint, data
from nudge.hw.core.core import Core
from nudge.hw.core.interface import Operation

from .check import committed
from .driver import CoreDriver, Sample

DIGITS = int(os.environ.get("NUDGE_PAPER", "0"))

#: More lanes take fewer cycles per digit, but each cycle takes longer to simulate: the digits per hour stay
#: about the same.
LANES = (1, 8, 8, 16, 1)

SPEC = preset("paper")
CONFIG = replace(configuration(replace(SPEC, lanes=()), "line"), lanes=LANES, arrays=LANES)
TOP = Core(CONFIG)


MANY = pytest.mark.skipif(not DIGITS, reason="NUDGE_PAPER isn't set to a number of digits, half a minute each")


async def loaded(dut, parameters, settings):
    """Return the driver of a core with these weights and settings."""
    core = CoreDriver(dut, CONFIG)
    await core.start()
    core.configure(settings)
    await core.load(parameters)
    return core


@cocotb.test()
@MANY
async def answers_as_the_model_does(dut):
    parameters = checkpoint.load(checkpoint.find(Path("paper-mnist")), SPEC)[1]
    settings = Settings.of(SPEC)
    core = await loaded(dut, parameters, settings)
    images = data.load("embedded").test_images[:DIGITS]
    expected, spikes = infer(SPEC, settings, parameters, images)
    predictions = await core.run([Sample(Operation.INFER, image.numpy(), 0) for image in images])
    assert predictions == expected.tolist(), f"predictions {predictions}, golden has {expected.tolist()}"
    assert core.spikes() == spikes, f"spikes {core.spikes()}, golden has {spikes}"


@cocotb.test()
@MANY
async def learns_as_the_model_does(dut):
    """From initial weights, one trained digit gives the model's masters.

    With the trained weights the output is so close to the label that the nudge changes no weight.
    """
    parameters, settings, embedded = initial(SPEC, 1), Settings.of(SPEC), data.load("embedded")
    core = await loaded(dut, parameters, settings)
    image, label = embedded.train_images[:1], embedded.train_labels[:1]
    result = train_batch(SPEC, settings, parameters, image, label)
    predictions = await core.run([Sample(Operation.TRAIN, image[0].numpy(), int(label[0]))])
    assert predictions == result.predictions.tolist()
    assert core.spikes() == result.spikes
    await core.commit()
    trained = committed(SPEC, parameters, result.updates, 1)
    assert first_master(trained, parameters) is not None, "nothing was learned, so nothing was checked"
    assert (difference := first_master(await core.read(), trained)) is None, f"after training: {difference}"
