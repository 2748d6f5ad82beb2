"""What a page says: tables, pictures and texts by name, as plain data. A page that is open is brought up to date by them."""

import base64
import html
import zlib
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from golden.contract.registers import MAX_BUNDLES, registers
from golden.contract.spec import CLASSES, IMAGE_SIDE
from golden.model.recording import Recording
from golden.training.metrics import drawable, sliding_error

from .folder import Folder
from .look import SHOWN, Look, histogram
from .tiles import matrix, tiled

#: Points of a curve at most; of more, evenly chosen ones are shown.
POINTS = 1500

#: Parts of a run that its rate is averaged over.
RATES = 60

#: Digits in a row of the misread ones.
COLUMNS = 6

#: Gaps between tiles, in the numbers of a stepper's pictures.
GAP = 0xFFFF

PHASES = {"free": "free phase", "plus": "nudged phase, +beta", "minus": "nudged phase, -beta"}


@dataclass
class Content:
    """Everything by name; a name ends with the number of its run, from 0."""

    #: Columns of what is drawn as points, lines and rectangles.
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    #: What is drawn as pictures, the first row at the top.
    images: dict[str, np.ndarray] = field(default_factory=dict)
    #: HTML of the elements with these ids.
    texts: dict[str, str] = field(default_factory=dict)
    #: Of each run: the digits of its stepper, for host/view/page.js.
    steps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def content(runs: list[tuple[Folder, Look]]) -> Content:
    """All of several runs."""
    made = Content()
    for number, (folder, seen) in enumerate(runs):
        _learning(made, number, folder, seen)
        _weights(made, number, seen)
        _answers(made, number, seen)
        made.texts[f"facts-{number}"] = _facts(folder, seen)
        made.texts[f"counters-{number}"] = _counters(folder)
        made.texts[f"epochs-{number}"] = _epochs(folder)
        made.texts[f"nosteps-{number}"] = html.escape(seen.no_steps)
        made.steps[f"steps-{number}"] = [_digit(recording) for recording in seen.steps]
    return made


def _learning(made: Content, number: int, folder: Folder, seen: Look) -> None:
    """Errors and rate over the samples."""
    window, samples, percent = sliding_error(folder.rows)
    at = _evenly(len(samples), POINTS)
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
    made.tables[f"held-{number}"] = {"samples": list(held_out), "percent": drawable(held_out.values(), window)}
    tested = seen.evaluation
    errors = [] if tested is None else drawable([tested.error_percent], tested.samples)
    saved = folder.found.epoch * folder.plan.samples + folder.found.position
    made.tables[f"tested-{number}"] = {"samples": [saved][: len(errors)], "percent": errors}
    made.tables[f"rate-{number}"] = _rate(folder, samples)
    firing = [100 * share for share in seen.firing]
    made.tables[f"firing-{number}"] = {"layer": [f"layer {n}" for n in range(1, len(firing) + 1)], "percent": firing}


