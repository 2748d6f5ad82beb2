"""Data of one image that a page steps through sweep by sweep, for host/view/page.js."""

import base64
import zlib
from typing import Any

import numpy as np

from nudge.golden.model.recording import Recording

from .colours import COLOURS, GREY
from .tiles import tiled, weights_picture
from .words import picture

#: Value of the gaps between tiles in a stepper's pictures.
GAP = 0xFFFF

#: Most of the equally large outputs that are named.
LEADING = 3

PHASES = {"free": "free phase", "plus": "nudged phase, +beta", "minus": "nudged phase, -beta"}


def stepped(recording: Recording, names: list[str]) -> dict[str, Any]:
    """Return pictures of each layer and sweep, the outputs' lines, texts, updates. names: of the classes."""
    said = (
        "read rightly"
        if recording.label == recording.prediction
        else f"read as {names[recording.prediction]}"
    )
    moved = (
        f"layer {n}: {(u.weight != 0).sum()} of {u.weight.size}"
        for n, u in enumerate(recording.updates, start=1)
    )
    return {
        "title": f"labelled {names[recording.label or 0]}, {said}",
        "image": picture(recording.image),
        "frames": _frames(recording),
        "lines": _lines(recording, names),
        "says": _sentences(recording, names),
        "updates": {
            f"update-{bundle.index}": _strength(weights_picture(bundle, update.weight))
            for bundle, update in zip(recording.spec.bundles, recording.updates, strict=True)
        },
        "moved": "Weights that this image moves, red up and blue down, each picture by its own largest "
        f"change. {'; '.join(moved)}.",
    }


def _frames(recording: Recording) -> dict[str, str]:
    """Return packed pictures by kind and layer, each with one picture for each sweep of all phases."""
    found = {}
    for n, phases in enumerate(zip(*recording.phases.values(), strict=True), start=1):
        spikes, levels = np.concatenate([phase.spikes for phase in phases]), recording.levels(n).values()
        found[f"spikes-{n}"] = packed(tiled(abs(spikes).astype(np.uint16), GAP))
        found[f"xi-{n}"] = packed(tiled(np.concatenate([*levels]).astype(np.uint16), GAP))
    return found


def packed(values: np.ndarray) -> str:
    """Return values as unsigned 16-bit numbers, little-endian, compressed by zlib, in base 64."""
    return base64.b64encode(zlib.compress(values.astype("<u2").tobytes())).decode()


def _outputs(recording: Recording) -> np.ndarray:
    """Return xi of the outputs in units of 1: (sweeps of all phases, classes)."""
    levels = np.concatenate([*recording.levels(len(recording.spec.bundles)).values()])
    outputs: np.ndarray = levels[:, :, 0, 0] / recording.spec.formats.one
    return outputs


def _lines(recording: Recording, names: list[str]) -> dict[str, list[Any]]:
    """Return the outputs' lines over the sweeps; the label's and the prediction's are highlighted."""
    outputs = _outputs(recording).T
    special = {
        recording.prediction: (" (the prediction)", COLOURS[1]),
        recording.label: (" (the label)", COLOURS[0]),
    }
    marks = [special.get(number, ("", GREY)) for number in range(len(names))]
    return {
        "xs": [list(range(outputs.shape[1]))] * len(names),
        "ys": outputs.tolist(),
        "name": [name + mark for name, (mark, _) in zip(names, marks, strict=True)],
        "colour": [colour for _, colour in marks],
        "width": [3 if mark else 1 for mark, _ in marks],
    }


def _sentences(recording: Recording, names: list[str]) -> list[str]:
    """Return a description of each sweep."""
    outputs = _outputs(recording)
    found: list[str] = []
    for phase, layers in recording.phases.items():
        fired = np.stack([np.count_nonzero(layer.spikes, axis=(1, 2, 3)) for layer in layers], axis=1)
        for t, counts in enumerate(fired):
            values = outputs[len(found)]
            leads = f"{listed(values, names)} at {values.max():.2f}" if values.max() else "none"
            spikes = ", ".join(f"layer {n}: {count}" for n, count in enumerate(counts, start=1))
            found.append(
                f"{PHASES[phase]}, sweep {t + 1} of {len(fired)}. Spikes in {spikes}. Largest output: "
                f"{leads}."
            )
    return found


def listed(values: np.ndarray, names: list[str]) -> str:
    """Return the names of the largest outputs, `LEADING` at most, and the number of the others."""
    first = [names[i] for i in np.flatnonzero(values == values.max())]
    others = [f"{len(first) - LEADING} others"] if len(first) > LEADING else []
    return " and ".join(first[:LEADING] + others)


def _strength(update: np.ndarray) -> list[float | None]:
    """Return each weight's update divided by the largest, -1 to 1; None, for JSON, in gaps (nan)."""
    most = max(1.0, float(np.nanmax(np.abs(update))))
    return [None if x != x else x for x in np.round(update / most, 4).ravel().tolist()]
