"""The paper's systems: eq. 2 to 16 against what is written out here or by autograd, and that all of Table II learns."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from golden.contract.shapes import Dense
from golden.paper.studies import table2
from golden.paper.systems import backprop, equilibrium, phases, pooling
from golden.paper.systems import train as training
from golden.paper.systems.configuration import Configuration
from golden.paper.systems.configurations import table_two
from golden.paper.systems.network import Link, Network, PaddedConv, Parameters, backward, fold, forward, products
from golden.paper.systems.neuron import Dynamics, State, image, neuron
from golden.paper.systems.own import two_conv_two_dense
from golden.paper.systems.published import PUBLISHED, TABLE_I
from golden.paper.systems.variants import FINE, PUBLISHED_FALLING, PUBLISHED_WEAK, WEAK
from golden.training import data

DIGITS = data.load("embedded")
#: Square and oblong, even and odd; 26 -> 13 and 11 -> 5 are 2C2FC's.
SIZES = [(2, 2), (4, 7), (5, 4), (11, 11), (26, 26)]


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def inner(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())


@pytest.mark.parametrize("size", SIZES)
def test_pooling_is_as_written(size):
    """Eq. 12 to 16, index by index; the last odd row and column take no part."""
    h, w = size
    x, y = random(1, 2, h, w), random(1, 2, h // 2, w // 2)
    largest, where = pooling.maximum(x)
    average, spread = pooling.average(x), pooling.spread(y, size, alpha=3.0)
    unpooled = pooling.unpool(y, where, size)
    zones = {(i, j): [(2 * i + p, 2 * j + q) for p in (0, 1) for q in (0, 1)] for i in range(h // 2) for j in range(w // 2)}
    for c in range(2):
        for (i, j), places in zones.items():
            values = [float(x[0, c, a, b]) for a, b in places]
            assert float(average[0, c, i, j]) == pytest.approx(sum(values) / 4, rel=1e-12, abs=1e-15)
            assert float(largest[0, c, i, j]) == max(values)
            for (a, b), value in zip(places, values, strict=True):
                assert float(spread[0, c, a, b]) == pytest.approx(float(y[0, c, i, j]) / 3)
                assert float(unpooled[0, c, a, b]) == (float(y[0, c, i, j]) if value == max(values) else 0.0)
    for each in (spread, unpooled):
        assert not each[..., 2 * (h // 2) :, :].any()
        assert not each[..., 2 * (w // 2) :].any()


@pytest.mark.parametrize("size", SIZES)
def test_pooling_and_its_inverse_are_adjoint(size):
    """<P x, y> = <x, P^-1 y>: for the average with alpha = F^2 and no other, for the maximum where its indices are kept."""
    x, y = random(2, 3, *size), random(2, 3, size[0] // 2, size[1] // 2)
    there = inner(pooling.average(x), y)
    assert there == pytest.approx(inner(x, pooling.spread(y, size)), rel=1e-12)
    assert there == pytest.approx(inner(x, pooling.spread(y, size, alpha=2.0)) / 2, rel=1e-12)
    largest, where = pooling.maximum(x)
    assert inner(largest, y) == pytest.approx(inner(x, pooling.unpool(y, where, size)), rel=1e-12)


#: Even and odd maps before pooling: kernel, padding and side of the layer below.
CONVOLUTIONS = [(3, 0, 28), (3, 0, 13), (5, 0, 12), (2, 0, 8), (4, 1, 8), (3, 1, 14), (3, 1, 7), (3, 1, 3)]


def convolution(kind: str, folded: bool, kernel: int, padding: int, side: int) -> Link:
    pooled = (side + 2 * padding - kernel + 1) // 2
    return Link(kind, (3, side, side), (4, pooled, pooled), kernel, padding, fold=folded)


@pytest.mark.parametrize(("kind", "folded"), [("average", False), ("average", True), ("maximum", False)])
@pytest.mark.parametrize(("kernel", "padding", "side"), CONVOLUTIONS)
def test_the_way_back_and_the_update_are_derivatives_of_the_way_there(kind, folded, kernel, padding, side):
    """Both terms of eq. 9 and a term of eq. 11: of <P(w * x), y>, the derivatives by x and by w."""
    link = convolution(kind, folded, kernel, padding, side)
    x, w = random(2, *link.pre, seed=1).requires_grad_(), random(*link.weight_shape, seed=2).requires_grad_()
    y = random(2, *link.post, seed=3)
    used = fold(w) if folded else w
    there, indices = forward(link, x, used)
    to_x, to_w = torch.autograd.grad((there * y).sum(), (x, w))
    assert torch.allclose(backward(link, y, used, indices), to_x, rtol=1e-10, atol=1e-12)
    assert torch.allclose(products(link, x.detach(), y, w.detach()), to_w, rtol=1e-10, atol=1e-12)
    back = inner(x.detach(), backward(link, y, used, indices).detach())
    assert inner(there.detach(), y) == pytest.approx(back, rel=1e-10)


@pytest.mark.parametrize(("kernel", "padding", "side"), CONVOLUTIONS)
@pytest.mark.parametrize("alpha", [4.0, 1.0])
def test_folding_changes_nothing(kernel, padding, side, alpha):
    plain = replace(convolution("average", False, kernel, padding, side), alpha=alpha)
    folded = replace(plain, fold=True)
    w, x, y = random(*plain.weight_shape), random(2, *plain.pre, seed=1), random(2, *plain.post, seed=2)
    assert torch.allclose(forward(plain, x, w)[0], forward(folded, x, fold(w))[0], atol=1e-12)
    assert torch.allclose(backward(plain, y, w, None), backward(folded, y, fold(w), None), atol=1e-12)


def test_dense_links_reshape_the_last_map():
    """Eq. 9 for the last convolution's layer: W^T s of the dense one above, in its own shape and without unpooling."""
    link = Link("dense", (2, 5, 5), (7, 1, 1))
    w, x, y = random(*link.weight_shape), random(3, *link.pre), random(3, *link.post)
    back = backward(link, y, w, None)
    assert back.shape == x.shape
    assert inner(forward(link, x, w)[0], y) == pytest.approx(inner(x, back), rel=1e-12)


