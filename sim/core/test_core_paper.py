# amaranth: UnusedElaboratable=no
"""`paper`, of the published widths, on the gateware: test digits with its trained weights, and a digit that it learns.

Its weights are 25 times what the largest part here holds, so this is simulation alone, and half a minute a digit:
NUDGE_PAPER=20 says how many there are to be (docs/log/2026-11-30-paper-gateware.md).
"""

import os
from dataclasses import replace
from pathlib import Path

import cocotb
import pytest

from golden.contract.config import configuration
from golden.contract.presets import preset
from golden.model.batch import infer, train_batch
from golden.model.difference import first_master
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training import checkpoint, data
from hw.core.core import Core
from hw.core.interface import Operation
from sim.core.check import committed
from sim.core.driver import CoreDriver, Sample

DIGITS = int(os.environ.get("NUDGE_PAPER", "0"))

#: More lanes take fewer cycles, and each of these longer: what is simulated in an hour is about the same.
LANES = (1, 8, 8, 16, 1)

SPEC = preset("paper")
CONFIG = replace(configuration(replace(SPEC, lanes=()), "line"), lanes=LANES, arrays=LANES)
TOP = Core(CONFIG)


MANY = pytest.mark.skipif(not DIGITS, reason="NUDGE_PAPER isn't set to a number of digits, half a minute each")


async def loaded(dut, parameters, settings):
    """A core with these weights and registers."""
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
    """From initial weights: trained ones are so sure of a digit that half a nudge moves nothing, and nothing is learned."""
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
