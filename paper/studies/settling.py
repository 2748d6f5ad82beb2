"""Why half as many sweeps as steps suffice: how fast both orders settle, and when "all" ends in a cycle of
period two.

With trained weights and digits. The equilibrium is the fixed point xi = clip(phi(xi) + bias, 0, 1), computed
in floating point. "floating": neurons exchange their states; "spiking": the gateware's arithmetic, with
states averaged over the last M steps. Distances are root mean squares over all neurons and digits.

Expectation: no connection is within a layer or skips a layer. So in the order "all", without a decoder, step
t of the odd layers depends on step t - 1 of the even layers alone, and vice versa: these are two independent
runs, interleaved, each with half of the layers per step. One sweep of "odd-even" is two steps of one of these
runs: the same values, bit for bit, with half of the work (Young, 1950, for linear systems of this form).
Since the connections are symmetric, each half of a sweep minimises the energy over its layers, so sweeps end
in an equilibrium; the two runs of "all" may end in two different equilibria, which is a cycle of period two
(Marcus and Westervelt, 1989).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from nudge.golden.contract.schedule import ORDERS, turns
from nudge.golden.contract.spec import Spec
from nudge.golden.model.engines import Plain
from nudge.golden.model.parameters import Parameters, Working, working
from nudge.golden.model.phases import steps
from nudge.golden.model.settings import Settings
from nudge.golden.training import checkpoint, data
from nudge.paper.tables import page
from nudge.paper.tables.study import GIBIBYTE, Budget, Cell, Row, Study

#: Number of steps or sweeps whose distance is recorded.
STEPS = 32
#: Averaging window of the spiking states, M.
WINDOW = 4
#: Sweeps after which the floating-point states are at their equilibrium, or in a cycle.
SETTLED = 400
#: A digit is in a cycle of period two if a state changes by more than `MOVES` in the last step, and none by
#: `STILL` or more over the last two.
MOVES, STILL = 1e-3, 1e-6
#: Factors on trained weights; neurons drive each other more strongly with larger ones.
FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0)

#: digits: number of embedded test digits, the first ones.
BUDGETS = (
    Budget("quick", 1, GIBIBYTE, {"weights": ("tiny-mnist",), "digits": 4}, threads=1),
    Budget("cpu", 1, 2 * GIBIBYTE, {"weights": ("small-mnist", "large-mnist"), "digits": 32}, threads=1),
)


@lru_cache
def trained(name: str) -> tuple[Spec, Parameters]:
    """Return committed weights and their network."""
    spec, parameters, _ = checkpoint.load(checkpoint.find(Path(name)))
    return spec, parameters


def digits(count: int) -> Tensor:
    """Return the first embedded test digits, (count, 1, 28, 28)."""
    return data.load("embedded").test_images[:count, None].long()


def flat(layers: list[Tensor]) -> Tensor:
    """Concatenate the neurons of all layers: (digits, neurons)."""
    return torch.cat([layer.flatten(1) for layer in layers], 1)


def floating(name: str, count: int, order: str, shift: int, factor: float = 1.0) -> Iterator[Tensor]:
    """Yield the states in [0, 1] after each step, (digits, neurons), float64, without end.

    d[t+1] = (1 - lambda) d[t] + lambda factor phi[t], x[t+1] = clip(d[t+1] + bias, 0, 1), lambda = 2^-shift.
    """
    spec, parameters = trained(name)
    f = spec.formats
    copies = working(spec, parameters)
    static = Plain(spec, copies).static(digits(count)).double()
    engine = Plain(spec, Working(tuple(w.double() for w in copies.weights), copies.biases))
    biases = [b[:, None, None].double() / 2**f.bias_fraction for b in copies.biases]
    x = [torch.zeros((count, *layer.shape), dtype=torch.float64, device="cpu") for layer in spec.layers[1:]]
    d, damping = list(x), 1 - 2.0**-shift
    while True:
        for turn in turns(order, len(x)):
            for n, (below, above) in zip(turn, engine.drives(static, x, turn), strict=True):
                phi = below + above / 2**spec.schedule.feedback_shift
                d[n - 1] = damping * d[n - 1] + (1 - damping) * factor * phi / 2**f.phi_fraction
                x[n - 1] = (d[n - 1] + biases[n - 1]).clamp(0, 1)
        yield flat(x)


def spiking(name: str, count: int, order: str, shift: int) -> Iterator[Tensor]:
    """Yield xi after each step of the free phase, bit for bit the gateware's: float64 (digits, neurons)."""
    spec, parameters = trained(name)
    spec = replace(spec, schedule=replace(spec.schedule, order=order, decay_shift=shift))
    copies = working(spec, parameters)
    settings = replace(Settings.of(spec), free_steps=STEPS)
    for step in steps(spec, settings, Plain(spec, copies), copies, digits(count), None):
        yield flat([layer.xi for layer in step.layers]).double() / spec.formats.one