def clip(x: Fraction) -> Fraction:
    return min(max(x, Fraction(0)), Fraction(1))


#: lambda, epsilon and steps: as many as doubles hold without rounding.
EXACT = [(Fraction(1), Fraction(1), 40), (Fraction(1, 2), Fraction(1), 30), (Fraction(1, 4), Fraction(1), 16)]
EXACT += [(Fraction(1, 2), Fraction(1, 2), 14), (Fraction(1, 8), Fraction(1), 10), (Fraction(1, 2), Fraction(3, 4), 12)]


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
        phi, nudge = (torch.randint(-40, 60, (1, 64, 1, 1), generator=generator).double() / 32 for _ in range(2))
        state = neuron(state, phi, bias[:, None, None], nudge / 8, dynamics)
        for n, (d, V, before) in enumerate(written):
            drive = Fraction(float(phi[0, n]))
            if spiking:
                d = drive = (1 - prediction) * d + prediction * drive
            xi = clip((1 - rate) * before + rate * (drive + Fraction(float(bias[n])) + Fraction(float(nudge[0, n])) / 8))
            s = xi
            if spiking:
                e = (xi - (1 - prediction) * before) / prediction
                s = Fraction(int(V + e > Fraction(1, 2)))
                V = V + e - s
                fired += int(s)
            written[n] = (d, V, xi)
            assert [Fraction(float(x[0, n])) for x in state] == [d, V, s, xi]
    assert not spiking or 100 < fired < 60 * count


@pytest.mark.parametrize("prediction", [Fraction(3, 5), Fraction(1, 2), Fraction(1, 7), Fraction(1, 8), Fraction(1)])
def test_u_form_is_equation_10_for_any_lambda(prediction):
    """s = [U + xi / lambda > theta]; U += xi - s, in rational numbers over 3,000 steps: the same spikes, and U is bounded."""
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


#: Narrow 2C2FC: its maps are 26 -> 13 and 11 -> 5, whatever the widths.
NARROW = two_conv_two_dense(3, 4, 12)


def pixels(count: int) -> Tensor:
    return training.pixels(DIGITS.train_images[:count], "cpu").double()


