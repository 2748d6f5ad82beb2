"""The compiled engine equals the plain one on random networks and extreme values."""

import platform
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudge.golden.contract.formats import Formats
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.schedule import ORDERS, Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import IMAGE_SIDE, Learning, Spec
from nudge.golden.model import native, ops
from nudge.golden.model.batch import infer, train_batch
from nudge.golden.model.parameters import initial, zeros
from nudge.golden.model.settings import Settings
from nudge.plumbing import compiler
from nudge.plumbing.errors import NativeError

from .random_nets import random_images, random_parameters, random_settings, same_parameters, with_fine_spikes

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
    schedule = Schedule(
        draw(steps), draw(steps), window, draw(st.integers(0, 3)), draw(st.sampled_from(ORDERS))
    )
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
    images, labels = random_images(3, random)
    images[0] = 255
    window = spec.schedule.window
    registers = replace(
        Settings.of(spec), free_steps=window, nudged_steps=window, beta=(1 << spec.formats.beta_bits) - 1
    )
    one, two = (
        train_batch(spec, registers, parameters, images, labels, engine=engine, threads=2)
        for engine in ("plain", "native")
    )
    assert one.spikes == two.spikes
    assert torch.equal(one.predictions, two.predictions)
    assert same_parameters(one.updates, two.updates)


#: Layers of one vector of 16 channels to many, most of them not full; odd and even kernels and maps.
WIDE = [
    (Conv(24, 15), Conv(98, 2), Dense(97), Dense(10)),
    (Conv(20, 15), Conv(92, 2), Dense(92), Dense(10)),
    (Conv(5, 10), Conv(100, 3), Dense(33), Dense(10)),
    (Conv(100, 12), Conv(130, 1), Dense(10)),
    (Conv(7, 4), Conv(272, 4), Dense(10)),
]


@pytest.mark.parametrize("stages", WIDE, ids=str)
@pytest.mark.parametrize("order", ORDERS)
def test_native_equals_plain_in_wide_layers(stages, order):
    spec = Spec("wide", stages, Schedule(3, 2, 1, order=order), Learning((0.1,) * len(stages)))
    random = np.random.default_rng(8)
    parameters, batch = random_parameters(spec, random, 0.6), random_images(18, random)
    one, two = (
        train_batch(spec, Settings.of(spec), parameters, *batch, engine=e, threads=2)
        for e in ("plain", "native")
    )
    assert one.spikes == two.spikes
    assert all(spikes > 0 for spikes in one.spikes)
    assert torch.equal(one.predictions, two.predictions)
    assert same_parameters(one.updates, two.updates)


