"""Chooses lanes for a network whose file gives none, by the estimate of area and cycles.

The golden model counts the spikes that the cycles of event engines depend on.
"""

from dataclasses import replace

from nudge.golden.contract.config import ENGINES
from nudge.golden.contract.spec import Spec
from nudge.golden.model import activity
from nudge.golden.model.parameters import Parameters, initial
from nudge.golden.model.settings import Settings
from nudge.golden.training import data
from nudge.plumbing import install
from nudge.plumbing.errors import DesignError, ToolError
from nudge.plumbing.progress import note

#: Number of embedded digits whose spikes are counted for the choice.
CHOICE_SAMPLES = 4


def digits_activity(spec: Spec, samples: int, parameters: Parameters | None = None) -> activity.Activity:
    """Count the spikes of training on the first `samples` embedded digits, in the golden model.

    parameters: None for the initial ones of seed 0.
    """
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
    """Return the network with lanes chosen for a part, under `[lanes.KEY]`.

    If nothing fits, they are those of the design that comes closest (`Search.closest`); for an unknown part
    the network is returned unchanged, with one lane a layer. where: the board's name in the note. device: the
    part, by the name of an Amaranth platform's `device`; None for simulation. window: requests in flight.
    engines: one of `golden.contract.config.ENGINES`. stores: whether the board has a memory for samples.
    Raises `ToolError` without Amaranth, which the estimate needs.
    """
    try:
        # imported here, as real boards need no Amaranth
        from nudge.boards.estimate.lanes import Search, as_table, lanes_of
        from nudge.boards.estimate.part import SIMULATED, part_of
    except ImportError as error:
        raise ToolError(f"a choice of lanes needs the package {error.name}: {install('sim')}") from None
    try:
        part = SIMULATED if device is None else part_of(device)
    except DesignError as error:
        note(f"one lane a layer: {error}")
        return spec
    search = Search(spec, part, digits_activity(spec, CHOICE_SAMPLES), window, engines, stores)
    try:
        found = lanes_of(search.best())
    except DesignError as error:
        note(str(error))
        found = lanes_of(search.closest())
    words = ", ".join(f"{name} {value}" for name, value in as_table(found).items())
    note(f"{spec.name} on {where}: chosen {words}")
    return replace(spec, lanes=(*spec.lanes, (key, found)))
