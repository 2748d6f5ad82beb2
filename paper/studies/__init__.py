"""Studies that one command makes again: `nudge repro NAME`. A module each; `study` is what they share."""

import importlib

from .study import Study

#: Of all studies, each a module here.
NAMES: tuple[str, ...] = (
    *("precision", "schedule", "settling", "fashion", "shape", "tuning"),
    *("table2", "gradient", "pooling", "memory", "speed"),
)


def find(name: str) -> Study:
    """One of `NAMES`. Its module is imported now: all of them draw."""
    found: Study = importlib.import_module(f".{name}", __name__).STUDY
    return found
