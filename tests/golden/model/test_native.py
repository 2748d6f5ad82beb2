"""The compiled engine equals the plain one on random networks and extreme values."""

import platform
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golden.contract.formats import Formats
from golden.contract.presets import PRESETS
from golden.contract.schedule import ORDERS, Schedule
from golden.contract.shapes import Conv, Dense
from golden.contract.spec import IMAGE_SIDE, Learning, Spec
from golden.model import native
from golden.model.batch import infer, train_batch
from golden.model.parameters import initial, zeros
from golden.model.settings import Settings
from plumbing import compiler
from plumbing.errors import NativeError

from .random_nets import random_images, random_parameters, same_parameters

pytestmark = pytest.mark.skipif(not compiler.available(), reason="no C++ compiler")


@st.composite
def formats(draw) -> Formats:
    """Draw formats narrower and wider than the presets', for each quantity that a study varies."""
    weight, state = draw(st.integers(2, 8)), draw(st.integers(4, 8))
    decoder, master = draw(st.integers(max(weight, state) + 1, min(12, state + 8))), draw(st.integers(13, 17))
    return Formats(
        weight_bits=weight,
        weight_fraction=weight - 1,
        phi_fraction=weight + 1,
        state_fraction=state,
        decoder_fraction=decoder,
        decoder_bits=decoder + 4,
        bias_fraction=decoder,
        bias_bits=decoder + 1,
        master_fraction=master,
        master_bits=master + 3,
    )


@st.composite
def nets(draw) -> Spec:
    """Draw a network of 2 to 5 bundles: 1 to 4 convolutions with kernels 2..5, then dense stages.

    Decay shift and log2 of the window are 0..3; the order is any.
    """
    convs: list[Conv] = []
    side = IMAGE_SIDE
    for _ in range(draw(st.integers(1, 4))):
        # leaves at least one pooled position
        largest = min(5, side - 1)
        if largest < 2:
            break
        kernel = draw(st.integers(2, largest))
        convs.append(Conv(draw(st.integers(1, 3)), kernel))
        side = (side - kernel + 1) // 2
    hidden = [Dense(draw(st.integers(1, 9))) for _ in range(draw(st.integers(0, 4 - len(convs))))]
    window = draw(st.integers(0, 3))
    steps = st.integers(1 << window, (1 << window) + 4)
    schedule = Schedule(draw(steps), draw(steps), window, draw(st.integers(0, 3)), draw(st.sampled_from(ORDERS)))
    stages: tuple[Conv | Dense, ...] = (*convs, *hidden, Dense(10))
    return Spec("random", stages, schedule, Learning(rates=(0.1,) * len(stages)), draw(formats()))


def extreme_or_any(top: int, low: int = 0) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from([low, top]), st.integers(low, top))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    net=nets(),
    seed=st.integers(0, 1 << 32),
    reach=st.sampled_from([0.1, 0.4, 1.0]),
    batch=st.integers(1, 40),
    threads=st.integers(1, 3),
    data=st.data(),
)
def test_native_equals_plain(net, seed, reach, batch, threads, data):
    random, f = np.random.default_rng(seed), net.formats
    parameters = random_parameters(net, random, reach)
    images, labels = random_images(batch, random)
    rates = st.tuples(*(extreme_or_any((1 << f.rate_bits) - 1) for _ in net.bundles))
    beta = data.draw(extreme_or_any((1 << f.beta_bits) - 1, 1))
    registers = Settings(net.schedule.free, net.schedule.nudged, beta, data.draw(rates), data.draw(rates))
    plain = train_batch(net, registers, parameters, images, labels, engine="plain")
    result = train_batch(net, registers, parameters, images, labels, engine="native", threads=threads)
    assert torch.equal(plain.predictions, result.predictions)
    assert plain.spikes == result.spikes
    assert same_parameters(plain.updates, result.updates)
    predictions, spikes = infer(net, registers, parameters, images, engine="native", threads=threads)
    assert torch.equal(predictions, plain.predictions)
    assert all(a <= b for a, b in zip(spikes, plain.spikes, strict=True))


