"""A hardware configuration refuses invalid values, and every preset has one for both kinds of engines."""

import re
from dataclasses import replace

import pytest

from nudge.boards.catalog import BOARDS
from nudge.golden.contract import event_units
from nudge.golden.contract.config import ENGINES, Config, buildable, configuration
from nudge.golden.contract.lanes import Lanes
from nudge.golden.contract.presets import PRESETS, preset
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Learning, Spec
from nudge.plumbing.errors import ConfigError

SMALL = configuration(preset("small"), "event")


@pytest.mark.parametrize("engines", ENGINES)
@pytest.mark.parametrize("name", PRESETS)
def test_presets(name, engines):
    config = configuration(preset(name), engines)
    assert config.spec is PRESETS[name]
    convs = frozenset(bundle.index for bundle in config.spec.bundles if bundle.kind == "conv")
    named = dict(config.spec.lanes).get(engines)
    scatters = convs if engines == "scatter" else frozenset(named.scatters or ()) if named else frozenset()
    taken = frozenset(bundle.index for bundle in config.spec.bundles if event_units.takes(bundle))
    assert config.scatters == scatters
    assert config.events == (taken - scatters if engines == "event" else frozenset())


def test_without_a_choice_a_preset_has_the_engines_of_the_boards():
    """Otherwise `nudge bench` and `nudge report` would count cycles of different gateware for one network."""
    for fpga in BOARDS.values():
        for name, design in fpga.designs.items():
            default = configuration(preset(name))
            assert design.config.compact or bool(design.config.events) == bool(default.events), (
                fpga.name,
                name,
            )
    assert configuration(preset("medium")) == BOARDS["ulx3s"].designs["medium"].config


def test_an_order_that_no_gateware_has():
    spec = preset("small")
    other = replace(spec, schedule=replace(spec.schedule, order="all"))
    assert configuration(other).lanes == SMALL.lanes  # the model accepts it
    with pytest.raises(
        ConfigError, match="small: the gateware steps odd and even layers in turn, not in the order 'all'"
    ):
        buildable(other)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lanes": (1, 8)}, "lanes must have 5 entries (layers 0..N), not 2"),
        ({"lanes": (1, 3, 8, 8, 1)}, "layer 1: lanes must divide 8 channels, not 3"),
        ({"lanes": (1, 8, 0, 8, 1)}, "layer 2: lanes must divide 16 channels, not 0"),
        ({"arrays": (1, 8)}, "arrays must have 5 entries (layers 0..N), not 2"),
        ({"arrays": (1, 8, 8, 3, 1)}, "layer 3: arrays must divide 8 lanes, not 3"),
        ({"arrays": (1, 8, 0, 8, 1)}, "layer 2: arrays must divide 8 lanes, not 0"),
        ({"slots": 0}, "slots must be 1 to 2, not 0"),
        ({"slots": 3}, "slots must be 1 to 2, not 3"),
        ({"image_taps": 0}, "image_taps must be at least 1, not 0"),
        ({"events": frozenset({3})}, "events must name conv bundles, not bundle 3 (dense)"),
        ({"events": frozenset({9})}, "events must name conv bundles, not bundle 9 (there is none)"),
        (
            {"lanes": (1, 8, 8, 8, 1), "passes": (4, 1)},
            "passes must divide (2, 2) rows of drives of bundle 2, not (4, 1)",
        ),
        (
            {"lanes": (1, 8, 8, 8, 1), "passes": (1, 0)},
            "passes must divide (2, 2) rows of drives of bundle 2, not (1, 0)",
        ),
        ({"scatters": frozenset({3})}, "scatters must name conv bundles, not bundle 3 (dense)"),
        ({"scatters": frozenset({2})}, "scatters must name conv bundles, not bundle 2 (it is in events)"),
        ({"folded": frozenset({2})}, "folded must name bundles in scatters, not bundle 2"),
        ({"shared": frozenset({5})}, "shared must name bundles 1..4, not 5"),
    ],
)
def test_what_is_refused(changed, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        replace(SMALL, **changed)


def test_unknown_engines():
    with pytest.raises(ConfigError, match="engines must be event or line or scatter, not 'fast'"):
        configuration(preset("small"), "fast")


def test_a_board_has_registers_for_eight_stages():
    deep = replace(
        preset("tiny"), stages=(Dense(4),) * 8 + (Dense(10),), learning=Learning((0.1,) * 9), lanes=()
    )
    with pytest.raises(
        ConfigError, match="tiny: a board has registers for 8 stages, not 9: this network is for the model"
    ):
        buildable(deep)


def test_event_engines_are_for_kernels_of_three():
    stages = (Conv(2, 5), Conv(2, 3), Conv(2, 2), Dense(10))
    spec = Spec("kernels", stages, preset("tiny").schedule, Learning((0.1,) * 4))
    assert configuration(spec, "event").events == {2}
    with pytest.raises(
        ConfigError, match=re.escape("kernel 3 without padding, not bundle 3 (kernel 2, padding 0)")
    ):
        replace(configuration(spec, "event"), events=frozenset({3}))


def test_a_table_of_lanes_names_scatter_engines():
    stages = (Conv(2, 5), Conv(2, 3), Conv(2, 3, 1), Dense(10))
    lanes = (("event", Lanes((1, 1, 1, 1, 1), scatters=(2,), folded=(2,))),)
    config = configuration(
        Spec("mixed", stages, preset("tiny").schedule, Learning((0.1,) * 4), lanes=lanes), "event"
    )
    assert (config.events, config.scatters, config.folded) == (frozenset(), frozenset({2}), frozenset({2}))
    assert [config.engine(bundle) for bundle in config.spec.bundles] == ["image", "scatter", "conv", "dense"]


def test_an_image_is_read_a_byte_at_a_time():
    spec = replace(preset("tiny"), input=Input(3, 32, 32))
    with pytest.raises(
        ConfigError, match="layer 0, the image, is read a byte at a time: lanes must be 1, not 3"
    ):
        Config(spec, (3, 1, 1))
