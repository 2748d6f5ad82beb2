"""All engines equal scalar loops in random networks of any images, classes, formats, feedback and updates.

50 networks, or NUDGE_NETWORKS if that is set. The first ones, `COVER`, were chosen so that every quantity
reaches its extremes.
"""

import os

import pytest

from nudge.golden.model.fixed import FixedModel
from nudge.plumbing import compiler

from . import page
from .extremes import check
from .random_nets import network_case

#: Engines to compare with the scalar loops.
ENGINES = ("plain", "folded", *(["native"] if compiler.available() else []))

#: Seeds that together reach every extreme; all but the last two are from `python -m tests.golden.model.cover
#: networks 0 1500 13509`.
COVER = (663, 1043, 1318, 182, 83, 322, 756, 806, 1154, 1284, 13509, 749, 1643, 1740, 23, 45)

COUNT = int(os.environ.get("NUDGE_NETWORKS", "50"))
SEEDS = list(dict.fromkeys((*COVER, *range(COUNT))))[:COUNT]


@pytest.mark.parametrize(
    ("seed", "padded"),
    [*((seed, False) for seed in SEEDS), *((seed, True) for seed in range(COUNT // 2))],
)
def test_engines_equal_scalar_loops(seed, padded):
    case = network_case(seed, padded)
    spec, (reference, predictions) = case.spec, case.scalar()
    for engine in ENGINES:
        model, ours = FixedModel(spec, case.settings, case.parameters, engine=engine), []
        for batch in case.batches:
            ours += model.train(case.images[batch], case.labels[batch]).tolist()
            model.commit()
        assert ours == predictions, engine
        assert model.spikes == reference.spikes, engine
        found = model.parameters
        for x, y in zip(
            found.weights + found.biases, (*reference.master_w, *reference.master_b), strict=True
        ):
            assert x.tolist() == y.tolist(), engine
        assert [x.tolist() for x in found.means] == (reference.means if spec.schedule.centred else []), engine


def test_networks_reach_every_extreme():
    check((network_case(seed).scalar()[0].extremes for seed in COVER), page.CALLS)