@pytest.mark.parametrize("rate", [1, 40, 65535])
def test_g_of_more_than_32_bits(rate, monkeypatch):
    """A white image drives layer 1 to 1 in both phases; the nudge alone moves layer 2, from 0 to 1."""
    stages = (Conv(1, 2), Conv(9, 2), Dense(10))
    schedule = Schedule(17, 32, window_log2=4)
    spec = Spec("white", stages, schedule, Learning((0.1,) * 3), input=Input(1, 64, 64))
    parameters, top = zeros(spec), spec.formats.master_high
    parameters.weights[0].fill_(top)
    parameters.weights[2].fill_(-top)[0].fill_(top)
    images, labels = torch.full((2, 1, 64, 64), 255, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    registers = replace(Settings.of(spec), beta=spec.formats.beta_range[-1], weight_rates=(rate,) * 3)
    largest, true = [], ops.update

    def recorded(g, *arguments):
        largest.append(int(g.abs().max()))
        return true(g, *arguments)

    monkeypatch.setattr(ops, "update", recorded)
    one, two = (
        train_batch(spec, registers, parameters, images, labels, engine=engine)
        for engine in ("plain", "native")
    )
    assert max(largest) > 1 << 31
    assert one.spikes == two.spikes
    assert same_parameters(one.updates, two.updates)


#: Channels of hidden layers: two to five vectors of 16, of which the last is seldom full.
CHANNELS = st.integers(17, 80)


@st.composite
def wide_nets(draw) -> Spec:
    """Draw 0 to 2 convolutions and 1 or 2 dense layers, with any order, feedback, fine spikes and commits."""
    kernels = draw(st.lists(st.integers(1, 3), max_size=2))
    hidden = [Conv(draw(CHANNELS), kernel, draw(st.integers(0, (kernel - 1) // 2))) for kernel in kernels]
    dense = [Dense(draw(CHANNELS)) for _ in range(draw(st.integers(0 if hidden else 1, 1)))]
    classes = draw(st.integers(2, 20))
    stages: tuple[Conv | Dense, ...] = (*hidden, *dense, Dense(classes))
    window = draw(st.integers(0, 2))
    free, nudged = (draw(st.integers(1 << window, (1 << window) + 3)) for _ in range(2))
    halvings = tuple(sorted(draw(st.sets(st.integers(1, free), max_size=2))))
    schedule = Schedule(
        free, nudged, window, draw(st.integers(0, 2)), draw(st.sampled_from(ORDERS)), halvings
    )
    shown = Input(1, draw(st.integers(10, 12)), draw(st.integers(10, 12)), classes)
    spec = Spec("random", stages, schedule, Learning((0.1,) * len(stages)), input=shown)
    return with_fine_spikes(lambda low, high: draw(st.integers(low, high)), spec)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(spec=wide_nets(), seed=st.integers(0, 1 << 32), batch=st.integers(1, 20), threads=st.integers(1, 9))
def test_native_equals_plain_with_all_options(spec, seed, batch, threads):
    random = np.random.default_rng(seed)
    parameters, registers = random_parameters(spec, random, 0.5), random_settings(spec, random)
    images, labels = random_images(batch, random, spec.input)
    plain = train_batch(spec, registers, parameters, images, labels, engine="plain")
    native = train_batch(spec, registers, parameters, images, labels, engine="native", threads=threads)
    assert torch.equal(plain.predictions, native.predictions)
    assert plain.spikes == native.spikes
    assert same_parameters(plain.updates, native.updates)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are flags of x86 compilers")
def test_without_avx2_too(monkeypatch):
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-mno-avx2"))
    native.library.cache_clear()
    try:
        test_native_equals_plain_at_full_size_and_extreme_weights("tiny")
        test_native_equals_plain_with_all_options()
        spec, random = PRESETS["small"], np.random.default_rng(7)
        parameters, batch = random_parameters(spec, random, 0.4), random_images(5, random)
        one, two = (
            train_batch(spec, Settings.of(spec), parameters, *batch, engine=e) for e in ("folded", "native")
        )
        assert one.spikes == two.spikes
        assert same_parameters(one.updates, two.updates)
    finally:
        native.library.cache_clear()


def test_what_the_words_cannot_hold_is_refused():
    small = PRESETS["small"]
    long = replace(small, schedule=Schedule(64, 64, window_log2=5))
    with pytest.raises(
        NativeError, match=r"bundle 2: a sum over the averaging window may reach 32768: too much for 16 bits"
    ):
        native.check(long)
    large_maps = replace(
        small, stages=(Conv(8, 2), Conv(16, 2), *small.stages[2:]), schedule=Schedule(16, 16, window_log2=4)
    )
    native.check(large_maps)  # g may reach 2415919104
    with pytest.raises(NativeError, match="a working weight must fit a byte, not 9 bits"):
        native.check(
            replace(small, formats=replace(small.formats, weight_bits=9, weight_fraction=8, phi_fraction=10))
        )
    with pytest.raises(
        NativeError, match=r"d has 16 bits, and U \+ \(xi << k\) reaches 32896: 16 bits are for each"
    ):
        native.check(replace(small, schedule=replace(small.schedule, decay_shift=7)))
    native.check(replace(small, schedule=replace(small.schedule, decay_shift=6)))
    with pytest.raises(NativeError, match="at most 16 layers, not 18"):
        native.check(
            replace(small, stages=(Conv(2), *[Dense(2)] * 15, Dense(10)), learning=Learning((0.1,) * 17))
        )


def test_more_images_than_sums_hold():
    spec = PRESETS["tiny"]
    images = torch.zeros((1, *spec.input.shape), dtype=torch.uint8).expand(1 << 21, -1, -1, -1)
    with pytest.raises(NativeError, match=r"at most 1,398,101 images are learned at once .*, not 2,097,152"):
        native.run(spec, Settings.of(spec), initial(spec, 0), images, torch.zeros(1 << 21, dtype=torch.int64))


def test_no_images_are_no_update():
    spec = PRESETS["tiny"]
    images, labels = random_images(0, np.random.default_rng(0))
    result = train_batch(spec, Settings.of(spec), initial(spec, 0), images, labels, engine="native")
    assert len(result.predictions) == 0
    assert result.spikes == [0] * len(spec.bundles)
    assert same_parameters(result.updates, zeros(spec))
