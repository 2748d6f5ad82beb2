"""README's table says what docs/results.md, the presets and the paper have, and its means are those of the seeds."""

import re
from pathlib import Path
from statistics import mean, stdev

from golden.contract.presets import PRESETS
from golden.paper.systems.configurations import PUBLISHED

ROOT = Path(__file__).parents[1]
SETS = ("mnist", "fashion-mnist")


def rows(page: str, after: str) -> list[list[str]]:
    """Cells of the table after a title or a line, without its head; neither bold nor code."""
    text = (ROOT / page).read_text().split(after)[1].split("\n\n", 2)
    lines = next(part for part in text if part.lstrip().startswith("|")).strip().splitlines()
    return [[re.sub(r"[*`]", "", cell).strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def results() -> dict[str, tuple[list[float], str]]:
    """By name of the weights: errors of the seeds, and what is said of them together."""
    table = rows("docs/results.md", "The committed file is that of seed 1, not the best.\n")
    return {name: ([float(x) for x in errors.split(",")], together) for name, _, errors, together in table}


def told(errors: list[float]) -> str:
    """A figure for all seeds."""
    return f"{mean(errors):.2f} ± {stdev(errors):.2f}" if len(errors) > 1 else f"{errors[0]:.2f}"


def test_means_are_those_of_the_seeds():
    for name, (errors, together) in results().items():
        assert together in (("",) if len(errors) == 1 else (told(errors),)), name


def test_readme_has_the_results():
    *ours, paper = rows("README.md", "the paper's whole table beside ours:\n")
    known = results()
    for presets, widths, weights, *cells, _ in ours:
        specs = [PRESETS[name] for name in presets.split(", ")]
        assert all(widths == ", ".join(str(layer.channels) for layer in spec.layers[1:-1]) for spec in specs)
        assert all(weights == f"{spec.parameters:,}" for spec in specs)
        for data, cell in zip(SETS, cells, strict=True):
            found = [told(known[f"{spec.name}-{data}"][0]) for spec in specs if f"{spec.name}-{data}" in known]
            assert cell == (found[-1] if found else ""), (presets, data)
    for data, cell in zip(SETS, paper[3:5], strict=True):
        published = PUBLISHED[data]["snn-ep"]
        assert cell == f"{published.test:.2f} ± {published.deviation:.2f}"
