"""Estimate of the cycles of a training sample and of an inference, from the spikes of a few samples."""

import math

import numpy as np

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.core.centred_commit import commit_cycles

from . import compact, timing
from .activity import Activity, Cycles


def estimate(config: Config, activity: Activity, batch: int, arrival: float = 0.0) -> Cycles:
    """Return the cycles per sample with the lanes of `config`, in batches of `batch` samples.

    With two slots two samples step at once, half a sweep apart, so on average a sample takes as many halves
    as it has sweeps; with one slot twice as many. Static drives and updates overlap with the steps, except
    for the first static drive of a batch, its last updates and the commit. arrival: cycles from one image to
    the next, as limited by the link.
    """
    if config.compact:
        return compact.estimate(config, activity, batch)
    return of_halves(config, activity, batch, arrival, *mean_halves(config, activity))


def mean_halves(config: Config, activity: Activity) -> tuple[float, float]:
    """Return the mean cycles of a half of a sweep: in training, and in the free phase alone."""
    halves = half_cycles(config, activity)
    return float(halves.mean()), float(halves[:, : 2 * activity.free].mean())


def of_halves(
    config: Config, activity: Activity, batch: int, arrival: float, length: float, free: float
) -> Cycles:
    """Return the same as `estimate`, for a core with halves. length, free: the results of `mean_halves`."""
    sweeps, bundles = activity.free + 2 * activity.nudged, config.spec.bundles
    static = 1 + timing.image_cycles(config, bundles[0])  # a register in the way of its start
    update = max(timing.update_cycles(config, bundle) for bundle in bundles)
    centred = config.spec.schedule.centred
    commit = max(commit_cycles(config, b) if centred else layout.master_words(config, b) for b in bundles) + 6
    prepare = max(timing.prepare_cycles(config, bundle) for bundle in bundles)

    def of_batch(half: float, steps: int, learns: bool) -> tuple[float, str]:
        """Return the cycles of a batch without commit, and the name of its limit."""
        waits = {"sweeps": 2 * steps * half / config.slots, "static drive": static + 4, "images": arrival}
        if learns:
            waits["update"] = update + 4
        limit = max(waits, key=lambda name: waits[name])
        if limit == "images":
            # each sample is finished before the next arrives, so the last one steps alone, in two halves per
            # sweep, and its update overlaps with nothing
            alone = 2 * steps * half + (update if learns else 0.0)
            return config.spec.input.pixels + 2 + static + (batch - 1) * arrival + alone, limit
        if config.slots == 1:
            more, alone = 0.0, 2 * steps * half
        else:
            # the second sample begins once its static drive is complete; the last of an odd batch steps alone
            apart = (2 * math.ceil((max(static, arrival) / half - 1) / 2) + 1) * half if batch > 1 else 0.0
            more = alone = steps * half if batch % 2 else apart
        tail = update + max(update - alone, 0.0) if learns else 0.0
        return config.spec.input.pixels + 2 + static + batch * waits[limit] + more + tail, limit

    training, limit = of_batch(length, sweeps, True)
    # one sweep more with two slots: the prediction comes too late for the next sample to begin at once
    inference, _ = of_batch(free, activity.free + config.slots - 1, False)
    return Cycles((training + commit + prepare) / batch, inference / batch, length, limit)


def half_cycles(config: Config, activity: Activity) -> np.ndarray:
    """Return the cycles of each half: (pairs of samples that step in antiphase, 2 * sweeps), with one slot
    (samples, 2 * sweeps).

    In half h the sample in slot h % 2 steps its odd layers, the other one its even layers. With one slot an
    array whose layer is idle takes the same cycles. An event or scatter engine that is still processing the
    spikes of the last half begins the next half late, and delays the layers that wait for its drives.
    """
    layers, bundles = config.spec.layers[1:], config.spec.bundles
    drives = {bundle.index: timing.drives(config, bundle) for bundle in bundles}
    windows = {
        bundle.index: [
            (source, of(config, bundle, name, in_halves(counted, source, config.slots)))
            for name, source, of, counted in _sides(config, bundle, activity)
        ]
        for bundle in bundles
        if config.engine(bundle) in ("event", "scatter")
    }
    pairs, sweeps = (
        max(n // d, 1) for n, d in zip(activity.spikes[1].shape[:2], (config.slots, 1), strict=True)
    )
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
        # a register between the arrays' busy lines and the sequencer, and the sequencer's state machine
        lengths[:, half] = 2 + np.max([timing.array_end(of_layer) for of_layer in turns.values()], 0)
        for bundle in bundles:
            if bundle.index not in windows:
                continue
            ends = [of.end(half, timing.spike_times(turns[source])) for source, of in windows[bundle.index]]
            begins = lengths[:, half] + timing.engine_start(bundle)
            late[bundle.index] = np.maximum(np.max(ends, 0) - begins, 0)[:, None]
    return lengths


def _sides(config: Config, bundle: Bundle, activity: Activity) -> list[tuple[str, int, type, np.ndarray]]:
    """Return for each direction: name, index of the source, timing, and the counts that it needs."""
    n, pre = bundle.index, bundle.pre.index
    if config.engine(bundle) == "scatter":
        fired = activity.fired
        return [("forward", pre, timing.Scattered, fired[pre]), ("backward", n, timing.Scattered, fired[n])]
    windows = timing.Windows
    return [("forward", pre, windows, activity.forward[n]), ("backward", n, windows, activity.backward[n])]


def in_halves(counted: np.ndarray, source: int, slots: int) -> np.ndarray:
    """Rearrange a layer's counts by halves.

    counted: (samples, sweeps, ...); with two slots an odd number of samples repeats the last one. source: the
    layer's index. Returns (pairs, 2 * sweeps, ...); with one slot (samples, 2 * sweeps, ...), which is zero
    where the layer is idle.
    """
    if slots == 1:
        alone = np.zeros((len(counted), 2 * counted.shape[1], *counted.shape[2:]), np.int64)
        alone[:, 1 - source % 2 :: 2] = counted
        return alone
    if len(counted) % 2:
        counted = np.concatenate([counted, counted[-1:]])
    sweeps = counted.shape[1]
    half = np.arange(2 * sweeps)
    slot = half % 2 if source % 2 else (half + 1) % 2
    sweep = (half - slot if source % 2 else half - 1 - slot) // 2 % sweeps
    pairs = counted.astype(np.int64).reshape(-1, 2, *counted.shape[1:])
    return pairs[:, slot, sweep]
