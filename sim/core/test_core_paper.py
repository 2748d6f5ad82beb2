# amaranth: UnusedElaboratable=no
"""`paper`, of the published widths, on the gateware: test digits with its trained weights, then a digit that it learns.

Its weights are 25 times what the largest part here holds, so this is simulation alone, and minutes a digit: NUDGE_PAPER=20 says
how many there are to be (docs/log/2026-11-29-paper-gateware.md).
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
from golden.model.settings import Settings
from golden.training import checkpoint, data
from hw.core.core import Core
from hw.core.interface import Operation
from sim.core.driver import CoreDriver, Sample, committed

DIGITS = int(os.environ.get("NUDGE_PAPER", "0"))

#: More lanes take fewer cycles, and each of these longer: what is simulated in an hour is about the same.
LANES = (1, 8, 8, 16, 1)

SPEC = preset("paper")
CONFIG = replace(configuration(replace(SPEC, lanes=()), "line"), lanes=LANES, arrays=LANES)
TOP = Core(CONFIG)


@cocotb.test()
@pytest.mark.skipif(not DIGITS, reason="NUDGE_PAPER isn't set to a number of digits, minutes each")
async def agrees_with_the_model(dut):
    _, parameters, _ = checkpoint.load(checkpoint.find(Path("paper-mnist")), SPEC)
    embedded, settings = data.load("embedded"), Settings.of(SPEC)
    core = CoreDriver(dut, CONFIG)
    await core.start()
    core.configure(settings)
    await core.load(parameters)
    dut._log.info("loaded")
    images, spikes = embedded.test_images[:DIGITS], [0] * len(SPEC.bundles)
    for n, image in enumerate(images):
        expected, more = infer(SPEC, settings, parameters, image[None])
        spikes = [total + new for total, new in zip(spikes, more, strict=True)]
        predictions = await core.run([Sample(Operation.INFER, image.numpy(), 0)])
        assert predictions == expected.tolist(), f"digit {n}: prediction {predictions}, golden has {expected.tolist()}"
        assert core.spikes() == spikes, f"digit {n}: spikes {core.spikes()}, golden has {spikes}"
        dut._log.info(f"digit {n} of {DIGITS}: {predictions}, label {int(embedded.test_labels[n])}, spikes {spikes}")

    image, label = embedded.train_images[:1], embedded.train_labels[:1]
    result = train_batch(SPEC, settings, parameters, image, label)
    predictions = await core.run([Sample(Operation.TRAIN, image[0].numpy(), int(label[0]))])
    assert predictions == result.predictions.tolist()
    await core.commit()
    dut._log.info("trained")
    trained = committed(SPEC, parameters, result.updates, 1)
    assert first_master(trained, parameters) is not None, "nothing was learned, so nothing was checked"
    assert (difference := first_master(await core.read(), trained)) is None, f"after training: {difference}"