@pytest.mark.parametrize("prediction", [0.6, 0.5, 0.25, 0.125])
@pytest.mark.parametrize("rate", [0.9, 1.0])
def test_u_form_sends_the_papers_spikes(prediction, rate):
    """All layers of 2C2FC and the image's encoder through all three phases; lambda 0.6 with epsilon 0.9 or 1 is Table I."""
    dynamics = Dynamics(40, 20, 1, prediction, rate, 0.2, image_spikes=True)
    parameters = NARROW.initial(3, 2.0, dtype=torch.float64)
    x, compared, fired = pixels(2), 0, 0
    membranes: dict[str, list[Tensor]] = {}
    for phase, t, layers in phases.steps(NARROW, dynamics, parameters, x, DIGITS.train_labels[:2]):
        if t == 0:
            membranes[phase] = [torch.zeros_like(z.xi) for z in layers] if phase == "free" else list(membranes["free"])
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


NETWORKS = {
    "squared error": NARROW,
    "cross-entropy": replace(NARROW, softmax=True),
    "as the paper computes it": replace(NARROW, fold=False),
    "maximum pooling": replace(NARROW, pooling="maximum"),
    "fully connected": Network((Dense(12), Dense(12), Dense(12), Dense(10))),
    "even maps": Network((PaddedConv(3, 5), PaddedConv(4, 5), Dense(10))),
    "weak feedback": replace(NARROW, feedback=0.25),
    "weak feedback, cross-entropy": replace(NARROW, feedback=0.5, softmax=True),
    "padded": Network((PaddedConv(3, 3, 1), PaddedConv(4, 3, 1), PaddedConv(4, 3, 1), Dense(10))),
}


def compared(net: Network, dynamics: Dynamics) -> list[tuple[str, float, float]]:
    """For each weight and bias: cosine and norm ratio of the update to BPTT's, after 256 steps."""
    parameters = net.initial(5, dtype=torch.float64)
    lifted = Parameters(parameters.weights, tuple(0.1 + b for b in parameters.biases))
    x, labels = pixels(6), DIGITS.train_labels[:6]
    ours = equilibrium.update(net, dynamics, lifted, x, labels).delta
    theirs = backprop.update(net, replace(dynamics, free=256), lifted, x, labels).delta
    found = []
    for kind, a, b in zip(("weights", "biases"), ours, theirs, strict=True):
        for n, (p, q) in enumerate(zip(a, b, strict=True), start=1):
            assert q.norm() > 1e-6, f"{kind} {n}: nothing to compare"
            cosine = float(functional.cosine_similarity(p.flatten(), q.flatten(), dim=0))
            found.append((f"{kind} {n}", cosine, float(p.norm() / q.norm())))
    return found