def _evenly(count: int, most: int) -> list[int]:
    """At most so many of 0..count-1, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist() if count else []


def _rate(folder: Folder, samples: list[int]) -> dict[str, list[Any]]:
    """Samples a second, over equal parts of the run."""
    marks = _evenly(len(samples), RATES + 1)
    found: dict[str, list[Any]] = {"samples": [], "rate": []}
    for first, last in pairwise(marks):
        seconds = folder.rows[last].seconds - folder.rows[first].seconds
        if seconds > 0:
            found["samples"].append(samples[last])
            found["rate"].append((samples[last] - samples[first]) / seconds)
    return found


def _weights(made: Content, number: int, seen: Look) -> None:
    """Kernels of the first layer, and histograms of all."""
    for name, weights in (("before", seen.before), ("now", seen.now)):
        made.images[f"kernels-{name}-{number}"] = tiled(weights[0][:, 0].astype(np.float32), np.nan)
    for n, (before, now) in enumerate(zip(seen.before, seen.now, strict=True), start=1):
        edges, share = histogram(now)
        _, start = histogram(before)
        middle = ((edges[1:] + edges[:-1]) / 2).tolist()
        made.tables[f"histogram-{n}-{number}"] = {"weight": middle, "now": share.tolist(), "before": start.tolist()}


def _answers(made: Content, number: int, seen: Look) -> None:
    """Confusion matrix and misread digits."""
    cells = [(label, said) for label in range(CLASSES) for said in range(CLASSES)]
    counts = np.zeros((CLASSES, CLASSES), int) if seen.evaluation is None else seen.evaluation.confusion
    most = max(int(counts.max()), 1)
    values = [int(counts[cell]) for cell in cells]
    made.tables[f"confusion-{number}"] = {
        "label": [str(label) for label, _ in cells],
        "said": [str(said) for _, said in cells],
        "count": values,
        "share": [value / most for value in values],
        "text": [str(value) if value else "" for value in values],
        "ink": ["white" if value / most > 0.5 else "black" for value in values],
    }
    rows = SHOWN // COLUMNS
    side = IMAGE_SIDE + 1
    picture = np.full((rows * side, COLUMNS * side), np.nan, np.float32)
    names: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    for i, (image, label, said) in enumerate(seen.misread):
        y, x = i // COLUMNS * side, i % COLUMNS * side
        picture[y : y + IMAGE_SIDE, x : x + IMAGE_SIDE] = image
        names["x"].append(x + 1)
        names["y"].append(rows * side - y - 1)
        names["text"].append(f"{label} read as {said}")
    made.images[f"misread-{number}"] = picture
    made.tables[f"names-{number}"] = names


def _facts(folder: Folder, seen: Look) -> str:
    """What the run is, and how far."""
    found = folder.found
    done, total = folder.done, folder.total
    seconds = folder.rows[-1].seconds if folder.rows else found.seconds
    rate = done / seconds if seconds else 0.0
    left = f"{(total - done) / rate:,.0f} s left at {rate:,.0f}/s" if rate and done < total else f"{rate:,.0f} samples/s"
    error = "" if seen.evaluation is None else f"{seen.evaluation.error_percent:.2f} % of {seen.images}"
    facts = {
        "network": f"{folder.spec.name}: {', '.join(map(repr, folder.spec.stages))}; {folder.spec.parameters:,} parameters",
        "progress": f"{done:,} of {total:,} training samples; {left}",
        "misread now": error or seen.images,
        "plan": ", ".join(f"{name} {value}" for name, value in vars(folder.plan).items() if name != "preset"),
        "board": str(folder.counters.get("board", "unknown")),
        "command": found.command,
    }
    return "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())


def _counters(folder: Folder) -> str:
    """Registers and link counters as rows of a table."""
    fits = len(folder.spec.bundles) <= MAX_BUNDLES  # only the model takes a network that has more
    known = {register.name: register.what for register in registers(folder.spec)} if fits else {}
    rows = [(name, value, known.get(name, "")) for name, value in folder.counters.get("registers", {}).items()]
    rows += [(f"link: {name}", value, "") for name, value in folder.counters.get("link", {}).items()]
    if not rows:
        return "<tr><td>no counters: the run was not trained through a board's interface</td></tr>"
    return "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td class="number">{value:,}</td><td>{html.escape(what)}</td></tr>'
        for name, value, what in rows
    )


def _epochs(folder: Folder) -> str:
    """The errors after each epoch as rows of a table."""
    rows = []
    for end in folder.epochs:
        held_out = "" if end.held_out_error_percent is None else f"{end.held_out_error_percent:.2f}"
        cells = (f"{end.samples:,}", f"{end.training_error_percent:.2f}", held_out, f"{end.seconds:,.1f}")
        rows.append(f'<tr><th scope="row">{end.epoch}</th>' + "".join(f'<td class="number">{x}</td>' for x in cells) + "</tr>")
    return "".join(rows) or '<tr><td colspan="5">no epoch has ended yet</td></tr>'


def _digit(recording: Recording) -> dict[str, Any]:
    """One digit for the stepper: pictures of each layer and sweep, and the update."""
    frames: dict[str, list[dict[str, str]]] = {}
    for phase, layers in recording.phases.items():
        frames[phase] = [
            {"spikes": packed(tiled(x.spikes.astype(np.uint16), GAP)), "xi": packed(tiled(x.xi, GAP))} for x in layers
        ]
    last = [layers[-1].xi[:, :, 0, 0] for layers in recording.phases.values()]
    updates = [matrix(update.weight) for update in recording.updates]
    return {
        "label": recording.label,
        "prediction": recording.prediction,
        "image": recording.image.ravel().tolist(),
        "phases": {phase: len(layers[0].spikes) for phase, layers in recording.phases.items()},
        "frames": frames,
        "outputs": np.concatenate(last).T.tolist(),
        "fired": [
            [int(n) for phase in recording.phases.values() for n in phase[i].spikes.sum((1, 2, 3))]
            for i in range(len(recording.spec.bundles))
        ],
        "one": recording.spec.formats.one,
        # None where there is no kernel: JSON has no nan
        "updates": [[None if x != x else int(x) for x in update.ravel().tolist()] for update in updates],
        "moved": [[int((u.weight != 0).sum()), u.weight.size] for u in recording.updates],
    }


def packed(values: np.ndarray) -> str:
    """16-bit numbers, little-endian, deflated, in base 64."""
    return base64.b64encode(zlib.compress(values.astype("<u2").tobytes())).decode()
