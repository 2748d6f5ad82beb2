"""Tables I and II are as printed, and each variant changes what its name says, and nothing else."""

from dataclasses import fields, replace
from typing import Any

import pytest

from nudge.golden.contract.shapes import Dense
from nudge.paper.studies import table2
from nudge.paper.systems.configuration import Configuration
from nudge.paper.systems.configurations import table_two
from nudge.paper.systems.network import PaddedConv
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.own import SCALE_WIDTHS
from nudge.paper.systems.published import PUBLISHED, TABLE_I
from nudge.paper.systems.variants import FINE, PUBLISHED_FALLING, PUBLISHED_WEAK, WEAK
from nudge.paper.tables.study import plain

OWN = ("snn-ep", "snn-bptt", "crnn-ep", "crnn-bptt")
SETS = ("mnist", "fashion-mnist")


def known(data: str, narrow: int = 1, widths: tuple[int, int, int] | None = SCALE_WIDTHS) -> dict:
    """Return configurations by name and variant."""
    return {(c.name, c.variant): c for c in table_two(data, narrow, widths)}


def changes(before: Configuration, after: Configuration) -> dict[str, Any]:
    """Return fields that differ, also in network and dynamics, with their new values; for rates a factor."""
    pairs = (before, after), (before.network, after.network), (before.dynamics, after.dynamics)
    found = {
        field.name: getattr(new, field.name)
        for old, new in pairs
        for field in fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
    }
    if "rates" in found:
        (found["rates"],) = {new / old for old, new in zip(before.rates, after.rates, strict=True)}
    return {
        name: value for name, value in found.items() if name not in ("variant", "why", "network", "dynamics")
    }


def test_tables_hold_what_the_paper_prints():
    assert [
        (t.beta, t.rate, t.prediction, t.free, t.nudged, t.batch, t.epochs) for t in TABLE_I.values()
    ] == [
        (0.1, 0.9, 0.6, 250, 50, 125, 250),
        (0.2, 1.0, 0.6, 350, 50, 125, 250),
    ]
    for of in PUBLISHED.values():
        for name, figures in of.items():
            assert figures.memory == {"snn-ep": 321, "snn-bptt": 2171, "crnn-ep": 309, "crnn-bptt": 3018}.get(
                name
            )
    for data, table in TABLE_I.items():
        printed = [c for c in known(data, widths=None).values() if c.variant == "table-1"]
        assert [c.name for c in printed] == list(OWN)
        for c in printed:
            assert c.network.stages == (PaddedConv(128), PaddedConv(256), Dense(512), Dense(10))
            assert (c.rates, c.batch, c.epochs) == ((0.25, 0.15, 0.1, 0.08), 125, 250)
            assert isinstance(c.dynamics, Dynamics)
            assert (c.dynamics.beta, c.dynamics.rate, c.dynamics.free) == (table.beta, table.rate, table.free)
            assert c.network.softmax == c.name.startswith("crnn")
            assert c.dynamics.spiking == c.dynamics.image_spikes == c.name.startswith("snn")


#: Name, variant before, variant after, and the fields that differ.
CHANGED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("snn-ep", "table-1", "table-1-annealed", {"prediction_decay": 0.5}),
    ("crnn-bptt", "tuned", "tuned half rates", {"rates": 0.5}),
    *((name, "tuned", "tuned centred", {"centred": True}) for name in OWN),
    ("crnn-ep", "tuned centred", "tuned weak feedback", {"feedback": WEAK, "rates": 2}),
    ("snn-ep", "tuned centred", "tuned weak feedback", {"feedback": WEAK, "rates": 4, "fine": FINE}),
]
CITED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("oconnor-3fc", "published", PUBLISHED_FALLING, {}),
    ("ernoult-2c1fc", "published", PUBLISHED_FALLING, {}),
    ("ernoult-2c1fc", PUBLISHED_FALLING, PUBLISHED_WEAK, {"feedback": WEAK, "rates": 4}),
]


@pytest.mark.parametrize("data", SETS)
def test_a_variant_changes_what_its_name_says(data):
    wide, narrow = known(data), known(data, 16, None)
    listed = CHANGED + (CITED if data == "mnist" else [])
    for name, before, after, expected in listed:
        assert changes(wide[name, before], wide[name, after]) == expected, (name, after)
    plainly = {(name, variant) for name in OWN for variant in ("table-1", "tuned")}
    assert {key for key in wide if key[0] in OWN} == plainly | {
        (name, after) for name, _, after, _ in CHANGED
    }
    assert {key for key in narrow if key[0] in OWN} == {*plainly, ("snn-ep", "table-1-annealed")}


def test_a_field_that_is_as_it_always_was_is_no_fact():
    wide = known("mnist")
    assert plain(wide["snn-ep", "tuned centred"]).keys() - plain(wide["snn-ep", "tuned"]).keys() == {
        "centred"
    }


def test_published_rates_fall_where_epochs_are_few():
    """Rates fall only in the budget `scale`, only for works that need it, to a tenth over their epochs."""
    budgets = {
        b.name: {(c.name, c.variant): c for c in table2.configurations(b, "mnist")} for b in table2.BUDGETS
    }
    scale = budgets.pop("scale")
    assert not {variant for found in budgets.values() for _, variant in found} & {
        PUBLISHED_FALLING,
        PUBLISHED_WEAK,
    }
    assert [name for name, found in budgets.items() if ("oconnor-3fc", "tuned weak feedback") in found] == []
    for name, epochs in (("oconnor-3fc", 30), ("ernoult-2c1fc", 10)):
        falling = scale[name, PUBLISHED_FALLING]
        assert changes(scale[name, "published"], falling) == {"decay": falling.decay}
        assert falling.epochs == epochs
        assert falling.decay**epochs == pytest.approx(0.1)


def test_a_cited_network_with_the_dynamics_of_the_papers_own():
    """It has the cited work's stages, and nothing else of that work."""
    found = known("mnist")
    cited, ours = found["oconnor-3fc", "tuned weak feedback"], found["snn-ep", "tuned weak feedback"]
    assert cited.network == replace(found["oconnor-3fc", "published"].network, feedback=WEAK)
    for name in ("dynamics", "batch", "gain", "glorot", "random_sign", "centred", "rule"):
        assert getattr(cited, name) == getattr(ours, name)


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize(
    ("widths", "steps", "falls"), [((32, 64, 256), (32, 16), 0.5), ((31, 64, 256), (16, 8), 0.0)]
)
def test_lambda_falls_where_tuned_spikes_are_wide(data, widths, steps, falls):
    for c in table_two(data, 1, widths):
        if c.variant == "tuned":
            assert isinstance(c.dynamics, Dynamics)
            spikes = c.name == "snn-ep"
            assert (c.dynamics.free, c.dynamics.nudged) == (steps if spikes else (16, 8))
            assert c.dynamics.prediction_decay == (falls if spikes else 0.0)
