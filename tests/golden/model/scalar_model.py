"""The formulas of docs/arithmetic.md in scalar loops over Python integers, without golden.model.

Slow and obvious on purpose: indices are written out, and transposes are scatter-additions.
"""

from itertools import product

import numpy as np

from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec

from . import page
from .extremes import Extremes


def connections(bundle: Bundle) -> list[tuple[int, int, int]]:
    """Return the post neuron, pre neuron and weight of each connection, as flat indices."""
    if bundle.kind in ("dense", "pixels"):
        return [
            (o, i, o * bundle.pre.neurons + i)
            for o, i in product(range(bundle.post.neurons), range(bundle.pre.neurons))
        ]
    k, pre, post, found = range(bundle.kernel), bundle.pre, bundle.post, []
    for o, y, x, c, dy, dx, ky, kx in product(
        *map(range, post.shape), range(pre.channels), range(2), range(2), k, k
    ):
        row, column = 2 * y + dy + ky - bundle.padding, 2 * x + dx + kx - bundle.padding
        if row in range(pre.height) and column in range(pre.width):
            to, at = (o * post.height + y) * post.width + x, (c * pre.height + row) * pre.width + column
            found.append((to, at, ((o * pre.channels + c) * bundle.kernel + ky) * bundle.kernel + kx))
    return found


