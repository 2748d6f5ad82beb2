"""The estimate's memories equal those of the elaborated units: widths, depths, read ports, write enables."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from amaranth.hdl import Fragment
from amaranth.hdl._mem import MemoryInstance
from amaranth.utils import bits_for

from nudge.boards.estimate import memories
from nudge.boards.estimate.mapping import Shape
from nudge.boards.estimate.units import ENGINES
from nudge.golden.contract.config import configuration
from nudge.golden.contract.network_file import network
from nudge.hw.core.core import SYNAPSE_ENGINES, UPDATE_ENGINES
from nudge.hw.core.deviation_array import array_of
from nudge.hw.core.image_buffer import ImageBuffer
from nudge.hw.core.totals import Totals
from nudge.hw.core.weights import Weights
from nudge.hw.lib.block_memory import BLOCK, STYLE, UNDEFINED

CONV, WIDE = {"conv": 4}, {"conv": 6, "kernel": 5}
NETWORKS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "one convolution": ([CONV, {"dense": 10}], {"lanes": [1, 2, 5]}),
    "turns": (
        [WIDE, {"dense": 24}, {"dense": 10}],
        {"lanes": [1, 6, 8, 2], "arrays": [1, 3, 2, 1], "image_taps": 4},
    ),
    "events": ([CONV, {"conv": 6}, {"dense": 10}], {"lanes": [1, 2, 3, 1], "passes": [2, 4], "shared": [2]}),
    "blocks": (
        [CONV, {"conv": 6}, {"dense": 10}],
        {"lanes": [1, 2, 3, 1], "passes": [1, 2], "kernel_blocks": True},
    ),
    "few words": ([CONV, {"dense": 4}, {"dense": 10}], {"lanes": [1, 2, 4, 5]}),
    "no convolution": ([{"dense": 12}, {"dense": 10}], {"lanes": [1, 4, 5], "shared": [1]}),
    "fine": (
        [CONV, {"conv": 6}, {"dense": 8}, {"dense": 10}],
        {"lanes": [1, 2, 3, 4, 5], "arrays": [1, 2, 3, 2, 1]},
    ),
    "padded": (
        [CONV, {"conv": 6, "padding": 1}, {"conv": 3, "kernel": 5}, {"dense": 10}],
        {"lanes": [1, 2, 3, 1, 5]},
    ),
    "three": ([{"conv": 2}, CONV, CONV, {"dense": 10}], {"lanes": [1, 2, 4, 1, 10]}),
}
COMPUTED = {
    "image engine": memories.image_engine,
    "pixel engine": memories.pixel_engine,
    "dense engine": memories.dense_engine,
    "event engine": memories.event_engine,
    "scatter engine": memories.scatter_engine,
    "line engine": memories.line_engine,
}


def walked(unit):
    """Count the memories in an elaborated unit by `Shape`, including read ports that nothing uses."""
    found: Counter[Shape] = Counter()
    left = [Fragment.get(unit, object())]
    while left:
        fragment = left.pop()
        left += [sub for sub, *_ in fragment.subfragments]
        if isinstance(fragment, MemoryInstance):
            (write,), reads = fragment._write_ports, fragment._read_ports
            combinational = all(read._domain == "comb" for read in reads)
            found[
                Shape(
                    len(write._data),
                    fragment._data._depth,
                    len(reads),
                    len(write._en),
                    combinational,
                    combinational or UNDEFINED in fragment._attrs,
                    fragment._attrs.get(STYLE) == BLOCK,
                )
            ] += 1
    return found


def computed(shapes):
    found: Counter[Shape] = Counter()
    for shape in shapes:
        fields = vars(shape) | {"count": 1}
        found[Shape(**fields)] += shape.count
    return found


@pytest.mark.parametrize("slots", [2, 1])
@pytest.mark.parametrize("engines", ["event", "line", "scatter"])
@pytest.mark.parametrize("name", NETWORKS)
def test_of_every_unit(name, engines, slots):
    stages, lanes = NETWORKS[name]
    schedule = {"fine": [8, 6, 4, 1], "feedback_shift": 2, "free": 16, "nudged": 16, "centred": True}
    fine = {"schedule": schedule} if name == "fine" else {}
    spec = network({"name": "n", "stage": stages, "lanes": {engines: lanes | {"slots": slots}}} | fine, "n")
    config = configuration(spec, engines)
    config = replace(config, folded=config.scatters if name == "padded" else frozenset())
    for bundle in spec.bundles:
        kind = config.engine(bundle)
        assert walked(SYNAPSE_ENGINES[kind](config, bundle)) == computed(
            COMPUTED[ENGINES[kind]](config, bundle)
        )
        update = memories.no_memory if bundle.full else memories.conv_update
        assert walked(UPDATE_ENGINES[bundle.kind](config, bundle)) == computed(update(config, bundle))
        assert walked(Weights(config, bundle)) == computed(memories.weight_memory(config, bundle))
        if fine:
            assert walked(Totals(config, bundle)) == computed(memories.totals(config, bundle))
        expected = computed(memories.neuron_array(config, bundle.post))
        if fine:
            if bundle is spec.bundles[-1]:
                # as below, for the means and for the rounded differences, which have a memory of their own
                words = slots << bits_for(config.words(bundle.post) - 1)
                means, rounded = (Shape(5 * bits, words) for bits in (spec.sum_bits, spec.sum_bits + 2))
                expected += Counter([replace(means, reads=2), rounded])
                expected[means] -= 1
        elif bundle is spec.bundles[-1]:
            # the elaborated array has a second read port, for sums of a pre layer, unused in the output layer
            sums = replace(memories.neuron_array(config, bundle.post)[3], count=1)
            expected[sums] -= 2
            expected[Shape(sums.width, sums.depth, reads=2)] += 2
        assert walked(array_of(config, bundle.post)) == expected
    assert walked(ImageBuffer(config)) == computed(memories.shell(config, 1)[:1])
