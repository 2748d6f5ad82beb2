"""Cycles of a training sample and of an inference, from the spikes of a few samples."""

import math

import numpy as np

from golden.contract import layout
from golden.contract.config import Config
from hw.core.centred_memory import commit_cycles

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
    centred = config.spec.schedule.centred
    commit = max(commit_cycles(config, b) if centred else layout.master_words(config, b) for b in bundles) + 6
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

    In half h the sample of slot h % 2 steps its odd layers, the other one its even layers. An event-driven engine that still
    works on the spikes of a half puts off its own begin of the next one, and thereby the layers that wait for it.
    """
    layers, bundles = config.spec.layers[1:], config.spec.bundles
    drives = {bundle.index: timing.drives(config, bundle) for bundle in bundles}
    windows = {
        bundle.index: [
            (source, timing.Windows(config, bundle, name, in_halves(counted[bundle.index], source)))
            for name, source, counted in (
                ("forward", bundle.pre.index, activity.forward),
                ("backward", bundle.index, activity.backward),
            )
        ]
        for bundle in bundles
        if bundle.index in config.events
    }
    pairs, sweeps = (max(n // d, 1) for n, d in zip(activity.spikes[1].shape[:2], (2, 1), strict=True))
    late = {bundle.index: np.zeros((pairs, 1), np.int64) for bundle in bundles}
    lengths = np.empty((pairs, 2 * sweeps), np.int64)
    for half in range(2 * sweeps):
        ready = {layer.index: np.zeros((pairs, config.words(layer)), np.int64) for layer in layers}
        for bundle in bundles:
            back, there = drives[bundle.index]
            np.maximum(ready[bundle.index], there + late[bundle.index], out=ready[bundle.index])
            if back is not None:
                np.maximum(ready[bundle.pre.index], back + late[bundle.index], out=ready[bundle.pre.index])
        turns = {layer.index: timing.array_words(config, layer, ready[layer.index]) for layer in layers}
        lengths[:, half] = 1 + np.max([timing.array_end(config, of_layer) for of_layer in turns.values()], 0)
        for bundle in bundles:
            if bundle.index not in windows:
                continue
            ends = [of.end(half, timing.spike_times(config, turns[source])) for source, of in windows[bundle.index]]
            begins = lengths[:, half] + timing.engine_start(bundle)
            late[bundle.index] = np.maximum(np.max(ends, 0) - begins, 0)[:, None]
    return lengths


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
