"""The page: one HTML file with figures, texts, data and scripts; it needs no server and no network."""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bokeh.embed import json_item
from bokeh.resources import INLINE
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nudge.plumbing import DISTRIBUTION

from .compared import compared
from .content import Content, content
from .figures import Artist, Panel, alone, stepper, together
from .folder import DRAWN, Folder
from .look import Look
from .steps import GAP

HERE = Path(__file__).parent

#: Components of Bokeh that the figures need.
COMPONENTS = ["bokeh"]


@dataclass(frozen=True)
class Live:
    """Parameters with which a served page polls for changes."""

    #: Address to poll, token included.
    url: str
    #: Seconds between two polls.
    seconds: float


def structure(runs: list[tuple[Folder, Look]]) -> str:
    """Return a hash of the figures' and tables' structure; if it changes, the page must be built anew."""
    shapes = [(folder.name, folder.spec.identity, len(seen.firing), len(seen.steps) > 0) for folder, seen in runs]
    tables = [(table.columns, len(table.rows)) for table in compared(runs)]
    return hashlib.sha256(repr((shapes, tables)).encode()).hexdigest()[:16]


def page(runs: list[tuple[Folder, Look]], live: Live | None = None, version_of_data: str = "") -> str:
    """Return the page of some runs as HTML. live: the page polls for changes since `version_of_data`.

    Invalid Unicode, such as in a file's name, is escaped.
    """
    made = content(runs)
    artist = Artist(made)
    drawn = runs[:DRAWN]
    shared = together(artist, drawn)
    panels: dict[str, Panel] = dict(shared)
    parts = []
    for number, (folder, seen) in enumerate(drawn):
        own, steps = alone(artist, number, folder.spec, seen), stepper(artist, number, seen) if seen.steps else []
        for group in (own, *steps):
            panels |= group
        parts.append({"number": number, "name": folder.name, "alone": own, "stepper": steps})
    data = {
        "items": {key: json_item(panel.figure) for key, panel in panels.items()},
        "steps": made.steps,
        "gap": GAP,
        "version": version_of_data,
        "structure": structure(runs),
        "live": None if live is None else {"url": live.url, "seconds": live.seconds},
    }
    environment = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=True)
    text = environment.get_template("page.html").render(
        title=f"nudge: {runs[0][0].name if len(runs) == 1 else f'{len(runs)} training runs'}",
        subtitle=_subtitle(runs),
        tables=compared(runs),
        together=shared,
        runs=parts,
        texts={name: Markup(text) for name, text in made.texts.items()},
        style=Markup((HERE / "page.css").read_text()),
        script=Markup((HERE / "page.js").read_text()),
        library=Markup("\n".join(INLINE.clone(components=COMPONENTS).js_raw)),
        data=Markup(_inside(data)),
        version=version(DISTRIBUTION),
    )
    return text.encode(errors="backslashreplace").decode()


def _subtitle(runs: list[tuple[Folder, Look]]) -> str:
    """Return one sentence about the runs."""
    if len(runs) > 1:
        return "" if len(runs) <= DRAWN else f"The table has all, the curves are of the first {DRAWN}."
    folder, _ = runs[0]
    return f"{folder.spec.name} learns {folder.plan.data}, seed {folder.plan.seed}."


def _inside(data: Any) -> str:
    """Return JSON that is safe inside a script element: no `<` can end it."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def renewed(made: Content, *, steps: bool) -> dict[str, Any]:
    """Return content as plain data to update an open page. steps: with the steppers' images."""
    images = {name: [None if x != x else x for x in values.ravel().tolist()] for name, values in made.images.items()}
    found = {"tables": made.tables, "images": images, "texts": made.texts}
    return found | ({"steps": made.steps} if steps else {})
