"""The tables of README and docs/paper.md agree with docs/results.md, the presets and the paper."""

import re
from pathlib import Path
from statistics import mean, stdev

from nudge.golden.contract.presets import PRESETS
from nudge.paper.systems.published import PUBLISHED

ROOT = Path(__file__).parents[1]
SETS = ("mnist", "fashion-mnist")


def rows(page: str, after: str) -> list[list[str]]:
    """Return the cells of the first table after the text `after`, without head, bold marks and backticks."""
    text = (ROOT / page).read_text().split(after)[1].split("\n\n", 2)
    lines = next(part for part in text if part.lstrip().startswith("|")).strip().splitlines()
    return [[re.sub(r"[*`]", "", cell).strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def results() -> dict[str, tuple[list[float], str]]:
    """Map the name of the weights to the errors of the seeds and to the figure for all seeds."""
    table = rows("docs/results.md", "The committed file is that of seed 1, not the best.\n")
    return {name: ([float(x) for x in errors.split(",")], together) for name, _, errors, together in table}


def told(errors: list[float]) -> str:
    """Format errors in percent as mean ± standard deviation, or a single error alone."""
    return f"{mean(errors):.2f} ± {stdev(errors):.2f}" if len(errors) > 1 else f"{errors[0]:.2f}"


def published(data: str) -> str:
    """Format the paper's test error for its spiking network trained by equilibrium propagation."""
    of = PUBLISHED[data]["snn-ep"]
    return f"{of.test:.2f} ± {of.deviation:.2f}"


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
            found = [
                told(known[f"{spec.name}-{data}"][0]) for spec in specs if f"{spec.name}-{data}" in known
            ]
            assert cell == (found[-1] if found else ""), (presets, data)
    assert paper[3:5] == [published(data) for data in SETS]


def test_the_papers_page_has_the_published_widths():
    table = rows("docs/paper.md", "all seeds and commands are in\n[results.md](results.md).\n")
    known = results()
    assert [name for name, *_ in table] == ["paper", "paper-garments"]
    for data, (name, _, epochs, cell, theirs) in zip(SETS, table, strict=True):
        errors, _ = known[f"{name}-{data}"]
        assert cell == f"{told(errors)} ({len(errors)})"
        assert theirs == published(data)
        options = next(
            row[1] for row in rows("docs/results.md", "not the best.\n") if row[0] == f"{name}-{data}"
        )
        assert f"--epochs {epochs} " in options


def test_rates_of_the_engines_are_the_studys():
    measured = {
        name: (ms, share)
        for _, name, ms, _, _, share, _ in rows("results/speed-cpu.md", "updates included.\n")
    }
    for _, networks, here, _ in rows("docs/results.md", "[picture](../results/speed-cpu.png)):\n"):
        found = [measured[one] for one in networks.split("; ")]
        assert here == "; ".join(", ".join(cell.split(" ±")[0] for cell in cells) for cells in found)