def first(states: Iterator[Tensor], count: int) -> list[Tensor]:
    """Return the states after steps 1..count."""
    return [next(states) for _ in range(count)]


@lru_cache
def equilibrium(name: str, count: int) -> Tensor:
    """Return the states to which sweeps with lambda 1 settle, after `SETTLED` sweeps."""
    return first(floating(name, count, "odd-even", 0), SETTLED)[-1]


def distances(name: str, count: int, arithmetic: str, order: str, shift: int) -> dict[str, float]:
    """Return the root mean square distance from the equilibrium after each of the steps 1..`STEPS`."""
    rest = equilibrium(name, count)
    if arithmetic == "floating":
        states = first(floating(name, count, order, shift), STEPS)
    else:
        each = first(spiking(name, count, order, shift), STEPS)
        states = [torch.stack(each[max(t - WINDOW, 0) : t]).mean(0) for t in range(1, STEPS + 1)]
    return {f"distance_{t}": float((x - rest).square().mean().sqrt()) for t, x in enumerate(states, start=1)}


def cycling(name: str, count: int, order: str, factor: float) -> dict[str, float]:
    """Return the percentage of digits whose states end in a cycle of period two at lambda 1."""
    before, between, last = first(floating(name, count, order, 0, factor), SETTLED)[-3:]
    moves, every_other = (last - between).abs().amax(1), (last - before).abs().amax(1)
    return {"cycling_percent": 100 * float(((moves > MOVES) & (every_other < STILL)).double().mean())}


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """Yield a cell for each network, order, arithmetic and lambda, and for each factor; nothing is random."""
    for name in budget.values["weights"]:
        count = budget.values["digits"]
        spec, parameters = trained(name)
        tensors = {
            f"{n} {kind}": x for kind, each in parameters._asdict().items() for n, x in enumerate(each)
        }
        facts = [spec.identity, checkpoint.digest(tensors, {}), count]
        for order in ORDERS:
            for arithmetic, shift in product(("floating", "spiking"), (0, 1)):
                labels = {"weights": name, "kind": f"{arithmetic}, lambda {2.0**-shift:g}", "order": order}
                run = partial(distances, name, count, arithmetic, order, shift)
                yield Cell(labels, seed, [*facts, STEPS, WINDOW, SETTLED], run)
            for factor in FACTORS:
                labels = {"weights": name, "kind": f"weights x {factor:g}", "order": order}
                yield Cell(
                    labels,
                    seed,
                    [*facts, SETTLED, MOVES, STILL],
                    partial(cycling, name, count, order, factor),
                )


def intro(budget: Budget) -> str:
    """Return the text above the table."""
    return (
        f"Trained weights, {budget.values['digits']} embedded test digits: root mean square distance of the "
        "states in [0, 1] from their equilibrium, after steps (all) or sweeps (odd-even). Spiking states "
        f"are means of the last {WINDOW}. With weights times a factor: digits in percent whose states, in "
        "floating point without damping (lambda 1), end in a cycle of period two."
    )


def picture(rows: list[Row]) -> Figure:
    """Draw the distances: a line of panels for each network, a panel for each arithmetic."""
    grid: dict[str, dict[str, list[page.Curve]]] = {}
    for row in rows:
        if "distance_1" in row:
            arithmetic, _, damping = row["kind"].partition(", ")
            panels = grid.setdefault(row["weights"], {})
            each = [float(row[f"distance_{t}"]) for t in range(1, STEPS + 1)]
            line = (f"{row['order']}, {damping}", range(1, STEPS + 1), each)
            panels.setdefault(f"{row['weights']}, {arithmetic}: distance", []).append(line)
    return page.curves(list(grid.values()), "steps or sweeps", alike=True)


COLUMNS = [page.Column(f"after {t}", f"distance_{t}", 4) for t in (2, 4, 8, 12, 16, 24, 32)]
COLUMNS += [page.Column("in a cycle (%)", "cycling_percent", 0)]

STUDY = Study("settling", BUDGETS, seed_cells, page.report(intro, COLUMNS, picture))
