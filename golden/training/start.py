"""The parameters that a run begins with: initial weights, and running means of the first images."""

from nudge.golden.contract.spec import Spec
from nudge.golden.model import centring
from nudge.golden.model.batch import train_batch
from nudge.golden.model.parameters import Parameters

from .data import Data
from .plan import Plan


def started(plan: Plan, spec: Spec, data: Data, parameters: Parameters) -> Parameters:
    """Return initial weights with running means of the plan's first `Learning.initial_means` images, neither
    moved nor mirrored; parameters that have means are returned as they are.

    Without them, the first hundred commits would be those of a network that isn't centred, and its rates too
    large. The model computes them, whatever the board.
    """
    count = min(spec.learning.initial_means, plan.samples)
    if not (spec.schedule.centred and count) or any(mean.any() for mean in parameters.means):
        return parameters
    images, labels = data.train_images[:count], data.train_labels[:count]
    found = train_batch(spec, plan.settings(spec)[0], parameters, images, labels)
    return parameters._replace(means=centring.begun(spec, found.updates.means, count))
