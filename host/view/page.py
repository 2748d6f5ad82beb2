"""The page: one HTML file with figures, texts, data and scripts; it needs no server and no network."""

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bokeh.embed import json_item
from bokeh.resources import INLINE
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nudge.plumbing import DISTRIBUTION

from .compared import Table, compared
from .content import Content, content
from .figures import Artist, Panel, alone, round_errors, stepper, together
from .folder import DRAWN, Folder, fingerprint
from .look import Look
from .steps import GAP

HERE = Path(__file__).parent

#: Components of Bokeh that the figures need.
COMPONENTS = ["bokeh"]

FOOTER = (
    "Everything on this page but the curves is computed from the saved weights by the model, which every "
    "board equals bit for bit."
)


@dataclass(frozen=True)
class Live:
    """Parameters with which a served page polls for changes."""

    #: Address to poll, token included.
    url: str
    #: Seconds between two polls.
    seconds: float


@dataclass(frozen=True)
class Section:
    """Figures below a heading."""

    #: Id of the heading.
    name: str
    title: str
    #: Figures by name.
    panels: dict[str, Panel]
    #: What all figures have in common; "" for nothing.
    caption: str = ""


@dataclass(frozen=True)
class Own:
    """The part of a page about one run."""

    number: int
    name: str
    #: Figures of its weights, by name.
    alone: dict[str, Panel]
    #: Rows of the stepper's figures, by name.
    stepper: list[dict[str, Panel]]


@dataclass(frozen=True)
class Page:
    """All parts of a page."""

    title: str
    subtitle: str
    content: Content
    tables: list[Table]
    sections: list[Section]
    #: Hash of the figures' and tables' structure: an open page reloads if it changes.
    structure: str
    footer: str = FOOTER
    runs: list[Own] = field(default_factory=list)

    def html(self, live: Live | None = None, version_of_data: str = "") -> str:
        """Return the page as HTML. live: the page polls for changes since `version_of_data`.

        Invalid Unicode, such as in a file's name, is escaped.
        """
        groups = [section.panels for section in self.sections]
        groups += [group for run in self.runs for group in (run.alone, *run.stepper)]
        data = {
            "items": {key: json_item(panel.figure) for group in groups for key, panel in group.items()},
            "steps": self.content.steps,
            "gap": GAP,
            "version": version_of_data,
            "structure": self.structure,
            "live": None if live is None else {"url": live.url, "seconds": live.seconds},
        }
        environment = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=True)
        text = environment.get_template("page.html").render(
            title=f"nudge: {self.title}",
            subtitle=self.subtitle,
            tables=self.tables,
            sections=self.sections,
            runs=self.runs,
            texts={name: Markup(text) for name, text in self.content.texts.items()},
            style=Markup((HERE / "page.css").read_text()),
            script=Markup((HERE / "page.js").read_text()),
            library=Markup("\n".join(INLINE.clone(components=COMPONENTS).js_raw)),
            data=Markup(_inside(data)),
            version=version(DISTRIBUTION),
            footer=self.footer,
        )
        return text.encode(errors="backslashreplace").decode()


def structure(runs: list[tuple[Folder, Look]], made: Content) -> str:
    """Return a hash of the structure of figures, legends and tables of the page of some runs."""
    shapes = [(folder.name, folder.spec.identity, len(seen.steps) > 0) for folder, seen in runs]
    tables = [(table.columns, len(table.rows)) for table in compared(runs)]
    drawn = [any(table.values()) for table in made.tables.values()]
    return fingerprint((shapes, tables, drawn, round_errors(made)))


def page(runs: list[tuple[Folder, Look]]) -> Page:
    """Return the page of some runs."""
    made = content(runs)
    artist = Artist(made)
    drawn = runs[:DRAWN]
    parts = [
        Own(
            n,
            folder.name,
            alone(artist, n, folder.spec, seen),
            stepper(artist, n, seen) if seen.steps else [],
        )
        for n, (folder, seen) in enumerate(drawn)
    ]
    title = runs[0][0].name if len(runs) == 1 else f"{len(runs)} training runs"
    sections = [Section("learning", "Learning", together(artist, drawn))]
    return Page(title, _subtitle(runs), made, compared(runs), sections, structure(runs, made), runs=parts)


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
    images = {
        name: [None if x != x else x for x in values.ravel().tolist()] for name, values in made.images.items()
    }
    found = {"tables": made.tables, "images": images, "texts": made.texts}
    return found | ({"steps": made.steps} if steps else {})