@pytest.mark.parametrize("rate", [0.9, 1.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_convergent_update_is_the_gradient(name, rate):
    """Eq. 5 and 11 at a small beta against backpropagation through time, in every layer."""
    for layer, cosine, ratio in compared(NETWORKS[name], Dynamics(256, 128, 1, rate=rate, beta=1e-3, spiking=False)):
        assert cosine > 0.99, f"{layer}: cosine {cosine:.4f}"
        assert 0.95 < ratio < 1.05, f"{layer}: norm ratio {ratio:.4f}"


def test_another_alpha_changes_sizes_alone():
    """Eq. 16 where it isn't the adjoint: the first convolution's update passes two inverses, the second one's one."""
    dynamics = Dynamics(256, 128, 1, beta=1e-3, spiking=False)
    found = {name: rest for name, *rest in compared(replace(NARROW, alpha=16.0), dynamics)}
    assert all(cosine > 0.99 for cosine, _ in found.values())
    sizes = [found[f"weights {n}"][1] for n in range(1, 5)]
    assert sizes == pytest.approx([1 / 16, 1 / 4, 1, 1], rel=0.05)


def test_three_phases_cancel_the_bias_of_two():
    """What eq. 5 is for: eq. 4 is off by the first order of beta, which adds to the norm of the update; eq. 5 isn't."""
    three = Dynamics(256, 128, 1, beta=1e-3, spiking=False)
    both = three, replace(three, three_phases=False)
    off = [max(abs(ratio - 1) for _, _, ratio in compared(NETWORKS["fully connected"], d)) for d in both]
    assert off[0] < off[1] / 10


def test_tables_hold_what_the_paper_prints():
    assert [(t.beta, t.rate, t.prediction, t.free, t.nudged, t.batch, t.epochs) for t in TABLE_I.values()] == [
        (0.1, 0.9, 0.6, 250, 50, 125, 250),
        (0.2, 1.0, 0.6, 350, 50, 125, 250),
    ]
    for of in PUBLISHED.values():
        for name, figures in of.items():
            assert figures.memory == {"snn-ep": 321, "snn-bptt": 2171, "crnn-ep": 309, "crnn-bptt": 3018}.get(name)
    for name, table in TABLE_I.items():
        for c in table_two(name):
            if c.row != "2C2FC" or c.variant != "table-1":
                continue
            assert c.network.stages == (PaddedConv(128), PaddedConv(256), Dense(512), Dense(10))
            assert (c.rates, c.batch, c.epochs) == ((0.25, 0.15, 0.1, 0.08), 125, 250)
            assert isinstance(c.dynamics, Dynamics)
            assert (c.dynamics.beta, c.dynamics.rate, c.dynamics.free) == (table.beta, table.rate, table.free)
            assert c.network.softmax == c.name.startswith("crnn")
            assert c.dynamics.spiking == c.dynamics.image_spikes == c.name.startswith("snn")


def test_published_rates_fall_where_epochs_are_few():
    """Only there, only of the works that need it, to a tenth over the epochs of the budget, and nothing else changes, or the
    feedback as well and the rates with it."""
    by_budget = {
        budget.name: {(c.name, c.variant): c for c in table2.configurations(budget, "mnist")} for budget in table2.BUDGETS
    }
    scale = by_budget.pop("scale")
    assert {name for name, variant in scale if variant == PUBLISHED_FALLING} == {"oconnor-3fc", "ernoult-2c1fc"}
    assert not {variant for found in by_budget.values() for _, variant in found} & {PUBLISHED_FALLING, PUBLISHED_WEAK}
    for name, epochs in (("oconnor-3fc", 30), ("ernoult-2c1fc", 10)):
        published, falling = scale[name, "published"], scale[name, PUBLISHED_FALLING]
        assert (published.decay, falling.epochs) == (1.0, epochs)
        assert falling.decay**epochs == pytest.approx(0.1)
        assert replace(falling, variant="published", why="", decay=1.0) == published
    falling, weak = (scale["ernoult-2c1fc", variant] for variant in (PUBLISHED_FALLING, PUBLISHED_WEAK))
    assert (weak.network.feedback, weak.rates) == (WEAK, tuple(4 * rate for rate in falling.rates))
    assert replace(weak, variant=falling.variant, why=falling.why, network=falling.network, rates=falling.rates) == falling


@pytest.mark.parametrize(("name", "factor", "fine"), [("crnn-ep", 2, None), ("snn-ep", 4, FINE)])
def test_weak_feedback_changes_rates_and_makes_spikes_fine(name, factor, fine):
    known = {(c.name, c.variant): c for c in table_two("fashion-mnist", 1, (32, 64, 256))}
    assert {name for name, variant in known if variant == "tuned weak feedback"} == {"crnn-ep", "snn-ep"}
    before, after = known[name, "tuned centred"], known[name, "tuned weak feedback"]
    assert [link.feedback for link in after.network.links] == [WEAK] * 4
    assert after.rates == tuple(factor * rate for rate in before.rates)
    assert after.dynamics == replace(before.dynamics, fine=fine)
    rest: dict[str, Any] = {"dynamics": before.dynamics, "network": before.network, "rates": before.rates, "why": before.why}
    assert replace(after, variant="tuned centred", **rest) == before
    assert "tuned weak feedback" not in {c.variant for c in table_two("mnist", 16)}


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
def test_half_rates_are_the_only_change_of_their_variant(data):
    known = {(c.name, c.variant): c for c in table_two(data, 1, (32, 64, 256))}
    assert [name for name, variant in known if variant == "tuned half rates"] == ["crnn-bptt"]
    before, after = known["crnn-bptt", "tuned"], known["crnn-bptt", "tuned half rates"]
    assert [2 * rate for rate in after.rates] == list(before.rates)
    assert replace(after, variant="tuned", rates=before.rates, why=before.why) == before
    assert "tuned half rates" not in {c.variant for c in table_two(data, 16)}


def test_a_cited_network_with_the_dynamics_of_the_papers_own():
    """Its stages, and nothing else of its work."""
    known = {(c.name, c.variant): c for c in table_two("mnist", 1, (32, 64, 256))}
    cited, ours = known["oconnor-3fc", "tuned weak feedback"], known["snn-ep", "tuned weak feedback"]
    assert cited.network == replace(known["oconnor-3fc", "published"].network, feedback=WEAK)
    same = ("dynamics", "batch", "gain", "glorot", "random_sign", "centred", "rule")
    assert {name: getattr(cited, name) for name in same} == {name: getattr(ours, name) for name in same}
    budgets = {b.name: {(c.name, c.variant) for c in table2.configurations(b, "mnist")} for b in table2.BUDGETS}
    assert {name for name, found in budgets.items() if ("oconnor-3fc", "tuned weak feedback") in found} == {"scale"}


#: What a short run needs, where it isn't the configuration's own: epochs, factor on the initial weights, learning rates.
#: Table I's own rates drown the convolutions of snn-ep in the noise of a single xi (docs/paper.md); Ernoult's are for
#: 3,000 updates an epoch; oconnor-3fc starts late, and how late depends on the machine's rounding; crnn-bptt falls back to
#: chance now and then with Table I's at batch 20.
SHORT: dict[tuple[str, str], tuple[int, float, tuple[float, ...] | None]] = {
    ("snn-ep", "table-1"): (6, 1.5, (0.008, 0.008, 0.02, 0.032)),
    ("ernoult-2c1fc", "published"): (2, 1.0, (0.6, 0.14, 0.06)),
    ("oconnor-3fc", "published"): (20, 1.0, None),
    ("snn-bptt", "tuned"): (3, 1.0, None),
    ("snn-bptt", "table-1"): (4, 1.0, None),
    ("crnn-bptt", "table-1"): (4, 1.0, (0.12, 0.08, 0.05, 0.04)),
    # the rates that it is tuned from: twice these, chosen at four times the widths, upset one seed in three here
    ("crnn-bptt", "tuned"): (4, 1.0, (0.5, 0.3, 0.2, 0.16)),
}


def short(c: Configuration) -> training.SystemRun:
    """At most 60 + 20 steps, batches of 20."""
    epochs, gain, rates = SHORT.get((c.name, c.variant), (3, c.gain, None))
    dynamics = replace(c.dynamics, free=min(c.dynamics.free, 60), nudged=min(c.dynamics.nudged, 20))
    c = replace(c, dynamics=dynamics, batch=20, gain=gain, rates=rates or c.rates)
    return training.SystemRun(c, 500, epochs, 1, 500)


def cases() -> list:
    """All of Table II; tuned variants are the same for both data sets, and rates fall only if a budget says how far.

    Cut short, FashionMNIST's constants differ from MNIST's in rates alone: those are slow.
    """
    mnist, fashion = (table_two(name, 16, (8, 16, 64)) for name in ("mnist", "fashion-mnist"))
    slow = [c for c in fashion if c.variant != "tuned"]
    return [
        pytest.param(c, id=f"{c.name}-{c.variant}-{c.dynamics.free}", marks=[pytest.mark.slow] if c in slow else [])
        for c in [*mnist, *slow]
        if c.variant not in (PUBLISHED_FALLING, PUBLISHED_WEAK)
    ]


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize(("widths", "steps", "falls"), [((32, 64, 256), (32, 16), 0.5), ((31, 64, 256), (16, 8), 0.0)])
def test_lambda_falls_where_tuned_spikes_are_wide(data, widths, steps, falls):
    for c in table_two(data, 1, widths):
        if c.variant == "tuned":
            assert isinstance(c.dynamics, Dynamics)
            changed = c.name == "snn-ep"
            assert (c.dynamics.free, c.dynamics.nudged) == (steps if changed else (16, 8))
            assert c.dynamics.prediction_decay == (falls if changed else 0.0)


@pytest.mark.parametrize("c", cases())
def test_every_system_of_table_2_learns(c):
    """500 digits a few times, in seconds: at most 80 % of 500 others are wrong; by chance it would be 90 ± 1.3 %."""
    run = short(c)
    parameters = training.train(run, DIGITS).parameters
    wrong = training.error(run, parameters, DIGITS.test_images, DIGITS.test_labels)
    assert wrong < 80
