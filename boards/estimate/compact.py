"""Estimate of the compact core's cycles, from the table in `hw.compact.program`."""

import numpy as np

from nudge.golden.contract.config import Config
from nudge.hw.compact.memory_map import BOX_ROWS, BOX_STRIDE

from .activity import Activity, Cycles


def estimate(config: Config, activity: Activity, batch: int) -> Cycles:
    """Return the cycles per sample: the core processes one sample, one neuron and one synapse at a time."""
    spec = config.spec
    image, dense = spec.bundles
    first, outputs = spec.layers[1].neurons, spec.layers[2].neurons
    positions, window = spec.layers[1].positions, spec.schedule.window
    free, nudged = activity.free, activity.nudged
    static = 2 * BOX_ROWS * BOX_STRIDE + 1 + first * (image.kernel**2 + 3)
    fired, spiking = activity.spikes[1].astype(np.int64), activity.spikes[2].astype(np.int64)
    # a neuron of layer 1 takes a cycle per output that spiked in the preceding sweep; the second nudged phase
    # starts from the end of the free phase again
    before = np.concatenate([np.zeros_like(spiking[:, :1]), spiking[:, :-1]], 1)
    before[:, free + nudged] = spiking[:, free - 1]
    # sweep: its start, neurons of layer 1, backward and forward synapses, outputs; summed: the averaging
    # window, and the start of the phase
    sweep = 4 + 3 * first + first * before + outputs * fired + 5 * outputs
    summed = window * (first + outputs) + 1
    inference = static + 2 + sweep[:, :free].sum(1).mean() + summed
    learn = (image.weights + image.post.channels) * (positions + 5) + 2 * dense.weights + 5 + 6 * outputs + 2
    training = static + 2 + sweep.sum(1).mean() + 3 * summed + learn + 1
    return Cycles(
        training + 2 * spec.parameters / batch, inference, 0.0, "neurons and synapses, one at a time"
    )
