"""Any network, of any image, classes and formats, with any feedback, spikes and updates: all engines equal scalar loops.

50 networks; as many as NUDGE_NETWORKS says where that is set.
"""

import os
from dataclasses import replace

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golden import compiler
from golden.contract.formats import Formats
from golden.contract.network_file import FORMATS
from golden.contract.spec import Spec
from golden.model.fixed import FixedModel

from .random_nets import any_spec, random_images, random_parameters, random_settings, with_fine_spikes
from .scalar_model import ScalarModel

#: Engines beside the scalar loops.
ENGINES = ("plain", "folded", *(["native"] if compiler.available() else []))


@st.composite
def networks(draw, side: int = 12, *, fine: bool = False) -> Spec:
    def choose(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    formats = Formats.of(*(choose(low, high) for low, high in FORMATS.values()))
    spec = replace(any_spec(choose, side), formats=formats)
    return with_fine_spikes(choose, spec) if fine else spec


@settings(
    max_examples=int(os.environ.get("NUDGE_NETWORKS", "50")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(spec=networks() | networks(fine=True), seed=st.integers(0, 1 << 32), reach=st.sampled_from([0.1, 0.4, 1.0]))
def test_engines_equal_scalar_loops(spec, seed, reach):
    random = np.random.default_rng(seed)
    parameters, registers = random_parameters(spec, random, reach), random_settings(spec, random)
    images, labels = random_images(2, random, spec.input)
    reference = ScalarModel(spec, *([x.numpy() for x in group] for group in parameters))
    predictions = [reference.train(x.numpy(), int(y), **vars(registers)) for x, y in zip(images, labels, strict=True)]
    reference.commit()
    for engine in ENGINES:
        model = FixedModel(spec, registers, parameters, engine=engine)
        assert model.train(images, labels).tolist() == predictions, engine
        assert model.spikes == reference.spikes, engine
        model.commit()
        found, wanted = model.parameters, (*reference.master_w, *reference.master_b)
        for ours, theirs in zip(found.weights + found.biases, wanted, strict=True):
            assert torch.equal(ours, torch.tensor(theirs.astype(np.int64))), engine
        assert [x.tolist() for x in found.means] == (reference.means if spec.schedule.centred else []), engine
