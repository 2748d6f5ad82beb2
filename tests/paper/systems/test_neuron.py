"""The neuron equals eq. 2, 3, 6 to 8 and 10 in rational numbers, and its U form sends the same spikes."""

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from nudge.paper.systems import phases
from nudge.paper.systems.neuron import Dynamics, State, image, neuron

from .small_systems import DIGITS, NARROW, pixels


def clip(x: Fraction) -> Fraction:
    return min(max(x, Fraction(0)), Fraction(1))


#: lambda, epsilon, and as many steps as doubles compute without rounding.
EXACT = [(Fraction(1), Fraction(1), 40), (Fraction(1, 2), Fraction(1), 30), (Fraction(1, 4), Fraction(1), 16)]
EXACT += [
    (Fraction(1, 2), Fraction(1, 2), 14),
    (Fraction(1, 8), Fraction(1), 10),
    (Fraction(1, 2), Fraction(3, 4), 12),
]


@pytest.mark.parametrize(("prediction", "rate", "count"), EXACT)
@pytest.mark.parametrize("spiking", [True, False])
def test_a_step_is_equation_10(prediction, rate, count, spiking):
    """Eq. 10, or eq. 3 without spikes, written out in rational numbers for 64 neurons: equal, not close."""
    dynamics = Dynamics(1, 1, prediction=float(prediction), rate=float(rate), spiking=spiking)
    generator = torch.Generator().manual_seed(0)
    fired = 0
    state = State(*(torch.zeros(1, 64, 1, 1, dtype=torch.float64) for _ in range(4)))
    bias = torch.randint(-8, 8, (64,), generator=generator).double() / 32
    written = [(Fraction(0), Fraction(0), Fraction(0))] * 64  # d, V, xi
    for _ in range(count):
        phi, nudge = (
            torch.randint(-40, 60, (1, 64, 1, 1), generator=generator).double() / 32 for _ in range(2)
        )
        state = neuron(state, phi, bias[:, None, None], nudge / 8, dynamics)
        for n, (d, V, before) in enumerate(written):
            drive = Fraction(float(phi[0, n]))
            if spiking:
                d = drive = (1 - prediction) * d + prediction * drive
            xi = clip(
                (1 - rate) * before
                + rate * (drive + Fraction(float(bias[n])) + Fraction(float(nudge[0, n])) / 8)
            )
            s = xi
            if spiking:
                e = (xi - (1 - prediction) * before) / prediction
                s = Fraction(int(V + e > Fraction(1, 2)))
                V = V + e - s
                fired += int(s)
            written[n] = (d, V, xi)
            assert [Fraction(float(x[0, n])) for x in state] == [d, V, s, xi]
    assert not spiking or 100 < fired < 60 * count


@pytest.mark.parametrize(
    "prediction", [Fraction(3, 5), Fraction(1, 2), Fraction(1, 7), Fraction(1, 8), Fraction(1)]
)
def test_u_form_is_equation_10_for_any_lambda(prediction):
    """s = [U + xi / lambda > theta]; U += xi - s, in rationals over 3,000 steps: same spikes, bounded U."""
    kappa, theta = (1 - prediction) / prediction, Fraction(1, 2)
    generator = torch.Generator().manual_seed(1)
    V = U = before = Fraction(0)
    fired = 0
    for t, value in enumerate(torch.randint(0, 257, (3000,), generator=generator).tolist()):
        xi = Fraction(value, 256) if t % 50 > 25 else Fraction(value % 16 * 16, 256)
        e = (xi - (1 - prediction) * before) / prediction
        s = int(V + e > theta)
        assert s == int(U + xi / prediction > theta), f"step {t}"
        V, U, before = V + e - s, U + xi - s, xi
        assert V - kappa * xi == U
        assert theta - 1 - kappa <= U <= theta
        fired += s
    assert 500 < fired < 2900


@pytest.mark.parametrize("prediction", [0.6, 0.5, 0.25, 0.125])
@pytest.mark.parametrize("rate", [0.9, 1.0])
def test_u_form_sends_the_papers_spikes(prediction, rate):
    """All layers of 2C2FC and the image's encoder in all phases; lambda 0.6, epsilon 0.9 or 1: Table I."""
    dynamics = Dynamics(40, 20, 1, prediction, rate, 0.2, image_spikes=True)
    parameters = NARROW.initial(3, 2.0, dtype=torch.float64)
    x, compared, fired = pixels(2), 0, 0
    membranes: dict[str, list[Tensor]] = {}
    for phase, t, layers in phases.steps(NARROW, dynamics, parameters, x, DIGITS.train_labels[:2]):
        if t == 0:
            membranes[phase] = (
                [torch.zeros_like(z.xi) for z in layers] if phase == "free" else list(membranes["free"])
            )
        for n, layer in enumerate(layers):
            U = membranes[phase][n]
            s = (U + layer.xi / prediction > 0.5).double()
            assert torch.equal(s, layer.s), f"{phase} step {t} layer {n + 1}"
            membranes[phase][n] = U + layer.xi - s
            compared, fired = compared + s.numel(), fired + int(s.sum())
    assert 0.02 * compared < fired < 0.98 * compared
    sent, U = State(*(torch.zeros_like(x) for _ in range(4))), torch.zeros_like(x)
    for _ in range(60):
        sent = image(sent, x, dynamics)
        s = (U + x / prediction > 0.5).double()
        assert torch.equal(s, sent.s)
        U = U + x - s
