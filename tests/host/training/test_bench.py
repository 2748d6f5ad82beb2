"""The benchmark's cycles equal those counted by hand, also where another sample hides them."""

from dataclasses import replace
from itertools import product

import pytest

from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.presets import preset
from nudge.golden.model.batch import trace, train_batch
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import load
from nudge.host.training.bench import bound, events, parts, silent_tiles, windows

SPEC = preset("tiny")
CONFIG = configuration(SPEC)
DATA = load("embedded")


def test_bound_of_tiny_by_hand():
    # layer 1: 4 x 13 x 13 in words of 4 lanes; the dense bundle has 10 post lanes, so one working word a
    # position
    counts = bound(CONFIG, Settings.of(SPEC, free=24, nudged=12), {}, batch=32)
    step = 13 * 13
    # three of nine taps in a cycle: three cycles a pooled position, and pixels wait for the third
    static = 28 * 28 + 13 * 13
    assert counts == {
        "static": static / 32,  # the first sample's; the others' is computed during the sample before
        "free": 24 * step,
        "plus": 12 * step,
        "minus": 12 * step,
        "update": 2 * 9 * 13 * 13 / 32,  # those of the last two samples; later samples hide the others
        "commit": (676 + 1) / 32,
    }
    # with all nine side by side, pixels never wait
    line = bound(configuration(SPEC, "line"), Settings.of(SPEC, free=9), {}, batch=1)
    assert line["static"] == 28 * 28
    assert line["update"] == 9 * 13 * 13


def test_lanes_of_the_image_engine_are_the_taps_that_it_has():
    for engines, taps in (("event", 3), ("line", 9)):
        config = configuration(SPEC, engines)
        part = {part.name: part for part in parts(config, Settings.of(SPEC), {})}["static"]
        assert part.lanes == 4 * taps


def test_windows_of_a_position():
    count = windows(preset("small").bundles[1])
    assert count.sum() == 25 * 16
    # 13 rows: four in each of five windows at stride two; the last row is dropped
    assert count[0, 0] == 1
    assert count[2, 2] == 4
    assert count[12].sum() == 0


def test_events_are_counted_in_golden():
    spec = preset("small")
    config = configuration(spec, "event")
    settings = Settings.of(spec, free=8, nudged=8)
    images, labels = DATA.train_images[:2].numpy(), DATA.train_labels[:2].numpy()
    parameters = initial(spec, 0)
    counted = events(config, settings, parameters, images, labels)
    spikes = train_batch(spec, settings, parameters, images, labels).spikes
    forward, backward = counted[2]
    assert backward == 4 * spikes[1] / 2
    assert spikes[0] / 2 < forward < 4 * spikes[0] / 2
    assert events(configuration(spec, "line"), settings, parameters, images, labels) == {}
    # 8 units, one kernel of each in a cycle
    part = {part.name: part for part in parts(config, settings, counted)}["synapses 2 forward"]
    assert part.cycles == forward / 8
    # two backward passes: each computes half of the sums, and reads the same spikes again
    halved = {part.name: part for part in parts(replace(config, passes=(1, 2)), settings, counted)}[
        "synapses 2 backward"
    ]
    assert (halved.lanes, halved.cycles) == (4 * 32 / 2, 2 * backward / 4)


def test_silent_tiles_are_counted_in_golden():
    spec = preset("tiny")
    settings = Settings.of(spec, free=8, nudged=8)
    images, labels = DATA.train_images[:2].numpy(), DATA.train_labels[:2].numpy()
    parameters = initial(spec, 0)
    config = replace(configuration(spec), lanes=(1, 2, 5))
    (bundle,) = (bundle for bundle in spec.bundles if bundle.kind == "dense")
    tiles = silent = 0
    for image, label in zip(images, labels, strict=True):
        for step in trace(spec, settings, parameters, image, int(label)):
            pre, post = (step.layers[layer.index - 1].s.flatten(1) for layer in (bundle.pre, bundle.post))
            for group, position, row in product(range(2), range(bundle.pre.positions), post.split(5)):
                tiles += 1
                silent += not (pre[2 * group : 2 * group + 2, position].any() or row.any())
    assert 0 < silent < tiles
    assert silent_tiles(config, settings, parameters, images, labels)[bundle.index] == pytest.approx(
        silent / tiles
    )


def test_bound_of_a_conv_bundle_by_hand():
    spec = preset("small")
    config = configuration(spec, "line")
    assert config.lanes[1:3] == (4, 4)
    # 8 -> 16 channels: 2 x 4 pairs of groups of 4, each the 13 x 13 map with a border of 2 for the 3 x 3
    # kernel
    assert bound(config, Settings.of(spec, free=10, nudged=8), {}, batch=1)["free"] == 10 * 2 * 4 * 15 * 15


def test_only_the_ends_of_a_batch_are_alone():
    settings = Settings.of(SPEC)
    alone, full = (bound(configuration(SPEC), settings, {}, batch=batch) for batch in (1, 8))
    assert full["static"] == alone["static"] / 8
    assert full["update"] == 2 * alone["update"] / 8
    assert (full["free"], full["plus"]) == (alone["free"], alone["plus"])


def test_the_compact_core_hides_nothing():
    settings, compact = Settings.of(SPEC), Config(SPEC, (1, 1, 1), compact=True)
    alone, full = (bound(compact, settings, {}, batch=batch) for batch in (1, 8))
    assert (full["static"], full["update"]) == (alone["static"], alone["update"])
