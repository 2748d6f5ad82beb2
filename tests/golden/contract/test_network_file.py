"""Network files: every preset is one, and documents restore their network."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudge.golden.contract import network_file
from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.formats import Formats
from nudge.golden.contract.lanes import Lanes
from nudge.golden.contract.presets import FOLDER, PRESETS, chosen
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Learning, Spec
from nudge.plumbing.errors import SpecError

MINE = """\
name = "mine"
[[stage]]
conv = 6        # channels
kernel = 5
[[stage]]
dense = 24
[[stage]]
dense = 10
[schedule]
order = "odd-even"
free = 12
nudged = 6
window = 4
decay_shift = 1
[learning]
rates = [0.4, 0.2, 0.15]
beta = 0.5
batch = 16
gain = 0.7
"""


def written(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    return file


def test_a_file_says_what_it_says(tmp_path):
    spec = network_file.read(written(tmp_path, MINE))
    expected = Spec(
        "mine",
        (Conv(6, 5), Dense(24), Dense(10)),
        Schedule(12, 6, window_log2=2, decay_shift=1, order="odd-even"),
        Learning((0.4, 0.2, 0.15), beta=0.5, batch=16, gain=0.7),
    )
    assert spec == expected
    assert spec.identity == expected.identity


def test_what_is_left_out_has_a_default(tmp_path):
    spec = network_file.read(written(tmp_path, 'name = "least"\nstage = [{conv = 2}, {dense = 10}]\n'))
    assert spec == Spec(
        "least",
        (Conv(2, 3), Dense(10)),
        Schedule(16, 8, 2, 1, "odd-even"),
        Learning((0.5, 0.16), beta=0.5, batch=32),
    )
    assert spec.formats == Formats()
    assert configuration(spec).lanes == (1, 1, 1)


@pytest.mark.parametrize(
    ("stages", "rates"),
    [
        (1, (0.16,)),
        (2, (0.5, 0.16)),
        (3, (0.5, 0.2, 0.16)),
        (4, (0.5, 0.3, 0.2, 0.16)),
        (6, (0.5, 0.3, 0.3, 0.3, 0.2, 0.16)),
    ],
)
def test_default_rates_fall_from_the_image_to_the_output(stages, rates):
    assert network_file.default_rates(stages) == rates


def test_the_presets_are_all_files_of_their_folder():
    assert set(PRESETS) == {file.stem for file in FOLDER.glob("*.toml")}
    assert {name: spec.name for name, spec in PRESETS.items()} == {name: name for name in PRESETS}
    # boards and weight files carry these
    known = {
        "tiny": 0xDD2686F8,
        "small": 0xF1F2EB10,
        "medium": 0x9A899CED,
        "large": 0xAB9AE845,
        "wide": 0xD55425F7,
    }
    assert {name: PRESETS[name].identity for name in known} == known


@pytest.mark.parametrize("spec", PRESETS.values(), ids=list(PRESETS))
def test_a_document_gives_its_network_back(spec):
    again = network_file.network(json.loads(json.dumps(network_file.document(spec))), "test")
    assert again == spec
    assert again.lanes == spec.lanes
    assert again.identity == spec.identity


#: For each field a value unlike its default and unlike the one in `test_no_field_is_lost_in_a_file`.
OTHERS: dict[str, Any] = {
    "free": 13,
    "nudged": 9,
    "window_log2": 2,
    "decay_shift": 0,
    "order": "all",
    "halvings": (1,),
}
OTHERS |= {"feedback_shift": 1, "fine": (1, 0), "centred": True, "linear_output": True, "vector_field": True}
OTHERS |= {"rates": (0.3, 0.2), "bias_rates": (0.1, 0.1), "beta": 0.75, "initial_means": 9, "image_gain": 3.5}
OTHERS |= {"batch": 33, "gain": 2.0, "decay": 0.5}


@pytest.mark.parametrize("field", [each.name for kind in (Schedule, Learning) for each in fields(kind)])
def test_no_field_is_lost_in_a_file(field):
    """A field without a key would revert to its default in a weight file, and so in `nudge resume`."""
    schedule, learning = Schedule(12, 8, 1, 1, "odd-even"), Learning((0.4, 0.2))
    if hasattr(schedule, field):
        needed: dict[str, Any] = {"fine": (2, 1)} if field in ("linear_output", "vector_field") else {}
        schedule = replace(schedule, **needed | {field: OTHERS[field]})
    else:
        learning = replace(learning, **{field: OTHERS[field]})
    spec = Spec("any", (Conv(2), Dense(10)), schedule, learning)
    again = network_file.network(json.loads(json.dumps(network_file.document(spec))), "test")
    assert (again.schedule, again.learning) == (schedule, learning)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    convs=st.lists(st.builds(Conv, st.integers(1, 64), st.integers(1, 5)), max_size=2),
    dense=st.lists(st.builds(Dense, st.integers(1, 100)), max_size=2),
    free=st.integers(4, 300),
    halvings=st.sets(st.integers(1, 400), max_size=4),
    weak=st.sampled_from([(0, False), (1, False), (0, True)]),
    centred=st.booleans(),
    order=st.sampled_from(["all", "odd-even"]),
    formats=st.builds(Formats.of, st.integers(2, 8), st.integers(13, 16), st.integers(4, 8)),
    batch=st.integers(1, 64),
    shown=st.builds(
        Input, st.sampled_from([1, 3]), st.integers(20, 64), st.integers(20, 64), st.integers(2, 64)
    ),
)
def test_any_network_survives_its_document(
    convs, dense, free, halvings, weak, centred, order, formats, batch, shown
):
    stages = (*convs, *dense, Dense(shown.classes))
    rates = tuple(batch / 1000 for _ in stages)
    shifts = min(weak[0], formats.drive_shift), (1,) * len(stages) * weak[1]
    schedule = Schedule(free, max(free // 2, 4), 2, 1, order, tuple(sorted(halvings)), *shifts, centred)
    ones = (1,) * (len(stages) + 1)
    lanes = (
        ("event", Lanes(ones, passes=(1, 1), kernel_blocks=True)),
        ("ulx3s", Lanes(ones, scatters=(1,), folded=(1,), clock=48, slots=1)),
    )
    spec = Spec("any", stages, schedule, Learning(rates, batch=batch), formats, lanes, shown)
    again = network_file.network(json.loads(json.dumps(network_file.document(spec))), "test")
    assert again == spec
    assert again.lanes == spec.lanes


def test_an_image_of_mnists_is_left_out_of_a_document():
    """Weight files therefore keep the text that they had before other images were possible."""
    assert "input" not in network_file.document(PRESETS["tiny"])
    other = replace(PRESETS["tiny"], input=Input(3, 32, 32))
    assert network_file.document(other)["input"] == {"channels": 3, "height": 32, "width": 32, "classes": 10}
    assert other.identity != PRESETS["tiny"].identity


def test_formats_that_no_file_can_name_have_no_document():
    wide = replace(PRESETS["tiny"], formats=replace(Formats(), master_bits=20, master_fraction=17))
    with pytest.raises(SpecError, match="tiny: its formats are none that a network file can name"):
        network_file.document(wide)


def test_lanes_of_a_kind_of_engine_or_of_a_board(tmp_path):
    event = "[lanes.event]\nlanes = [1, 3, 8, 2]\narrays = [1, 3, 2, 1]\n"
    board = "[lanes.ulx3s]\nlanes = [1, 6, 8, 2]\nclock = 40_000_000\nslots = 1\n"
    spec = network_file.read(written(tmp_path, MINE + event + board))
    config = configuration(spec, "event")
    assert (config.lanes, config.arrays) == ((1, 3, 8, 2), (1, 3, 2, 1))
    assert configuration(spec, "line").lanes == (1, 1, 1, 1)
    assert dict(spec.lanes)["ulx3s"] == Lanes((1, 6, 8, 2), clock=40_000_000, slots=1)
    own = configuration(spec, "event", "ulx3s")
    assert (own.lanes, own.arrays, own.image_taps, own.slots, config.slots) == ((1, 6, 8, 2), (), 3, 1, 2)
    assert configuration(spec, "event", "icebreaker") == config
    assert spec == network_file.read(written(tmp_path, MINE))
    assert isinstance(config, Config)


def test_either_a_preset_or_a_file(tmp_path):
    file = written(tmp_path, MINE)
    assert chosen(None, None) == PRESETS["tiny"]
    assert chosen("small", None) == PRESETS["small"]
    assert chosen(None, file).name == "mine"
    with pytest.raises(SpecError, match=r"--network .*mine.toml: not with --preset small, choose one"):
        chosen("small", file)
