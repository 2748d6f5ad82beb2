"""The content of a sweep's page as plain data: curves, points, tables and texts by name."""

from collections import Counter
from html import escape
from typing import Any

from nudge.host.sweep.table import State
from nudge.host.view.colours import COLOURS, GREY
from nudge.host.view.compared import Table, mean
from nudge.host.view.content import Content

from .folder import BEST, IN_PROGRESS, Sweep, Trial, short
from .settings import SEED, Axis, axes, settings

#: Columns of figures by their names in `Figures`, with their number of decimals.
COLUMNS = {
    "epochs": ("epochs", 0),
    "training_percent": ("training error (%)", 2),
    "held_out_percent": ("held-out error (%)", 2),
    "test_percent": ("test error (%)", 2),
    "seconds": ("seconds", 1),
}

#: Colours of the best runs, and of failed ones, means, and the curve under the pointer.
HIGHLIGHTS, BAD = (COLOURS[0], COLOURS[2], COLOURS[3])[:BEST], COLOURS[1]

#: Markers by state, of Bokeh.
MARKERS = {State.DONE: "circle", State.PRUNED: "triangle", State.FAILED: "x", IN_PROGRESS: "circle_dot"}


def content(sweep: Sweep) -> Content:
    """Return the content of a sweep's page."""
    made = Content()
    made.texts["progress"] = _progress(sweep) + escape(summary(sweep))
    made.texts["legend-curves"] = legend(sweep)
    made.texts |= {f"rows-{number}": table.body for number, table in enumerate(tables(sweep))}
    _curves(made, sweep)
    _against(made, sweep)
    return made


def _progress(sweep: Sweep) -> str:
    """Return the progress bar of a sweep whose number of runs is known."""
    if not sweep.total:
        return ""
    return f'<progress value="{sweep.ended}" max="{sweep.total}" aria-label="progress"></progress> '


def summary(sweep: Sweep) -> str:
    """Return the number of runs by state, and the one with the smallest error, in words."""
    if not sweep.trials:
        return "no run has begun yet"
    counts = Counter(trial.state for trial in sweep.trials)
    found = ", ".join(
        f"{counts[state]} {state}" for state in (*State, IN_PROGRESS) if counts[state] or state == State.DONE
    )
    total = max(sweep.total or 0, len(sweep.trials))
    text = f"{sweep.ended} of {total} run{'s' * (total != 1)} have ended: {found}"
    if not sweep.ranked:
        return text
    first = sweep.ranked[0]
    return f"{text}. Smallest: {_error(sweep, first)} of {first.name}" + (
        f" ({first.setting})" if first.setting else ""
    )


def _error(sweep: Sweep, trial: Trial) -> str:
    """Return the error of a run that has one, in words."""
    return f"{trial.figures.percent:.2f} % {sweep.measured.partition(' (')[0]}"


def legend(sweep: Sweep) -> str:
    """Return the best runs with their colours as items of a list."""
    return "".join(
        f'<li><span style="color: {colour}">&#9679;</span> {escape(trial.name)}: '
        f"{escape(_error(sweep, trial))}</li>"
        for colour, trial in zip(HIGHLIGHTS, sweep.ranked, strict=False)
    )


def tables(sweep: Sweep) -> list[Table]:
    """Return the table of all runs and, if the seed is varied, that of settings."""
    keys = sweep.keys
    known = {
        name: column
        for name, column in COLUMNS.items()
        if any(getattr(t.figures, name) is not None for t in sweep.trials)
    }
    messages = ["message"] if any(trial.message for trial in sweep.trials) else []
    rows = [
        [
            trial.name,
            trial.state,
            *(short(trial.values.get(key, "")) for key in keys),
            *(mean([getattr(trial.figures, name)], digits) for name, (_, digits) in known.items()),
            *(trial.message for _ in messages),
        ]
        for trial in sweep.trials
    ]
    columns = ["run", "state", *keys, *(title for title, _ in known.values()), *messages]
    found = [Table("All runs", columns, rows, sweep.measured)]
    if SEED not in keys:
        return found
    varied = [key for key in keys if key != SEED]
    digits = next(digits for title, digits in COLUMNS.values() if title == sweep.measured)
    means = [
        [
            *(short(each.values.get(key, "")) for key in varied),
            str(len(each.errors)),
            mean(each.errors, digits),
        ]
        for each in settings(sweep)
    ]
    title = "Settings: mean ± standard deviation over seeds"
    return [*found, Table(title, [*varied, "seeds", sweep.measured], means, sweep.measured)]


