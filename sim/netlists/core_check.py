"""A core's netlist trains two real digits to the golden model's weights; transitions are counted."""

import json
from pathlib import Path

from nudge.boards.toolchain.wires import KINDS
from nudge.golden.contract.config import Config
from nudge.golden.model.batch import train_batch
from nudge.golden.model.difference import first_master
from nudge.golden.model.parameters import accumulate, commit, initial
from nudge.golden.model.settings import Settings
from nudge.hw.core.interface import Operation
from nudge.plumbing.cache import build_root
from sim.core.whole.check import digits
from sim.core.whole.driver import CoreDriver, Sample

#: Number of samples that are trained, one in each slot.
PAIR = 2


def counts_file(name: str) -> Path:
    """Return the file for the counted transitions, in the build folder."""
    return build_root() / f"transitions-{name}.json"


async def check(dut, config: Config, seed: int):
    """Train a pair on core and model; predictions, spikes, weights and biases must be equal."""
    spec, (images, labels) = config.spec, digits(PAIR)
    parameters, settings = initial(spec, seed), Settings.of(spec)
    core = CoreDriver(dut, config)
    await core.start()
    core.configure(settings)
    await core.load(parameters)
    dut.counting.value = 1
    samples = [
        Sample(Operation.TRAIN, image, int(label)) for image, label in zip(images, labels, strict=True)
    ]
    predictions = await core.run(samples)
    await core.commit()
    dut.counting.value = 0
    await core.edge
    await core.edge
    counts = {kind: int(getattr(dut, f"count_{kind}").value) for kind in KINDS}
    found = {"samples": PAIR, "cycles": int(dut.counted.value), "counts": counts}
    counts_file(spec.name).write_text(json.dumps(found))

    result = train_batch(spec, settings, parameters, images, labels)
    assert predictions == result.predictions.tolist()
    assert core.spikes() == list(result.spikes)
    trained = commit(spec, accumulate(parameters, result.updates))
    assert (difference := first_master(await core.read(), trained)) is None, f"after training: {difference}"
    assert first_master(trained, parameters) is not None, "nothing was learned, so nothing was checked"
    assert all(count > 0 for count in counts.values()), counts
