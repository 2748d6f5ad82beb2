"""Limits of a network: each error is one line that names the value and the allowed range."""

import re
import reprlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.golden.contract.formats import Formats
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.registers import rate_register, rate_scale
from nudge.golden.contract.schedule import MAX_STEPS, Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import CLASSES, IMAGE_SIDE, Learning, Spec
from nudge.plumbing.errors import SpecError

SMALL = PRESETS["small"]

#: Values that aren't whole numbers of at least 1.
NO_COUNT = st.one_of(
    st.integers(max_value=0), st.booleans(), st.floats(), st.text(), st.none(), st.just((3, 3))
)


def spec(*stages):
    return Spec("made", stages, Schedule(8, 8), Learning((0.1,) * len(stages)))


@given(value=NO_COUNT)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Conv, "channels of a Conv"),
        (lambda value: Conv(4, value), "kernel of a Conv"),
        (Dense, "units of a Dense"),
    ],
)
def test_no_count(make, what, value):
    with pytest.raises(SpecError) as caught:
        make(value)
    assert str(caught.value) == f"{what} must be a whole number of at least 1, not {reprlib.repr(value)}"
    assert "\n" not in str(caught.value)


@given(channels=st.integers(1), kernel=st.integers(1))
def test_any_count(channels, kernel):
    stage = Conv(channels, kernel)
    assert (stage.channels, stage.kernel) == (channels, kernel)
    assert Dense(channels).units == channels


@given(kernels=st.lists(st.integers(1, IMAGE_SIDE + 2), min_size=1, max_size=4))
def test_kernels_odd_and_even_fit_while_something_is_left_to_pool(kernels):
    """The test computes the shapes itself; a Spec must be refused at its first kernel that doesn't fit."""
    sides, refused = [IMAGE_SIDE], None
    for n, kernel in enumerate(kernels, start=1):
        if kernel > sides[-1] - 1:
            refused = n, kernel, sides[-1] - 1
            break
        sides.append((sides[-1] - kernel + 1) // 2)
    stages = *(Conv(2, kernel) for kernel in kernels), Dense(CLASSES)
    if refused is None:
        made = spec(*stages)
        assert [layer.shape for layer in made.layers] == [
            (1, 28, 28),
            *((2, s, s) for s in sides[1:]),
            (CLASSES, 1, 1),
        ]
        return
    stage, kernel, largest = refused
    with pytest.raises(SpecError) as caught:
        spec(*stages)
    side = f"layer {stage - 1} is {largest + 1}x{largest + 1}"
    if largest:
        assert (
            str(caught.value)
            == f"stage {stage}: kernel must be 1..{largest} ({side}, and 2x2 are pooled), not {kernel}"
        )
    else:
        assert (
            str(caught.value)
            == f"stage {stage} can't be a Conv with kernel {kernel}: {side}, nothing is left to pool"
        )


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((), "the last stage must be Dense"),
        ((Conv(4),), "the last stage must be Dense"),
        ((Conv(4), Dense(9)), "the last stage must have 10 units, one for each class, not 9"),
        ((Dense(9),), "the last stage must have 10 units, one for each class, not 9"),
        ((Conv(4), Dense(8), Conv(4), Dense(10)), "Conv stages must come before Dense stages"),
        ((Conv(4), 10), "stage 2 must be Conv or Dense, not 10"),
    ],
)
def test_stages(stages, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        spec(*stages)


@pytest.mark.parametrize(
    ("name", "learning"), [("rates", Learning((0.1,) * 2)), ("bias_rates", Learning((0.1,) * 4, (0.1,) * 2))]
)
def test_a_rate_for_each_bundle(name, learning):
    with pytest.raises(SpecError, match=f"learning.{name} must have 4 entries, not 2"):
        replace(SMALL, learning=learning)


@given(value=st.one_of(NO_COUNT, st.integers(MAX_STEPS + 1)))
@pytest.mark.parametrize("name", ["free", "nudged"])
def test_steps(name, value):
    with pytest.raises(SpecError) as caught:
        replace(SMALL.schedule, **{name: value})
    allowed = f"{name} steps (the averaging window has 4) must be a whole number 4..{MAX_STEPS}"
    assert str(caught.value) == f"{allowed}, not {reprlib.repr(value)}"


@pytest.mark.parametrize("order", ["odd/even", "", None, 1])
def test_an_order_that_there_is_not(order):
    with pytest.raises(
        SpecError, match=re.escape(f"order must be all or odd-even, not {reprlib.repr(order)}")
    ):
        replace(SMALL.schedule, order=order)


def test_layers_take_turns():
    at_once = replace(SMALL, schedule=replace(SMALL.schedule, order="all"))
    assert at_once.turns == ((1, 2, 3, 4),)
    assert SMALL.turns == ((1, 3), (2, 4))
    assert PRESETS["tiny"].turns == ((1,), (2,))
    assert at_once.identity != SMALL.identity


def weak(feedback_shift: int, fine: tuple[int, ...] = (), **formats: int) -> Spec:
    """Return `SMALL`, which has four stages, with these shifts and formats."""
    schedule = replace(SMALL.schedule, feedback_shift=feedback_shift, fine=fine)
    return replace(SMALL, schedule=schedule, formats=Formats.of(**formats))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4,), "feedback_shift must be 0..3 (phi has so many binary places less than d), not 4"),
        ((9,), "feedback_shift must be a whole number 0..8, not 9"),
        ((0, (2, 1)), "fine must have 4 binary points, one a stage, not 2"),
        ((0, (2, 1, 2, 1)), "fine must not rise from layer to layer, as [2, 1, 2, 1] does"),
        ((0, (13, 10, 8, 8)), "fine's binary points must be a whole number 0..12, not 13"),
        ((0, (8, 4, 2, 1)), "fine may fall by 3 at most from layer to layer, not from 8 to 4"),
    ],
)
def test_shifts_that_no_drive_can_have(arguments, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        weak(*arguments)


def test_narrow_decoders_have_less_room():
    assert weak(1, (3, 2, 2, 2), decoder_bits=14).drive_shifts(1) == (1, 0)
    with pytest.raises(SpecError, match=re.escape("feedback_shift must be 0..1 ")):
        weak(2, decoder_bits=14)


def test_shifts_and_rates_of_fine_spikes():
    """Shifts bring both drives to the layer's unit; the rate makes up for that unit and for weak feedback."""
    spec = weak(2, (7, 5, 2, 1))
    assert [spec.drive_shifts(n) for n in (1, 2, 3, 4)] == [(3, 1)] * 4
    # layer 2 has spikes of 2^-7 from below and of 2^-2 from above, in units of 2^-5
    assert spec.drive_shifts(2, deviating=True) == (3 + 5 - 7, 3 + 5 - 2 - 2)
    assert [rate_scale(spec, bundle) for bundle in spec.bundles] == [
        2.0 ** (6 - 7),
        2.0 ** (4 - 5),
        2.0 ** (2 - 2),
        2.0**-1,
    ]
    ours, plain = (rate_register(x, x.bundles[0], lr=0.1, beta=0.5, batch=16) for x in (spec, SMALL))
    assert ours == round(plain / 2)
    assert (spec.membrane_low, spec.membrane_high) == (SMALL.membrane_low, -SMALL.membrane_low)
    assert len({SMALL.identity, spec.identity, weak(2).identity, weak(2, (7, 5, 2, 2)).identity}) == 4
    assert weak(0) == SMALL


def test_centred_updates_make_another_machine():
    assert replace(SMALL, schedule=replace(SMALL.schedule, centred=True)).identity != SMALL.identity
