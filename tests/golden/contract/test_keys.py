"""The limits and defaults of all keys in docs/networks.md are those that a network file has."""

import ast
import re
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from nudge.golden.contract.network_file import DEFAULTS, FORMATS, OPTIONAL, default_rates, network
from nudge.plumbing.errors import SpecError

PAGE = Path(__file__).parents[3] / "docs/networks.md"
KEYS = PAGE.read_text().partition("## Keys")[2].partition("| `[lanes.NAME]`")[0]

#: For each table of a file its keys, each with the cells "allowed" and "left out" of the page.
TABLES: dict[str, dict[str, tuple[str, str]]] = {}
for line in re.findall(r"^\| (`.*) \|$", KEYS, re.M):
    key, _, allowed, left_out = (cell.strip(" `") for cell in line.split("|"))
    if key.startswith("["):
        TABLES[key.strip("[]")] = found = {}
    elif TABLES:
        found[key] = allowed, left_out

#: (table, key, lowest, highest) of each key that is a whole number.
LIMITS: list[tuple[str, str, int, int]] = [
    (table, key, int(limits[1]), int(limits[2]))
    for table, keys in TABLES.items()
    for key, (allowed, _) in keys.items()
    if (
        limits := re.match(
            r"(\d+) to (\d+)\b", allowed.replace("window`", str(DEFAULTS["schedule"]["window"]))
        )
    )
]


def accepted(**tables: Any) -> bool:
    """Return whether a network with these tables is valid, with rates of 0, which any register holds.

    Images have 64x64 pixels, or 8x8 if a stage has more than 64 channels or units.
    """
    side = 8 if max(tables.get("stage", {}).values(), default=0) > 64 else 64
    known = {
        "name": "x",
        "input": {"height": side, "width": side},
        "stage": [{"conv": 2}, {"dense": tables.get("input", {}).get("classes", 10)}],
        "learning": {"rates": [0, 0]},
    }
    for name, values in tables.items():
        known[name] = [values, {"dense": 10}] if name == "stage" else known.get(name, {}) | values
    with suppress(SpecError):
        network(known, "x")
        return True
    return False


def test_the_keys_are_those_of_a_file():
    for table, defaults in DEFAULTS.items():
        assert TABLES[table].keys() - {"rates", *OPTIONAL} == defaults.keys()
        for key, value in defaults.items():
            said = (
                "none"
                if value == ()
                else str(value).lower()
                if type(value) is bool
                else str(value).removesuffix(".0")
            )
            assert TABLES[table][key][1].strip('"') == said, key


@pytest.mark.parametrize(("table", "key", "low", "high"), LIMITS, ids=[key for _, key, *_ in LIMITS])
def test_limits_of_whole_numbers(table, key, low, high):
    rest = {"conv": 2} if key == "kernel" else {}
    found = [accepted(**{table: rest | {key: x}}) for x in (low - 1, low, high, high + 1)]
    assert found == [False, True, True, False]


def test_most_keys_have_limits():
    assert {key for _, key, *_ in LIMITS} >= {
        "height",
        "classes",
        "kernel",
        "dense",
        "free",
        "decay_shift",
        "batch",
        *FORMATS,
    }


def test_feedback_and_fine_spikes_of_every_format():
    of_feedback, of_fine = (TABLES["schedule"][key][0] for key in ("feedback_shift", "fine"))
    (feedback,), (fine,) = (
        re.findall("^0 to `(.*)`, at most 8$", of_feedback),
        re.findall("^each 0 to 12, less than the one before by 0 to `(.*)$", of_fine),
    )
    for bits in product(*(range(low, high + 1) for low, high in FORMATS.values())):
        formats = dict(zip(FORMATS, bits, strict=True))
        room = eval(feedback, dict(formats))
        assert eval(fine, dict(formats)) == room
        shifts = [x for x in range(12) if accepted(schedule={"feedback_shift": x}, formats=formats)]
        assert shifts == list(range(min(room, 8) + 1))
        pairs = [(a, 5) for a in range(18)] + [(x, x) for x in range(-1, 14)]
        found = [pair for pair in pairs if accepted(schedule={"fine": list(pair)}, formats=formats)]
        assert found == [(a, b) for a, b in pairs if 0 <= b <= a <= min(12, b + room)], formats


@pytest.mark.parametrize(
    ("steps", "k", "right"),
    [
        ([1, 4095], 1, True),
        ([0], 1, False),
        ([4096], 1, False),
        ([3, 3], 1, False),
        ([4, 3], 1, False),
        ([1, 2, 3], 12, True),
        ([1, 2, 3], 13, False),
    ],
)
def test_steps_of_halvings(steps, k, right):
    assert TABLES["schedule"]["halvings"][0] == "each 1 to 4095, rising; k ends at most at 15"
    assert accepted(schedule={"halvings": steps, "decay_shift": k}) == right


def test_beta_is_what_a_register_holds():
    assert TABLES["learning"]["beta"][0] == "what rounds to 1/256 .. 511/256"
    for beta in (0, 0.5 / 256, 0.51 / 256, 1 / 256, 511 / 256, 511.49 / 256, 511.5 / 256, 2):
        assert accepted(learning={"beta": beta}) == (1 <= round(beta * 256) <= 511), beta


def test_rates_that_are_left_out():
    lists = [tuple(ast.literal_eval(x)) for x in re.findall(r"(\[.*?\])", TABLES["learning"]["rates"][1])]
    assert lists == [default_rates(stages) for stages in range(1, 5)]
    assert default_rates(6) == (0.5, 0.3, 0.3, 0.3, 0.2, 0.16)
