"""Studies that one command makes again: `nudge repro NAME`. A module each; `study` is what they share."""

import importlib
from collections.abc import Iterator, Mapping

from .study import Study


class _Studies(Mapping[str, Study]):
    """Studies by name, each the `STUDY` of its module, which is imported when it is asked for: all of them draw."""

    names = (
        *("precision", "schedule", "settling", "fashion", "shape", "tuning"),
        *("table2", "gradient", "pooling", "memory", "speed"),
    )

    def __getitem__(self, name: str) -> Study:
        if name not in self.names:
            raise KeyError(name)
        found: Study = importlib.import_module(f".{name}", __name__).STUDY
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


STUDIES: Mapping[str, Study] = _Studies()
