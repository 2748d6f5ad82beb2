"""docs/arithmetic.md agrees with the code in every format: constants, formulas at their limits, random draws.

`test_random_networks` tests whole networks: its scalar model executes the page.
"""

import math
from dataclasses import fields, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nudge.golden.contract import schedule
from nudge.golden.contract.formats import Formats
from nudge.golden.contract.network_file import FORMATS
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.registers import rate_scale
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Learning, Spec
from nudge.golden.model import centring, fine_spikes, ops
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import Parameters, initial, mean
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import GIVEN, Data, Source
from nudge.golden.training.epoch import augmented, order
from nudge.golden.training.loop import train
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop

from . import page
from .random_nets import MINUSCULE, random_images
from .scalar_model import ScalarModel

#: All formats that a network file can name.
EVERY = [Formats.of(*bits) for bits in product(*(range(low, high + 1) for low, high in FORMATS.values()))]


def with_formats(formats: Formats, **changed) -> Spec:
    return replace(MINUSCULE, formats=formats, schedule=replace(MINUSCULE.schedule, **changed))


def test_constants_of_every_format():
    assert len(page.CONSTANTS) > 20
    assert {name: int(usual) for name, _, usual in page.CONSTANTS} == {
        name: getattr(Formats(), name, vars(schedule).get(name)) for name, *_ in page.CONSTANTS
    }
    for formats in EVERY:
        found = page.of(with_formats(formats))
        assert [getattr(found, name) for name, *_ in page.CONSTANTS] == [
            getattr(formats, name, vars(schedule).get(name)) for name, *_ in page.CONSTANTS
        ], formats


def test_every_format_is_on_the_page():
    """The page states the width of each format; for biases it states the bounds."""
    named = {name for name, *_ in page.CONSTANTS} | {*page.FORMATS, "bias_bits"}
    assert {each.name for each in fields(Formats)} - named == set()


@pytest.mark.parametrize("first", ["convolution", "dense"])
def test_shifts_of_every_format(first):
    for formats in EVERY:
        spec = with_formats(formats, window_log2=2)
        if first == "dense":
            spec = replace(
                spec, stages=(Dense(7), *spec.stages[2:]), learning=replace(spec.learning, rates=(0.1,) * 3)
            )
        found = page.of(spec)
        assert found.static_shift(dense=first == "dense") == spec.static_shift
        assert found.bias_shift() == spec.bias_shift
        for bundle in spec.bundles:
            assert found.weight_shift(bundle.on_image, bundle.full) == spec.weight_shift(bundle)


