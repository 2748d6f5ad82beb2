"""Chosen lanes fit the part, are reproducible, and no others are faster by more than 5 %."""

from dataclasses import replace

import pytest

from nudge.boards.estimate.fit import config_of
from nudge.boards.estimate.lanes import Search, as_table, lanes_of
from nudge.boards.estimate.part import PARTS
from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.network_file import network
from nudge.golden.contract.presets import preset
from nudge.golden.model import activity
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import load
from nudge.plumbing.errors import DesignError

#: Window of a ULX3S' link.
WINDOW = 32
LARGEST = PARTS["LFE5U-85F"]


def counted(spec, samples=4):
    digits = load("embedded")
    images, labels = digits.train_images[:samples], digits.train_labels[:samples]
    return activity.count(spec, Settings.of(spec), initial(spec, 0), images, labels)


@pytest.fixture(scope="module")
def mine():
    return network(
        {"name": "mine", "stage": [{"conv": 6, "kernel": 5}, {"dense": 24}, {"dense": 10}]}, "mine"
    )


@pytest.mark.parametrize("name", ["tiny", "small"])  # `medium` is beyond the limits of the choice
def test_no_preset_by_hand_is_faster_by_more_than_five_percent(name):
    """On a ULX3S with stored samples, the lanes of a preset's file are at most 5 % faster than the chosen."""
    spec = preset(name)
    search = Search(spec, LARGEST, counted(spec), WINDOW, stores=True)
    by_hand, best = configuration(spec, "event"), search.best()
    by_hand = by_hand if by_hand.arrays else replace(by_hand, arrays=by_hand.lanes)
    assert search.fits(search.size(by_hand))
    assert search.fits(search.size(best))
    assert search.cycles(best) <= 1.05 * search.cycles(by_hand)


def test_what_could_not_be_routed_is_not_chosen():
    """`small` with 16 lanes in layer 2 is not chosen: hardly any seed was routed, although it has fewer cells
    than designs that were."""
    tried = config_of("small-16")
    search = Search(tried.spec, LARGEST, counted(tried.spec), WINDOW)
    size = search.size(tried)
    assert size.fits(LARGEST)
    assert size.cells <= LARGEST.routable * LARGEST.cells
    assert not search.fits(size), "for its flip-flops"
    assert Search(tried.spec, LARGEST, counted(tried.spec), WINDOW, stores=True).best().lanes != tried.lanes


def test_a_memory_for_samples_takes_its_part(mine):
    with_memory, without = (
        Search(mine, LARGEST, counted(mine), WINDOW, stores=stores) for stores in (True, False)
    )
    more, less = (search.size(search.plain) for search in (with_memory, without))
    assert (more.cells - less.cells, more.registers - less.registers) == pytest.approx((3179, 1015), abs=1)
    assert (more.blocks - less.blocks, more.multipliers) == (1, less.multipliers)


def test_the_same_again(mine):
    found = [Search(mine, LARGEST, counted(mine), WINDOW).best() for _ in range(2)]
    assert found[0] == found[1]


def test_a_smaller_part_gets_fewer(mine):
    large, small = (Search(mine, PARTS[name], counted(mine), WINDOW) for name in ("LFE5U-85F", "LFE5U-45F"))
    assert small.fits(small.size(small.best()))
    assert small.cycles(small.best()) >= large.cycles(large.best())


@pytest.mark.parametrize(("padding", "part", "scatters"), [(1, "LFE5U-45F", (2,)), (0, "LFE5U-85F", None)])
def test_engines_are_chosen_for_each_convolution(padding, part, scatters):
    """A scatter engine is faster than the line engine that fits a small part, an event engine than both."""
    schedule = {
        "free": 12,
        "nudged": 8,
        "decay_shift": 0,
        "halvings": [1, 4],
        "feedback_shift": 2,
        "fine": [6, 4, 1],
    }
    stages = [{"conv": 8}, {"conv": 16, "padding": padding}, {"dense": 10}]
    spec = network({"name": "e", "stage": stages, "schedule": schedule}, "e")
    search = Search(spec, PARTS[part], counted(spec, 2), WINDOW)
    best = search.best()
    assert lanes_of(best).scatters == scatters
    others = [
        c for c in search.choices() if bool(c.scatters) != bool(scatters) and search.fits(search.size(c))
    ]
    assert all(search.cycles(best) < search.cycles(search.widest(config)) for config in others)


def test_one_slot_only_where_nothing_with_two_fits(mine):
    search = Search(mine, LARGEST, counted(mine), WINDOW)
    least = [min(search.size(config).blocks for config in search.choices(slots)) for slots in (1, 2)]
    assert least[0] < least[1]
    for blocks, slots in ((least[1], 2), (least[1] - 1, 1)):
        smaller = Search(mine, replace(LARGEST, blocks=blocks), counted(mine), WINDOW)
        best = smaller.best()
        assert smaller.fits(smaller.size(best))
        assert (best.slots, lanes_of(best).slots) == (slots, None if slots == 2 else 1)


def test_no_choice_is_better(mine):
    """The chosen design is within 2 % of the fastest of all `widest` designs that fit."""
    search = Search(mine, LARGEST, counted(mine), WINDOW)
    fewest = min(
        search.cycles(wide) for wide in map(search.widest, search.choices()) if search.fits(search.size(wide))
    )
    assert search.cycles(search.best()) <= 1.02 * fewest


@pytest.mark.parametrize(
    "stages", [[{"dense": 10}], [{"dense": 12}, {"dense": 10}]], ids=["one stage", "two"]
)
def test_no_convolution(stages):
    """Without a convolution the first stage gets several lanes, since its static drive takes a cycle per
    pixel and group of lanes."""
    spec = network({"name": "flat", "stage": stages}, "flat")
    search = Search(spec, LARGEST, counted(spec), WINDOW)
    best = search.best()
    assert search.fits(search.size(best))
    assert search.cycles(best) < search.cycles(search.plain)
    assert best.lanes[1] > 1


def test_a_network_file_takes_them(mine):
    lanes = lanes_of(Search(mine, LARGEST, counted(mine), WINDOW).best())
    table = as_table(lanes)
    again = network({"name": "mine", "stage": [{"conv": 6, "kernel": 5}, {"dense": 24}, {"dense": 10}]} | {
        "lanes": {"ulx3s": table}
    }, "mine")  # fmt: skip
    assert dict(again.lanes)["ulx3s"] == lanes
    config = configuration(again, "event", "ulx3s")
    assert isinstance(config, Config)
    assert lanes_of(config) == lanes


def test_what_fits_nowhere():
    spec = network(
        {"name": "big", "stage": [{"conv": 32, "kernel": 5}, {"dense": 256}, {"dense": 10}]}, "big"
    )
    search = Search(spec, LARGEST, counted(spec, 2), WINDOW)
    with pytest.raises(DesignError, match=r"even the smallest design takes about .* block RAMs"):
        search.best()
    assert not search.fits(search.size(search.closest()))


def test_the_smallest_where_none_is_likely_to_be_routed():
    spec = network({"name": "d", "stage": [{"conv": 6}, {"conv": 12}, {"conv": 12}, {"dense": 10}]}, "d")
    search = Search(spec, replace(PARTS["LFE5U-45F"], routable=0.25), counted(spec, 2), WINDOW)
    best = search.best()
    assert not search.fits(search.size(best))
    assert search.size(best).fits(search.part)
    others = [size for size in map(search.size, search.choices()) if size.fits(search.part)]
    assert search.size(best).cells == min(size.cells for size in others)
