"""Cores too large for any part here, in simulation: predictions of trained weights, one learned image."""

from nudge.golden.contract.config import Config
from nudge.golden.model.batch import infer, train_batch
from nudge.golden.model.difference import first_master
from nudge.golden.model.parameters import Parameters, initial
from nudge.golden.model.settings import Settings
from nudge.hw.core.interface import Operation

from .check import committed
from .driver import CoreDriver, Sample


async def loaded(dut, config: Config, parameters: Parameters) -> CoreDriver:
    """Return the driver of a core with these weights and the network's settings."""
    core = CoreDriver(dut, config)
    await core.start()
    core.configure(Settings.of(config.spec))
    await core.load(parameters)
    return core


async def answers(dut, config: Config, parameters: Parameters, images) -> None:
    """Assert that the core predicts these images as the model does, with as many spikes."""
    core, settings = await loaded(dut, config, parameters), Settings.of(config.spec)
    expected, spikes = infer(config.spec, settings, parameters, images)
    predictions = await core.run([Sample(Operation.INFER, image.numpy(), 0) for image in images])
    assert predictions == expected.tolist(), f"predictions {predictions}, golden has {expected.tolist()}"
    assert core.spikes() == spikes, f"spikes {core.spikes()}, golden has {spikes}"


async def learns(dut, config: Config, image, label) -> None:
    """Assert that one image, (1, ...), gives the model's masters, from initial weights.

    With trained weights the output may be so close to the label that the nudge changes no weight.
    """
    spec, settings, parameters = config.spec, Settings.of(config.spec), initial(config.spec, 1)
    core = await loaded(dut, config, parameters)
    result = train_batch(spec, settings, parameters, image, label)
    predictions = await core.run([Sample(Operation.TRAIN, image[0].numpy(), int(label[0]))])
    assert predictions == result.predictions.tolist()
    assert core.spikes() == result.spikes
    await core.commit()
    trained = committed(spec, parameters, result.updates, 1)
    assert first_master(trained, parameters) is not None, "nothing was learned, so nothing was checked"
    assert (difference := first_master(await core.read(), trained)) is None, f"after training: {difference}"