def extremes(low: int, high: int) -> st.SearchStrategy[int]:
    corners = {x for x in (low, low + 1, -1, 0, 1, high - 1, high) if low <= x <= high}
    return st.sampled_from(sorted(corners)) | st.integers(low, high)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_a_neurons_step_at_its_limits(data):
    f = data.draw(st.sampled_from(EVERY))
    feedback, k = (
        data.draw(st.integers(0, min(f.drive_shift, schedule.MAX_FEEDBACK_SHIFT))),
        data.draw(st.integers(0, 15)),
    )
    below, point, above = sorted(
        data.draw(st.lists(st.integers(0, f.drive_shift), min_size=3, max_size=3)), reverse=True
    )
    spec = with_formats(f, feedback_shift=feedback, fine=(below, point, point, above), decay_shift=min(k, 15))
    found = page.of(spec)

    def draw(low: int, high: int) -> int:
        return data.draw(extremes(low, high))

    forward, backward = (draw(-(1 << f.phi_fraction + 5), 1 << f.phi_fraction + 5) for _ in range(2))
    d, bias, U = (
        draw(f.decoder_low, f.decoder_high),
        draw(f.bias_low, f.bias_high),
        draw(-(f.one << k), f.one << k),
    )
    xi, beta, sign, label = (
        draw(0, f.one),
        draw(1, f.beta_range[-1]),
        data.draw(st.sampled_from([-1, 1])),
        draw(0, 1),
    )
    following = k + data.draw(st.integers(0, 1))
    state = ops.State(*map(torch.tensor, (d, U, 0, xi)))

    def ours(deviating: bool, n: int) -> tuple[torch.Tensor, int]:
        return ops.drive(torch.tensor(forward), torch.tensor(backward), spec.drive_shifts(n, deviating))

    nudged = ops.nudge(torch.tensor(xi), torch.tensor(f.one * label), beta, sign, f)
    assert found.nudge(xi, label, beta, sign) == int(nudged)
    phi, shift = ours(False, 2)
    drive = found.drive(forward, backward)
    assert drive == int(phi) << shift
    wanted = ops.neuron(state, phi, torch.tensor(bias), nudged, spec, k, following, shift)
    assert found.neuron(d, U, drive, bias, int(nudged), k, following) == tuple(map(int, wanted))
    begun, base = fine_spikes.begin_deviation(state, torch.tensor(bias), spec, k)
    v0, xi0, V = found.begin(d, U, xi, bias, k)
    assert (v0, xi0, V) == (int(base.v), int(base.xi), int(begun.U))
    moved = begun._replace(d=torch.tensor(draw(f.decoder_low, f.decoder_high)))
    phi, shift = ours(True, 2)
    drive = found.fine_drive(forward, backward, point, below, point)
    assert drive == int(phi) << shift
    wanted = fine_spikes.deviation(moved, base, phi, nudged, spec, 2, shift, k)
    assert found.fine_neuron(int(moved.d), V, drive, v0, int(nudged), k, point, False) == tuple(
        map(int, wanted)
    )
    if above:
        # layer 4 is the output; its binary point is `above`
        linear = replace(spec, schedule=replace(spec.schedule, linear_output=True))
        wanted = fine_spikes.deviation(moved, base, torch.tensor(drive), nudged, linear, 4, 0, k)
        assert found.fine_neuron(int(moved.d), V, drive, v0, int(nudged), k, above, True) == tuple(
            map(int, wanted)
        )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_masters_at_their_limits(data):
    f = data.draw(st.sampled_from(EVERY))
    spec = with_formats(f, centred=True)
    found, bundle = page.of(spec), spec.bundles[-1]

    def draw(low: int, high: int) -> int:
        return data.draw(extremes(low, high))

    master = draw(f.master_low, f.master_high)
    assert found.working_weight(master) == int(ops.working_weight(torch.tensor(master), f))
    assert found.working_bias(master) == int(ops.working_bias(torch.tensor(master), f))
    g, rate = draw(-spec.correlation_bound(bundle), spec.correlation_bound(bundle)), draw(0, f.rate_range[-1])
    shift = spec.weight_shift(bundle)
    assert found.update(g, rate, shift) == int(ops.update(torch.tensor(g), rate, shift, f.update_bound))
    # one output that reads three channels, in a batch of five
    pre, most = bundle.pre.channels, f.update_bound * f.max_batch
    w, dw = ([draw(-m, m - 1) for _ in range(pre)] for m in (-f.master_low, most))
    b, db, means = (
        draw(f.master_low, f.master_high),
        draw(-most, most),
        [draw(0, 33 << f.bias_fraction) for _ in range(pre)],
    )
    read = [draw(0, 5 * spec.read_bound(bundle)) for _ in range(pre)]
    # the bundle has ten outputs, here all alike
    before, updates = (
        (torch.tensor([ws] * 10), torch.tensor([bs] * 10), torch.tensor(ms))
        for ws, bs, ms in ((w, b, means), (dw, db, read))
    )
    weights, biases, followed = centring.commit_bundle(spec, bundle, before, updates, 5)
    assert found.centred(w, b, dw, db, means) == (weights[0].tolist(), int(biases[0]))
    assert [
        found.follow(m, total, 5 * bundle.pre.positions, False) for m, total in zip(means, read, strict=True)
    ] == (followed.tolist())


@pytest.mark.parametrize(("gain", "image_gain"), [(0.7, 1.0), (3.0, 0.3), (1.3, 4.0), (100.0, 100.0)])
@pytest.mark.parametrize("spec", [MINUSCULE, PRESETS["cifar"]], ids=lambda spec: spec.name)
def test_initial_weights(spec, gain, image_gain):
    spec = replace(spec, learning=replace(spec.learning, gain=gain, image_gain=image_gain))
    drawn = page.of(spec).initial(7, gain, image_gain, [b.weight_shape for b in spec.bundles])
    for wanted, found in zip(initial(spec, 7).weights, drawn, strict=True):
        assert np.array_equal(wanted.numpy(), found)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.floats(1, 65535),
    st.floats(0.1, 3),
    st.floats(0.5, 1),
    st.integers(0, 60),
    st.floats(0.01, 1.9),
    st.integers(1, 64),
    st.integers(0, 3),
    st.sampled_from([(), (3, 2, 1, 0)]),
)
def test_registers(first, lr_scale, decay, epoch, beta, batch, feedback, fine):
    """first: approximate value of all rates' registers in the first epoch."""
    spec = with_formats(Formats(), feedback_shift=feedback, fine=fine)
    found, lsb = page.of(spec), 2 * beta * batch / (1 << spec.formats.rate_fraction)
    rates = tuple(min(first, 65534) * lsb / rate_scale(spec, b) / lr_scale for b in spec.bundles)
    learning = replace(
        spec.learning, rates=tuple(x * lr_scale for x in rates), beta=beta, batch=batch, decay=decay
    )
    wanted = Settings.of(spec, learning, epoch=epoch)
    assert found.beta_register(beta) == wanted.beta
    for rate, register, above, point in zip(
        rates, wanted.weight_rates, (3, 2, 1, 0), fine or (0,) * 4, strict=True
    ):
        assert found.rate_register(rate, lr_scale, decay, epoch, beta, batch, above, point) == register
    assert found.rate_register(0, lr_scale, decay, epoch, beta, batch, 0, 0) == 0


