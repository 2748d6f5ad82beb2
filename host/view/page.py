"""The page: one HTML file with figures, words, data and scripts, that needs nothing else, neither a server nor a network."""

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

from .content import GAP, PHASES, Content, content
from .figures import Artist, Panel, alone, stepper, together
from .folder import Folder
from .look import Look

HERE = Path(__file__).parent

#: Those of Bokeh's parts that the figures need.
COMPONENTS = ["bokeh"]


@dataclass(frozen=True)
class Live:
    """How a page that is served keeps up to date."""

    #: Where to ask, token included.
    url: str
    #: Between two questions.
    seconds: float


def structure(runs: list[tuple[Folder, Look]]) -> str:
    """A hash of what a page's figures are made for: where it changes, the page is made anew."""
    shapes = [(folder.name, folder.spec.identity, len(seen.firing), len(seen.steps) > 0) for folder, seen in runs]
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:16]


def page(runs: list[tuple[Folder, Look]], live: Live | None = None, version_of_data: str = "") -> str:
    """The page of some runs as HTML. live: it asks for what is new, from `version_of_data` on.

    What is no Unicode, as in the name of a file, is escaped.
    """
    made = content(runs)
    artist = Artist(made)
    shared = together(artist, runs)
    panels: dict[str, Panel] = dict(shared)
    parts = []
    for number, (folder, seen) in enumerate(runs):
        own, steps = alone(artist, number, seen), stepper(artist, number, seen) if seen.steps else []
        panels |= own
        for row in steps:
            panels |= row
        texts = {name: Markup(made.texts[f"{name}-{number}"]) for name in ("facts", "counters", "epochs")}
        parts.append({"number": number, "name": folder.name, "alone": own, "stepper": steps, "no_steps": seen.no_steps} | texts)
    data = {
        "items": {key: json_item(panel.figure) for key, panel in panels.items()},
        "steps": made.steps,
        "gap": GAP,
        "phases": PHASES,
        "version": version_of_data,
        "structure": structure(runs),
        "live": None if live is None else {"url": live.url, "seconds": live.seconds},
    }
    names = ", ".join(folder.name for folder, _ in runs)
    environment = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=True)
    text = environment.get_template("page.html").render(
        title=f"nudge: {names}",
        subtitle=_subtitle(runs),
        together=shared,
        runs=parts,
        style=Markup((HERE / "page.css").read_text()),
        script=Markup((HERE / "page.js").read_text()),
        library=Markup("\n".join(_library())),
        data=Markup(_inside(data)),
        version=version("nudge"),
    )
    return text.encode(errors="backslashreplace").decode()


def _subtitle(runs: list[tuple[Folder, Look]]) -> str:
    """What the runs are in a few words."""
    if len(runs) > 1:
        return f"{len(runs)} training runs."
    folder, _ = runs[0]
    return f"{folder.spec.name} learns {folder.plan.data}, seed {folder.plan.seed}."


def _library() -> list[str]:
    """Bokeh's JavaScript."""
    resources = INLINE.clone(components=COMPONENTS)
    return list(resources.js_raw)


def _inside(data: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends one."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def renewed(made: Content, *, steps: bool) -> dict[str, Any]:
    """Content as JSON for a page that is open. steps: the steppers' digits too."""
    images = {name: [None if x != x else x for x in values.ravel().tolist()] for name, values in made.images.items()}
    found = {"tables": made.tables, "images": images, "texts": made.texts}
    return found | ({"steps": made.steps} if steps else {})
