"""What Table I and Table II have, as printed; and that each variant changes what its name says, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from golden.contract.shapes import Dense
from paper.studies import table2
from paper.systems.configurations import table_two
from paper.systems.network import PaddedConv
from paper.systems.neuron import Dynamics
from paper.systems.published import PUBLISHED, TABLE_I
from paper.systems.variants import FINE, PUBLISHED_FALLING, PUBLISHED_WEAK, WEAK


def test_tables_hold_what_the_paper_prints():
    assert [(t.beta, t.rate, t.prediction, t.free, t.nudged, t.batch, t.epochs) for t in TABLE_I.values()] == [
        (0.1, 0.9, 0.6, 250, 50, 125, 250),
        (0.2, 1.0, 0.6, 350, 50, 125, 250),
    ]
    for of in PUBLISHED.values():
        for name, figures in of.items():
            assert figures.memory == {"snn-ep": 321, "snn-bptt": 2171, "crnn-ep": 309, "crnn-bptt": 3018}.get(name)
    for name, table in TABLE_I.items():
        for c in table_two(name):
            if c.row != "2C2FC" or c.variant != "table-1":
                continue
            assert c.network.stages == (PaddedConv(128), PaddedConv(256), Dense(512), Dense(10))
            assert (c.rates, c.batch, c.epochs) == ((0.25, 0.15, 0.1, 0.08), 125, 250)
            assert isinstance(c.dynamics, Dynamics)
            assert (c.dynamics.beta, c.dynamics.rate, c.dynamics.free) == (table.beta, table.rate, table.free)
            assert c.network.softmax == c.name.startswith("crnn")
            assert c.dynamics.spiking == c.dynamics.image_spikes == c.name.startswith("snn")


def test_published_rates_fall_where_epochs_are_few():
    """Only there, only of the works that need it, to a tenth over the epochs of the budget, and nothing else changes, or the
    feedback as well and the rates with it."""
    by_budget = {
        budget.name: {(c.name, c.variant): c for c in table2.configurations(budget, "mnist")} for budget in table2.BUDGETS
    }
    scale = by_budget.pop("scale")
    assert {name for name, variant in scale if variant == PUBLISHED_FALLING} == {"oconnor-3fc", "ernoult-2c1fc"}
    assert not {variant for found in by_budget.values() for _, variant in found} & {PUBLISHED_FALLING, PUBLISHED_WEAK}
    for name, epochs in (("oconnor-3fc", 30), ("ernoult-2c1fc", 10)):
        published, falling = scale[name, "published"], scale[name, PUBLISHED_FALLING]
        assert (published.decay, falling.epochs) == (1.0, epochs)
        assert falling.decay**epochs == pytest.approx(0.1)
        assert replace(falling, variant="published", why="", decay=1.0) == published
    falling, weak = (scale["ernoult-2c1fc", variant] for variant in (PUBLISHED_FALLING, PUBLISHED_WEAK))
    assert (weak.network.feedback, weak.rates) == (WEAK, tuple(4 * rate for rate in falling.rates))
    assert replace(weak, variant=falling.variant, why=falling.why, network=falling.network, rates=falling.rates) == falling


@pytest.mark.parametrize(("name", "factor", "fine"), [("crnn-ep", 2, None), ("snn-ep", 4, FINE)])
def test_weak_feedback_changes_rates_and_makes_spikes_fine(name, factor, fine):
    known = {(c.name, c.variant): c for c in table_two("fashion-mnist", 1, (32, 64, 256))}
    assert {name for name, variant in known if variant == "tuned weak feedback"} == {"crnn-ep", "snn-ep"}
    before, after = known[name, "tuned centred"], known[name, "tuned weak feedback"]
    assert [link.feedback for link in after.network.links] == [WEAK] * 4
    assert after.rates == tuple(factor * rate for rate in before.rates)
    assert after.dynamics == replace(before.dynamics, fine=fine)
    rest: dict[str, Any] = {"dynamics": before.dynamics, "network": before.network, "rates": before.rates, "why": before.why}
    assert replace(after, variant="tuned centred", **rest) == before
    assert "tuned weak feedback" not in {c.variant for c in table_two("mnist", 16)}


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
def test_half_rates_are_the_only_change_of_their_variant(data):
    known = {(c.name, c.variant): c for c in table_two(data, 1, (32, 64, 256))}
    assert [name for name, variant in known if variant == "tuned half rates"] == ["crnn-bptt"]
    before, after = known["crnn-bptt", "tuned"], known["crnn-bptt", "tuned half rates"]
    assert [2 * rate for rate in after.rates] == list(before.rates)
    assert replace(after, variant="tuned", rates=before.rates, why=before.why) == before
    assert "tuned half rates" not in {c.variant for c in table_two(data, 16)}


def test_a_cited_network_with_the_dynamics_of_the_papers_own():
    """Its stages, and nothing else of its work."""
    known = {(c.name, c.variant): c for c in table_two("mnist", 1, (32, 64, 256))}
    cited, ours = known["oconnor-3fc", "tuned weak feedback"], known["snn-ep", "tuned weak feedback"]
    assert cited.network == replace(known["oconnor-3fc", "published"].network, feedback=WEAK)
    same = ("dynamics", "batch", "gain", "glorot", "random_sign", "centred", "rule")
    assert {name: getattr(cited, name) for name in same} == {name: getattr(ours, name) for name in same}
    budgets = {b.name: {(c.name, c.variant) for c in table2.configurations(b, "mnist")} for b in table2.BUDGETS}
    assert {name for name, found in budgets.items() if ("oconnor-3fc", "tuned weak feedback") in found} == {"scale"}


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize(("widths", "steps", "falls"), [((32, 64, 256), (32, 16), 0.5), ((31, 64, 256), (16, 8), 0.0)])
def test_lambda_falls_where_tuned_spikes_are_wide(data, widths, steps, falls):
    for c in table_two(data, 1, widths):
        if c.variant == "tuned":
            assert isinstance(c.dynamics, Dynamics)
            changed = c.name == "snn-ep"
            assert (c.dynamics.free, c.dynamics.nudged) == (steps if changed else (16, 8))
            assert c.dynamics.prediction_decay == (falls if changed else 0.0)