class ScalarModel:
    """One board: masters as integer arrays, trained sample by sample. extremes: counts of those reached."""

    def __init__(
        self,
        spec: Spec,
        weights: list[np.ndarray],
        biases: list[np.ndarray],
        means: list[np.ndarray] | None = None,
    ):
        self.spec, self.extremes = spec, Extremes()
        self.page = page.of(spec, self.extremes)
        self.connections = [connections(bundle) for bundle in spec.bundles]
        self.means = (
            [[0] * b.pre.channels for b in spec.bundles] if not means else [list(map(int, x)) for x in means]
        )
        self.master_w = [w.astype(object) for w in weights]
        self.master_b = [b.astype(object) for b in biases]
        self.spikes = [0] * len(weights)
        self.samples = 0
        self._forget()
        self._clip()

    def _forget(self) -> None:
        """Set the updates, the sums for running means and the number of samples of the batch to 0."""
        self.W, self.B = (
            [np.zeros(x.shape, object) for x in masters] for masters in (self.master_w, self.master_b)
        )
        self.read = [[0] * bundle.pre.channels for bundle in self.spec.bundles]
        self.samples = 0

    def _clip(self) -> None:
        p = self.page
        for m in (*self.master_w, *self.master_b):
            m[...] = np.vectorize(
                lambda v: p.clip(v, p.master_low, p.master_high, "commit"), otypes=[object]
            )(m)
        self.w, self.b = (
            [np.vectorize(rounded, otypes=[object])(m) for m in masters]
            for masters, rounded in ((self.master_w, p.working_weight), (self.master_b, p.working_bias))
        )

    def commit(self) -> None:
        if not self.samples:
            return
        for n, bundle in enumerate(self.spec.bundles):
            if self.spec.schedule.centred:
                self._centre(n, bundle)
            else:
                self.master_w[n] += self.W[n]
                self.master_b[n] += self.B[n]
        self._forget()
        self._clip()

    def _centre(self, n: int, bundle: Bundle) -> None:
        p, most, w, b = self.page, self.extremes.sum, self.master_w[n], self.master_b[n]
        moved_bound, bias_bound = self.spec.moved_bound(bundle), p.max_batch * p.update_bound
        each = w[0].size // bundle.pre.channels
        means = [self.means[n][i // each] for i in range(w[0].size)]
        for o in range(bundle.post.channels):
            weights, bias = p.centred(list(w[o].flat), b[o], list(self.W[n][o].flat), self.B[n][o], means)
            c = [p.rhu(mean, p.FOLLOW) for mean in means]
            moved = (
                sum(a * (new - old) for a, new, old in zip(c, weights, w[o].flat, strict=True))
                >> p.bias_fraction
            )
            most("common part", max(c) * self.B[n][o] >> p.bias_fraction, 2 * bias_bound)
            most("bias step", self.B[n][o] - most("moved", moved, moved_bound), bias_bound + moved_bound)
            b[o], w[o] = bias, np.array(weights, object).reshape(w[o].shape)
        for channel, total in enumerate(self.read[n]):
            mean, terms = self.means[n][channel], self.samples * bundle.pre.positions
            most("mean", mean, (1 << self.spec.mean_bits) - 1, 0)
            most("total", total, p.max_batch * self.spec.read_bound(bundle), 0)
            self.means[n][channel] = self.page.follow(mean, total, terms, on_image=n == 0)

    # -- drives

    def static(self, image: np.ndarray) -> np.ndarray:
        bundle = self.spec.bundles[0]
        phi, w = np.zeros(bundle.post.shape, object), self.w[0].flat
        for o, i, at in self.connections[0]:
            phi.flat[o] += w[at] * int(image.flat[i])
        shift, bound, most = (
            self.page.static_shift(bundle.kind == "pixels"),
            self.spec.static_bound,
            self.extremes.sum,
        )
        return np.vectorize(
            lambda v: self.page.rhu(most("static", v, bound), shift, "static"), otypes=[object]
        )(phi)

    def drives(self, static: np.ndarray, s: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the drives of each layer from the layer below, and those from the layer above."""
        forward = [static.copy()] + [np.zeros(x.shape, object) for x in s[1:]]
        backward = [np.zeros(x.shape, object) for x in s]
        for n, bundle in enumerate(self.spec.bundles[1:], start=1):
            w, pre, post = self.w[n].flat, s[n - 1].flat, s[n].flat
            times = 4 if bundle.kind == "dense" else 1
            for o, i, at in self.connections[n]:
                if pre[i]:
                    forward[n].flat[o] += times * w[at] * pre[i]
                if post[o]:
                    backward[n - 1].flat[i] += times * w[at] * post[o]
        return forward, backward

    # -- one sample

    def phase(self, static, state, steps, sign, beta, label, base=None):
        """Return the state after the phase and window sums of xi. base: v0 and xi0 of a deviating state."""
        odd, even = [n for n in range(len(state)) if n % 2 == 0], [n for n in range(len(state)) if n % 2 == 1]
        sums = [np.zeros(layer.shape, object) for layer in self.spec.layers[1:]]
        for t in range(steps):
            # state[0] is layer 1
            for together in (odd, even) if self.spec.schedule.order == "odd-even" else (odd + even,):
                state = self.step(
                    static, state, together, sign, beta, label, *self.shifts[sign != 0, t], base
                )
            if t >= steps - self.page.window:
                for total, (_, _, _, xi) in zip(sums, state, strict=True):
                    total += xi
        return state, sums

    def step(self, static, state, together, sign, beta, label, k, following, base):
        """Return the state after the layers `together` stepped.

        k, following: decay shifts of this step and of the next one.
        """
        p, state, last = self.page, list(state), len(state) - 1
        forward, backward = self.drives(
            np.zeros_like(static) if base else static, [s for _, _, s, _ in state]
        )
        fine, most = self.spec.schedule.fine, self.extremes.sum
        for n in together:
            d, U, s, xi = (x.copy() for x in state[n])
            bound = self.spec.layers[n + 1].phi_bound << max(self.spec.drive_shifts(n + 1, bool(base)))
            for at in np.ndindex(d.shape):
                nudge = 0
                if sign and n == last:
                    before = base[n][1][at] + (xi[at] >> fine[n]) if base else xi[at]
                    nudge = p.nudge(before, at[0] == label, beta, sign)
                    # a deviating xi may be slightly below 0, or far if it is linear; + 1: the nudge is
                    # rounded down
                    most(
                        "nudge", nudge, (self.spec.away_bound * ((1 << p.beta_bits) - 1) >> p.nudge_shift) + 1
                    )
                if base:
                    # a layer without a neighbour gets no drive from it, so any binary point will do
                    drive = p.fine_drive(
                        forward[n][at],
                        backward[n][at],
                        fine[n],
                        fine[n - 1] if n else fine[n],
                        fine[min(n + 1, last)],
                    )
                    drive = most("drive", drive, bound)
                    linear = self.spec.schedule.linear_output and n == last
                    new = p.fine_neuron(d[at], U[at], drive, base[n][0][at], nudge, k, fine[n], linear)
                else:
                    drive = p.drive(forward[n][at], backward[n][at])
                    new = p.neuron(
                        d[at], U[at], most("drive", drive, bound), self.b[n][at[0]], nudge, k, following
                    )
                self.extremes["threshold", "equal"] += U[at] + (new[3] << k) == p.threshold
                d[at], U[at], s[at], xi[at] = new
                most("fine U" if base else "U", U[at], self.spec.membrane_high, self.spec.membrane_low)
                self.spikes[n] += abs(s[at])
            state[n] = d, U, s, xi
        return state

    def deviating(self, state, k):
        """Return the state at the start of a nudged phase with fine spikes, and its base, v0 and xi0."""
        begun, base = [], []
        for n, (d, U, _, xi) in enumerate(state):
            v0, xi0, V = (np.zeros(d.shape, object) for _ in range(3))
            for at in np.ndindex(d.shape):
                v0[at], xi0[at], V[at] = self.page.begin(d[at], U[at], xi[at], self.b[n][at[0]], k)
            zero = np.zeros(d.shape, object)
            begun.append((zero, V, zero, zero))
            base.append((v0, xi0))
        return begun, base

    def train(self, image, label, *, free_steps, nudged_steps, beta, weight_rates, bias_rates) -> int:
        p, fine, most = self.page, self.spec.schedule.fine, self.extremes.sum
        pixels = image.reshape(self.spec.input.shape).astype(object)
        self.extremes["pixels", "black"] += bool(image.max() == 0)
        self.extremes["pixels", "white"] += bool(image.min() == (1 << p.pixel_bits) - 1)
        self.extremes["rate", "largest"] += (1 << p.rate_bits) - 1 in (*weight_rates, *bias_rates)
        static = self.static(pixels)
        self.shifts, k = {}, self.spec.schedule.decay_shift
        for t in range(free_steps):
            following = k + (t + 1 in self.spec.schedule.halvings and t + 1 < free_steps)
            self.shifts[False, t] = k, following
            k = following
        self.shifts |= {(True, t): (k, k) for t in range(nudged_steps)}
        zero = [tuple(np.zeros(layer.shape, object) for _ in range(4)) for layer in self.spec.layers[1:]]
        kept, free = self.phase(static, zero, free_steps, 0, beta, label)
        base = None
        if fine:
            kept, base = self.deviating(kept, k)
        _, plus = self.phase(static, kept, nudged_steps, 1, beta, label, base)
        _, minus = self.phase(static, kept, nudged_steps, -1, beta, label, base)
        # for each layer, from the image on, the sums of each neuron in the free, plus and minus phases
        sums = [[(x, x, x) for x in pixels.flat]]
        sums += [
            list(zip(*(x.flat for x in each), strict=True)) for each in zip(free, plus, minus, strict=True)
        ]
        for n, bundle in enumerate(self.spec.bundles):
            pre, post = sums[n : n + 2]
            g = [0] * self.w[n].size
            for o, i, at in self.connections[n]:
                if n and fine:
                    g[at] += p.product(pre[i], post[o], fine[n - 1], fine[n], self.spec.schedule.vector_field)
                else:
                    g[at] += post[o][1] * pre[i][1] - post[o][2] * pre[i][2]
            shift = p.weight_shift(on_image=n == 0, dense=bundle.kind in ("dense", "pixels"))
            self.W[n] += np.array([p.update(x, weight_rates[n], shift) for x in g], object).reshape(
                self.W[n].shape
            )
            name, bound = (
                ("fine g of a weight" if n and fine else "g of a weight"),
                self.spec.correlation_bound(bundle),
            )
            for x in g:
                most(name, x, bound)
            for o in range(bundle.post.channels):
                x = most("g of a bias", sum((plus[n][o] - minus[n][o]).flat), self.spec.bias_bound(bundle))
                self.B[n][o] += p.update(x, bias_rates[n], p.bias_shift())
            batch = [("weight in a batch", self.master_w[n] + self.W[n])]
            if not self.spec.schedule.centred:
                batch.append(("bias in a batch", self.master_b[n] + self.B[n]))
            for name, masters in batch:
                for x in masters.flat:
                    most(name, x, (1 << p.master_bits - 1) - 1, -(1 << p.master_bits - 1))
            for channel in range(bundle.pre.channels):
                self.read[n][channel] += int(sum((pixels if n == 0 else free[n - 1])[channel].flat))
        self.samples += 1
        scores = [most("window sum", int(x), p.one * p.window, 0) for x in free[-1].flat]
        return scores.index(max(scores))