def floor(sweep: Sweep) -> float:
    """Return what is drawn for an error of 0, which a logarithmic axis lacks: half of the smallest other."""
    drawn = [percent for trial in sweep.trials for _, percent in trial.curve]
    ends = [trial.figures.percent for trial in sweep.trials if trial.figures.percent is not None]
    return min((percent for percent in drawn + ends if percent > 0), default=2.0) / 2


def highlights(sweep: Sweep) -> dict[str, str]:
    """Return the colours of the best runs by name."""
    return {trial.name: colour for trial, colour in zip(sweep.ranked, HIGHLIGHTS, strict=False)}


def _curves(made: Content, sweep: Sweep) -> None:
    """Add curves, the best runs' last so that they are on top, and marks at the ends of some."""
    colours, least = highlights(sweep), floor(sweep)
    drawn = sorted((trial for trial in sweep.trials if trial.curve), key=lambda trial: trial.name in colours)
    faint = faintness(len(drawn))
    made.tables["curves"] = {
        "xs": [[samples for samples, _ in trial.curve] for trial in drawn],
        "ys": [[percent or least for _, percent in trial.curve] for trial in drawn],
        "run": [trial.name for trial in drawn],
        "setting": [trial.setting or trial.state for trial in drawn],
        "colour": [colours.get(trial.name, GREY) for trial in drawn],
        "alpha": [1.0 if trial.name in colours else faint for trial in drawn],
        "width": [3 if trial.name in colours else 1.5 for trial in drawn],
    }
    ends = [trial for trial in drawn if trial.state != State.DONE or len(trial.curve) == 1]
    made.tables["ends"] = {
        "samples": [trial.curve[-1][0] for trial in ends],
        "percent": [trial.curve[-1][1] or least for trial in ends],
        **_marks(ends, colours),
    }


def faintness(count: int) -> float:
    """Return the opacity of the grey ones among so many curves."""
    return max(0.25, min(0.9, 20 / max(count, 1)))


def _against(made: Content, sweep: Sweep) -> None:
    """Add the points of each varied key: runs, those without an error, and means over the seeds."""
    colours, least = highlights(sweep), floor(sweep)
    groups = settings(sweep)
    for number, axis in enumerate(axes(sweep)):
        trials = sorted(
            (trial for trial in sweep.trials if axis.key in trial.values),
            key=lambda trial: trial.name in colours,
        )
        known = [trial for trial in trials if trial.figures.percent is not None]
        others = [trial for trial in trials if trial.figures.percent is None]
        for name, each in (("points", known), ("unknown", others)):
            made.tables[f"{name}-{number}"] = {
                "value": [axis.place(trial.values[axis.key]) for trial in each],
                "percent": [trial.figures.percent or least for trial in each],
                "error": ["" if t.figures.percent is None else f"{t.figures.percent:.2f} %" for t in each],
                **_marks(each, colours),
            }
        means = [each for each in groups if axis.key in each.values]
        made.tables[f"means-{number}"] = {
            "value": _side_by_side(axis, [each.values[axis.key] for each in means]),
            "percent": [each.mean or least for each in means],
            "low": [max(each.mean - each.deviation, least) for each in means],
            "high": [(each.mean or least) + each.deviation for each in means],
            "error": [f"{mean(each.errors, 2)} %" for each in means],
            "run": ["mean" for _ in means],
            "state": [each.words for each in means],
        }


def _side_by_side(axis: Axis, values: list[str]) -> list[Any]:
    """Return where values are drawn, equal ones side by side."""
    counts, seen = Counter(values), Counter[str]()
    found = []
    for each in values:
        aside = 2 * seen[each] / (counts[each] - 1) - 1 if counts[each] > 1 else 0.0
        found.append(axis.place(each, aside))
        seen[each] += 1
    return found


def _marks(trials: list[Trial], colours: dict[str, str]) -> dict[str, list[Any]]:
    """Return names, states and markers of runs as columns."""
    return {
        "run": [trial.name for trial in trials],
        "state": [f"{trial.state}{', ' * bool(trial.setting)}{trial.setting}" for trial in trials],
        "marker": [MARKERS[trial.state] for trial in trials],
        "colour": [BAD if t.state == State.FAILED else colours.get(t.name, GREY) for t in trials],
    }