@pytest.mark.parametrize(("shift", "flip"), [(0, True), (1, False), (4, True)])
@pytest.mark.parametrize("channels", [1, 3])
def test_order_and_moves(shift, flip, channels):
    found = page.of(MINUSCULE)
    assert np.array_equal(found.order(20, 5, 2), order(20, 5, 2))
    images = np.random.default_rng(0).integers(0, 256, (20, channels, 9, 8), np.uint8)
    numbers = order(20, 5, 2)[:8]
    moved = augmented(images[numbers], numbers, shift, flip, 5, 2)
    for image, number in zip(moved, numbers, strict=True):
        assert np.array_equal(found.shown(images[number], int(number), shift, flip, 5, 2), image)


def test_averages():
    several = [
        Parameters((torch.tensor([[x, -x, 3]]),), (torch.tensor([x]),), (torch.tensor([x + 7]),))
        for x in (5, 6, -8, 9)
    ]
    wanted = mean(several)
    for which in ("weights", "biases", "means"):
        columns = zip(*(getattr(x, which)[0].flatten().tolist() for x in several), strict=True)
        assert list(map(page.of(MINUSCULE).average, columns)) == getattr(wanted, which)[0].flatten().tolist()


@pytest.mark.parametrize("centred", [False, True])
def test_a_run_from_its_seed_to_its_average(tmp_path, centred):
    """The page alone predicts three epochs of moved and mirrored images, and the mean of the last two."""
    shape, fine = Input(1, 9, 8, classes=3), (4, 3, 1)
    schedule = Schedule(6, 5, 1, 0, "odd-even", (2,), feedback_shift=1, fine=fine, centred=centred)
    of_weights, of_biases = (0.3, 0.2, 0.1), (0.2, 0.1, 0.0)
    learning = Learning(of_weights, of_biases, beta=0.4, batch=4, gain=1.3, decay=0.7)
    spec = Spec("small", (Conv(2), Dense(4), Dense(3)), schedule, learning, Formats.of(7, 15, 7), input=shape)
    images, labels = random_images(11, np.random.default_rng(1), shape)
    plan = Plan.of(spec, Source(GIVEN), 10, epochs=3, seed=6, lr_scale=1.5, shift=1, flip=True, average=2)
    run = Run.begin(plan, spec, tmp_path / "run")
    run.picture = False
    train(run, FixedModel(spec), Data(images, labels, images[:1], labels[:1]), Stop())

    found = page.of(spec)
    weights = list(found.initial(6, 1.3, 1.0, [b.weight_shape for b in spec.bundles]))
    model = ScalarModel(spec, weights, [np.zeros(b.post.channels, int) for b in spec.bundles])
    kept = []
    for epoch in range(3):
        registers: dict[str, Any] = {"free_steps": 6, "nudged_steps": 5, "beta": found.beta_register(0.4)}
        for name, rates in (("weight_rates", of_weights), ("bias_rates", of_biases)):
            each = zip(rates, (2, 1, 0), fine, strict=True)
            registers[name] = [
                found.rate_register(rate, 1.5, 0.7, epoch, 0.4, 4, above, point)
                for rate, above, point in each
            ]
        numbers = found.order(10, 6, epoch)
        for at in range(0, 10, 4):
            for number in map(int, numbers[at : at + 4]):
                image = found.shown(images[number][None].numpy(), number, 1, True, 6, epoch)
                model.train(image, int(labels[number]), **registers)
            model.commit()
        kept.append(
            [
                int(x)
                for part in (model.master_w, model.master_b, model.means)
                for each in part
                for x in np.ravel(each)
            ]
        )
    wanted = [int(x) for group in run.parameters for each in group for x in each.flatten()]
    assert [found.average(several) for several in zip(*kept[1:], strict=True)][: len(wanted)] == wanted
    assert any(run.parameters.biases[0].tolist())


def test_a_rounding_is_half_up():
    found = page.of(MINUSCULE)
    for v, n in product(range(-40, 40), range(5)):
        assert found.rhu(v, n) == math.floor(v / 2**n + 0.5)
