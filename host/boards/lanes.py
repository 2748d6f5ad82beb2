"""Lanes for a network that says none: chosen by the model of area and cycles, from spikes that are counted in the model."""

from dataclasses import replace

from golden.contract.config import ENGINES
from golden.contract.spec import Spec
from golden.model import activity
from golden.model.parameters import Parameters, initial
from golden.model.settings import Settings
from golden.training import data
from plumbing import install
from plumbing.errors import DesignError, ToolError
from plumbing.progress import note

#: Embedded digits whose spikes are counted for the choice.
CHOICE_SAMPLES = 4


def digits_activity(spec: Spec, samples: int, parameters: Parameters | None = None) -> activity.Activity:
    """Spikes of training the first embedded digits, counted in the model. parameters: initial ones of seed 0 if None."""
    digits = data.load("embedded", shown=spec.input)
    parameters = initial(spec, 0) if parameters is None else parameters
    images, labels = digits.train_images[:samples], digits.train_labels[:samples]
    return activity.count(spec, Settings.of(spec), parameters, images, labels)


def with_chosen(
    spec: Spec,
    key: str,
    where: str,
    device: str | None,
    window: int,
    engines: str = ENGINES[0],
    stores: bool = False,
) -> Spec:
    """The network with lanes that are chosen for a part, under `[lanes.KEY]`; unchanged, so with one a layer, if nothing fits.

    where: what a note calls the board. device: the part, as an Amaranth platform says; None: for simulation. window: requests
    in flight. engines: of `golden.contract.config.ENGINES`. stores: whether the board has a memory for samples. `ToolError`
    without Amaranth, which the model of a part needs.
    """
    try:
        # only here: with a board at hand, Amaranth isn't needed
        from boards.estimate.lanes import as_table, chosen
        from boards.estimate.part import SIMULATED, part_of
    except ImportError as error:
        raise ToolError(f"a choice of lanes needs the package {error.name}: {install('sim')}") from None
    try:
        part = SIMULATED if device is None else part_of(device)
        found = chosen(spec, part, digits_activity(spec, CHOICE_SAMPLES), window, engines, stores)
    except DesignError as error:
        note(f"one lane a layer: {error}")
        return spec
    words = ", ".join(f"{name} {value}" for name, value in as_table(found).items())
    note(f"{spec.name} on {where}: chosen {words}")
    return replace(spec, lanes=(*spec.lanes, (key, found)))
