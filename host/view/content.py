"""The content of a page as plain data: tables, pictures and texts by name. It also updates an open page."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from nudge.golden.contract.spec import Spec
from nudge.golden.training.metrics import drawable, sliding_error

from . import words
from .compared import compared
from .folder import DRAWN, Folder
from .look import Look, histogram
from .steps import stepped
from .tiles import weights_picture

#: Most points of a curve; from more, an evenly spaced subset is shown.
POINTS = 1500

#: Number of parts of a run, over each of which the rate is averaged.
RATES = 60


@dataclass
class Content:
    """All content by name; a name ends with the number of its run, from 0."""

    #: Columns of the data drawn as points, lines and rectangles.
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    #: Data drawn as pictures, the first row at the top.
    images: dict[str, np.ndarray] = field(default_factory=dict)
    #: HTML of elements, by their ids.
    texts: dict[str, str] = field(default_factory=dict)
    #: Images of each run's stepper, for host/view/page.js.
    steps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def content(runs: list[tuple[Folder, Look]]) -> Content:
    """Return the content of the page of several runs."""
    made = Content()
    made.texts["progress"] = words.progress([folder for folder, _ in runs])
    made.texts |= {f"rows-{number}": table.body for number, table in enumerate(compared(runs))}
    for number, (folder, seen) in enumerate(runs[:DRAWN]):
        _learning(made, number, folder, seen)
        _weights(made, number, folder.spec, seen)
        texts = {
            "headline": words.headline(folder, seen),
            "facts": words.facts(folder),
            "confusion": words.confusion(folder, seen),
            "misread": words.misread(folder, seen),
            "counters": words.counters(folder),
            "epochs": words.epochs(folder),
            "nosteps": words.escape(seen.no_steps),
        }
        made.texts |= {f"{name}-{number}": text for name, text in texts.items()}
        made.steps[f"steps-{number}"] = [stepped(recording, folder.class_names) for recording in seen.steps]
    return made


def _learning(made: Content, number: int, folder: Folder, seen: Look) -> None:
    """Add errors, rate and firing of a run: curves over the training samples, firing by layer."""
    window, samples, percent = sliding_error(folder.rows)
    at = evenly(len(samples), POINTS)
    made.tables[f"error-{number}"] = {
        "samples": [samples[i] for i in at],
        "percent": drawable((percent[i] for i in at), window),
    }
    ends = folder.epochs
    made.tables[f"trained-{number}"] = {
        "samples": [end.samples for end in ends],
        "percent": drawable((end.training_error_percent for end in ends), window),
    }
    tried = {end.samples: end.held_out_error_percent for end in ends}
    held_out = {at: error for at, error in tried.items() if error is not None}
    made.tables[f"held-{number}"] = {
        "samples": list(held_out),
        "percent": drawable(held_out.values(), window),
    }
    tested = seen.evaluation
    errors = [] if tested is None else drawable([tested.error_percent], tested.samples)
    made.tables[f"tested-{number}"] = {"samples": [folder.saved][: len(errors)], "percent": errors}
    made.tables[f"rate-{number}"] = _rate(folder, samples)
    firing = [100 * share for share in seen.firing]
    made.tables[f"firing-{number}"] = {
        "layer": [f"layer {n}" for n in range(1, len(firing) + 1)],
        "percent": firing,
    }


def evenly(count: int, most: int) -> list[int]:
    """Return at most `most` of 0..count-1, evenly spaced, with the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist() if count else []


def _rate(folder: Folder, samples: list[int]) -> dict[str, list[Any]]:
    """Return the samples a second over equal parts of the run."""
    marks = evenly(len(samples), RATES + 1)
    found: dict[str, list[Any]] = {"samples": [], "rate": []}
    for first, last in pairwise(marks):
        seconds = folder.rows[last].seconds - folder.rows[first].seconds
        if seconds > 0:
            found["samples"].append(samples[last])
            found["rate"].append((samples[last] - samples[first]) / seconds)
    return found


def _weights(made: Content, number: int, spec: Spec, seen: Look) -> None:
    """Add pictures of the first layer's weights, and histograms of all layers' weights."""
    for name, weights in (("before", seen.before), ("now", seen.now)):
        made.images[f"kernels-{name}-{number}"] = np.round(weights_picture(spec.bundles[0], weights[0]), 4)
    for n, (before, now) in enumerate(zip(seen.before, seen.now, strict=True), start=1):
        edges, share = histogram(now)
        _, start = histogram(before)
        middle = ((edges[1:] + edges[:-1]) / 2).tolist()
        made.tables[f"histogram-{n}-{number}"] = {
            "weight": middle,
            "now": share.tolist(),
            "before": start.tolist(),
        }