@pytest.mark.parametrize("name", ["tiny", "small", "medium", "large", "wide"])
def test_native_equals_plain_at_full_size_and_extreme_weights(name):
    spec, random = PRESETS[name], np.random.default_rng(4)
    top = (spec.formats.master_low, spec.formats.master_high)
    weights = tuple(torch.from_numpy(random.choice(top, b.weight_shape)) for b in spec.bundles)
    parameters = zeros(spec)._replace(weights=weights)
    images, labels = random_images(17, random)  # one more than the engine's lanes
    images[0] = 255
    window = spec.schedule.window
    registers = replace(Settings.of(spec), free_steps=window, nudged_steps=window, beta=(1 << spec.formats.beta_bits) - 1)
    one, two = (
        train_batch(spec, registers, parameters, images, labels, engine=engine, threads=2)
        for engine in ("plain", "native")
    )
    assert one.spikes == two.spikes
    assert torch.equal(one.predictions, two.predictions)
    assert same_parameters(one.updates, two.updates)


#: Bundles in which an output reads enough words for the matrix unit (`FEWEST_TILED` of cpp/tiles.h), or too
#: few, in each direction; 9 and 16 pooled positions, of which an odd last one is computed alone.
TILED = [
    (Conv(24, 15), Conv(98, 2), Dense(97), Dense(10)),
    (Conv(20, 15), Conv(92, 2), Dense(92), Dense(10)),
    (Conv(5, 10), Conv(100, 3), Dense(33), Dense(10)),
    (Conv(100, 12), Conv(130, 1), Dense(10)),
]


@pytest.mark.parametrize("stages", TILED, ids=str)
@pytest.mark.parametrize("order", ORDERS)
def test_native_equals_plain_where_outputs_see_many_words(stages, order):
    spec = Spec("wide", stages, Schedule(3, 2, 1, order=order), Learning((0.1,) * len(stages)))
    random = np.random.default_rng(8)
    parameters, batch = random_parameters(spec, random, 0.6), random_images(18, random)
    one, two = (train_batch(spec, Settings.of(spec), parameters, *batch, engine=e, threads=2) for e in ("plain", "native"))
    assert one.spikes == two.spikes
    assert all(spikes > 0 for spikes in one.spikes)
    assert torch.equal(one.predictions, two.predictions)
    assert same_parameters(one.updates, two.updates)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are flags of x86 compilers")
@pytest.mark.parametrize("without", [[], ["-mno-avx512f"], ["-mno-avx2"]], ids=str)
def test_each_form_of_the_dot_product_is_equal(without, monkeypatch):
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-mno-amx-int8", *without))
    native.library.cache_clear()
    try:
        test_native_equals_plain_at_full_size_and_extreme_weights("tiny")
        spec, random = PRESETS["small"], np.random.default_rng(7)
        parameters, batch = random_parameters(spec, random, 0.4), random_images(5, random)
        one, two = (train_batch(spec, Settings.of(spec), parameters, *batch, engine=e) for e in ("folded", "native"))
        assert one.spikes == two.spikes
        assert same_parameters(one.updates, two.updates)
    finally:
        native.library.cache_clear()


def test_what_the_words_cannot_hold_is_refused():
    small = PRESETS["small"]
    long = replace(small, schedule=Schedule(64, 64, window_log2=5))
    with pytest.raises(NativeError, match=r"bundle 2: a sum over the averaging window may reach 32768: too much for 16 bits"):
        native.check(long)
    large_maps = replace(small, stages=(Conv(8, 2), Conv(16, 2), *small.stages[2:]), schedule=Schedule(16, 16, window_log2=4))
    with pytest.raises(NativeError, match=r"bundle 2: g may reach 2415919104, .* too much for 32 bits"):
        native.check(large_maps)
    with pytest.raises(NativeError, match="a working weight must fit a byte, not 9 bits"):
        native.check(replace(small, formats=replace(small.formats, weight_bits=9, weight_fraction=8, phi_fraction=10)))
    with pytest.raises(NativeError, match="d and U of 16 and 17 bits: 16 bits of a word are for each"):
        native.check(replace(small, schedule=replace(small.schedule, decay_shift=8)))
    native.check(replace(small, schedule=replace(small.schedule, decay_shift=7)))
    with pytest.raises(NativeError, match="at most 16 layers, not 18"):
        native.check(replace(small, stages=(Conv(2), *[Dense(2)] * 15, Dense(10)), learning=Learning((0.1,) * 17)))


def test_no_images_are_no_update():
    spec = PRESETS["tiny"]
    images, labels = random_images(0, np.random.default_rng(0))
    result = train_batch(spec, Settings.of(spec), initial(spec, 0), images, labels, engine="native")
    assert len(result.predictions) == 0
    assert result.spikes == [0] * len(spec.bundles)
    assert same_parameters(result.updates, zeros(spec))
