"""The studies of `nudge repro NAME`, one module each; `study` defines the classes that they share."""

import importlib

from nudge.paper.tables.study import Study

#: Names of all studies; each is a module of this package.
NAMES: tuple[str, ...] = (
    *("precision", "schedule", "settling", "fashion", "shape", "cifar", "tuning"),
    *("table2", "gradient", "pooling", "memory", "speed"),
)


def find(name: str) -> Study:
    """Return the study of that name. Its module is imported here, since every study imports matplotlib."""
    found: Study = importlib.import_module(f".{name}", __name__).STUDY
    return found
