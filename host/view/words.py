"""Texts and tables of a page as HTML. All that comes from a run's files is escaped."""

import base64
import io
from datetime import timedelta
from html import escape

import numpy as np
import PIL.Image

from nudge.golden.contract.network_file import document
from nudge.golden.contract.registers import MAX_BUNDLES, registers

from .folder import Folder
from .look import Look

#: Most characters of a column's heading in the confusion matrix that isn't turned: those of a count.
COUNT = 3


def progress(folders: list[Folder]) -> str:
    """Return the progress of the runs and the time left; for several runs, the longest time."""
    done, total = sum(each.done for each in folders), sum(each.total for each in folders)
    growing = [each for each in folders if each.done < each.total]
    text = f"{done:,} of {total:,} training samples"
    if len(folders) > 1:
        text = f"{len(folders) - len(growing)} of {len(folders)} runs have finished; {text}"
    left = [each.seconds_left for each in growing if each.seconds_left is not None]
    if left:
        text += f"; {_clock(max(left))} left"
    return f'<progress value="{done}" max="{total}" aria-label="progress"></progress> {text}'


def _clock(seconds: float) -> str:
    """Return hours, minutes and seconds as text."""
    return str(timedelta(seconds=round(min(seconds, timedelta.max.total_seconds() - 1))))


def headline(folder: Folder, seen: Look) -> str:
    """Return a run's result as items of a description list. Facts that its folder lacks are left out."""
    tested, error = seen.evaluation, seen.images
    if tested is not None:
        error = f"{tested.error_percent:.2f} % ({tested.errors} of {error})"
    return _listed(
        {
            "test error": error,
            "weights": f"{folder.spec.parameters:,}",
            "board": folder.found.board,
            "bit-identical": "to the model" if folder.counters.get("compared") == folder.saved else "",
        }
    )


def facts(folder: Folder) -> str:
    """Return the other facts of a run as items of a description list."""
    spec = folder.spec
    stages = (", ".join(f"{key} {x}" for key, x in stage.items()) for stage in document(spec)["stage"])
    found = {
        "network": f"{spec.name}: {'; '.join(stages)}",
        "input": f"images of {'x'.join(map(str, spec.input.shape))} (channels, height, width) in "
        f"{spec.classes} classes",
        "progress": f"{folder.done:,} of {folder.total:,} training samples, at {folder.rate:,.0f}/s",
        "plan": ", ".join(f"{name} {value}" for name, value in vars(folder.plan).items() if name != "preset"),
        "command": folder.found.command,
    }
    return _listed(found)


def _listed(found: dict[str, str]) -> str:
    """Return a description list's items, without empty ones."""
    return "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in found.items() if value
    )


def confusion(folder: Folder, seen: Look) -> str:
    """Return the confusion matrix as a table; a larger count gives a stronger colour of the cell.

    Headings of columns are turned by 90 degrees if a name is longer than a count.
    """
    if seen.evaluation is None:
        return ""
    counts, names = seen.evaluation.confusion, list(map(escape, folder.class_names))
    most = max(int(counts.max()), 1)
    turned = ' class="turned"' if max(map(len, folder.class_names)) > COUNT else ""
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)

    def cell(label: str, said: str, count: int) -> str:
        title = f"{label} read as {said}: {count}"
        return (
            f'<td style="--share:{count / most:.2f}" title="{title}">{count}</td>' if count else "<td></td>"
        )

    rows = (
        f'<tr><th scope="row"><span>{label}</span></th>'
        + "".join(cell(label, said, count) for said, count in zip(names, row, strict=True))
        + "</tr>"
        for label, row in zip(names, counts.tolist(), strict=True)
    )
    return f"<thead{turned}><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"


def misread(folder: Folder, seen: Look) -> str:
    """Return the first misread images as items of a list."""
    if seen.evaluation is not None and not seen.misread:
        return "<li>none</li>"
    names = list(map(escape, folder.class_names))
    return "".join(
        f'<li><img src="{picture(image)}" alt="">{names[label]} read as {names[said]}</li>'
        for image, label, said in seen.misread
    )


def picture(image: np.ndarray) -> str:
    """Return an image as a data URL of a PNG file: grey images inverted, as ink on paper, colour as it is."""
    pixels = 255 - image if image.ndim == 2 else image.transpose(1, 2, 0)
    file = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def counters(folder: Folder) -> str:
    """Return registers and link counters as rows of a table."""
    fits = len(folder.spec.bundles) <= MAX_BUNDLES  # only the model supports networks with more
    known = {register.name: register.what for register in registers(folder.spec)} if fits else {}
    rows = [
        (name, value, known.get(name, "")) for name, value in folder.counters.get("registers", {}).items()
    ]
    rows += [(f"link: {name}", value, "") for name, value in folder.counters.get("link", {}).items()]
    if not rows:
        return "<tr><td>no counters: the run was not trained through a board's interface</td></tr>"
    return "".join(
        f'<tr><th scope="row">{escape(name)}</th><td '
        f'class="number">{value:,}</td><td>{escape(what)}</td></tr>'
        for name, value, what in rows
    )


def epochs(folder: Folder) -> str:
    """Return the errors after each epoch as rows of a table."""
    rows = []
    for end in folder.epochs:
        held_out = "" if end.held_out_error_percent is None else f"{end.held_out_error_percent:.2f}"
        cells = (f"{end.samples:,}", f"{end.training_error_percent:.2f}", held_out, f"{end.seconds:,.1f}")
        rows.append(
            f'<tr><th scope="row">{end.epoch}</th>'
            + "".join(f'<td class="number">{x}</td>' for x in cells)
            + "</tr>"
        )
    return "".join(rows) or '<tr><td colspan="5">no epoch has ended yet</td></tr>'
