"""Cycles of a training sample and of an inference, from the spikes of a few samples."""

import math

import numpy as np

from golden.contract import layout
from golden.contract.config import Config

from . import compact, timing
from .activity import Activity, Cycles


def estimate(config: Config, activity: Activity, batch: int, arrival: float = 0.0) -> Cycles:
    """Cycles with the lanes of `config`, in batches of so many samples.

    Two samples step at once, each half a sweep, so a sample takes as many halves as it has sweeps; static drives and updates
    are made beside them. The first static drive of a batch, its last updates and the commit have nothing beside them.
    arrival: cycles from one image to the next, as the link brings them.
    """
    if config.compact:
        return compact.estimate(config, activity, batch)
    return of_halves(config, activity, batch, arrival, *mean_halves(config, activity))


def mean_halves(config: Config, activity: Activity) -> tuple[float, float]:
    """Cycles of a half of a sweep in training, and in the free phase alone."""
    halves = half_cycles(config, activity)
    return float(halves.mean()), float(halves[:, : 2 * activity.free].mean())


def of_halves(config: Config, activity: Activity, batch: int, arrival: float, length: float, free: float) -> Cycles:
    """The same as `estimate`, of these `mean_halves`."""
    sweeps, bundles = activity.free + 2 * activity.nudged, config.spec.bundles
    static = timing.image_cycles(config, bundles[0])
    update = max(timing.update_cycles(config, bundle) for bundle in bundles)
    commit = max(layout.master_words(config, bundle) for bundle in bundles) + 6
    prepare = max((timing.event_engine(config, b)[1].cycles + 2 for b in bundles if b.index in config.events), default=0)

    def of_batch(half: float, steps: int, learns: bool) -> tuple[float, str]:
        """Cycles of all samples, and what limits them."""
        waits = {"sweeps": steps * half, "static drive": static + 4, "images": arrival}
        if learns:
            waits["update"] = update + 4
        limit = max(waits, key=lambda name: waits[name])
        if limit == "images":
            # samples are done as they come, so the last one steps alone, in two halves a sweep, and so is its update
            alone = 2 * steps * half + (update if learns else 0.0)
            return config.spec.input.pixels + 2 + static + (batch - 1) * arrival + alone, limit
        # the second sample begins once its drive is there; with an odd number the last one steps alone
        apart = (2 * math.ceil((max(static, arrival) / half - 1) / 2) + 1) * half if batch > 1 else 0.0
        alone = steps * half if batch % 2 else apart
        tail = update + max(update - alone, 0.0) if learns else 0.0
        return config.spec.input.pixels + 2 + static + batch * waits[limit] + alone + tail, limit

    training, limit = of_batch(length, sweeps, True)
    # its prediction comes too late for the next one to begin at once
    inference, _ = of_batch(free, activity.free + 1, False)
    return Cycles((training + commit + prepare) / batch, inference / batch, length, limit)


def half_cycles(config: Config, activity: Activity) -> np.ndarray:
    """Cycles of the halves in which two samples step in antiphase: (pairs of samples, 2 * sweeps).

    In half h the sample of slot h % 2 steps its odd layers, the other one its even layers.
    """
    spec = config.spec
    below, above = {}, {}
    for bundle in spec.bundles:
        back, there = timing.drives(config, bundle)
        below[bundle.index] = there
        if back is not None:
            above[bundle.pre.index] = back
    last_turns = {
        layer.index: timing.array_words(config, layer, np.maximum(below[layer.index], above.get(layer.index, 0)))
        for layer in spec.layers[1:]
    }
    pairs, sweeps = (max(n // d, 1) for n, d in zip(activity.spikes[1].shape[:2], (2, 1), strict=True))
    end = np.full((pairs, 2 * sweeps), max(timing.array_end(turns) for turns in last_turns.values()))
    for bundle in spec.bundles:
        if bundle.index not in config.events:
            continue
        for name, source, counted in (
            ("forward", bundle.pre.index, activity.forward[bundle.index]),
            ("backward", bundle.index, activity.backward[bundle.index]),
        ):
            busiest = in_halves(counted, source)
            spikes = timing.spike_times(last_turns[source])
            flat = busiest.reshape(-1, busiest.shape[-1])
            done = timing.windows_end(config, bundle, name, spikes, flat)
            end = np.maximum(end, done.reshape(end.shape))
    return end + 1


def in_halves(counted: np.ndarray, source: int) -> np.ndarray:
    """What is counted of a layer in each sweep of each sample, by the halves in which two samples step in antiphase."""
    if len(counted) % 2:
        counted = np.concatenate([counted, counted[-1:]])
    sweeps = counted.shape[1]
    half = np.arange(2 * sweeps)
    slot = half % 2 if source % 2 else (half + 1) % 2
    sweep = (half - slot if source % 2 else half - 1 - slot) // 2 % sweeps
    pairs = counted.astype(np.int64).reshape(-1, 2, *counted.shape[1:])
    return pairs[:, slot, sweep]
