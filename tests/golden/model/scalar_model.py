"""docs/arithmetic.md once more, as scalar loops over Python integers; it shares no code with golden/ops, engines and fixed.

Slow and obvious on purpose: indices are written out, and transposes are spelled as scatter-additions.
"""

from itertools import product

import numpy as np

from golden.contract.spec import Spec


def clip(v: int, low: int, high: int) -> int:
    return low if v < low else high if v > high else v


def rhu(v, n: int) -> int:
    return (v + 2 ** (n - 1)) >> n


class ScalarModel:
    """One board: masters as nested integer arrays, trained sample by sample."""

    def __init__(self, spec: Spec, weights: list[np.ndarray], biases: list[np.ndarray], means: list[np.ndarray] | None = None):
        self.spec = spec
        self.means = [[0] * b.pre.channels for b in spec.bundles] if not means else [list(map(int, x)) for x in means]
        self.master_w = [w.astype(object) for w in weights]
        self.master_b = [b.astype(object) for b in biases]
        self.spikes = [0] * len(weights)
        self.samples = 0
        self.commit()

    def commit(self) -> None:
        if self.spec.schedule.centred and self.samples:
            self.centre()
        self.read = [[0] * bundle.pre.channels for bundle in self.spec.bundles]
        self.samples = 0
        for masters in (self.master_w, self.master_b):
            for m in masters:
                for at in np.ndindex(m.shape):
                    m[at] = clip(int(m[at]), -32768, 32767)
        self.before = [m.copy() for m in self.master_w], [m.copy() for m in self.master_b]
        self.w = [np.array([min(rhu(v, 8), 127) for v in m.flat], object).reshape(m.shape) for m in self.master_w]
        self.b = [np.array([min(rhu(v, 3), 4095) for v in m.flat], object) for m in self.master_b]

    def centre(self) -> None:
        """Of the batch's updates, which the masters hold the sum of, less what all samples have in common."""
        for n, bundle in enumerate(self.spec.bundles):
            c = [rhu(mean, 5) for mean in self.means[n]]
            for channel, total in enumerate(self.read[n]):
                one = self.samples * bundle.pre.positions * (256 if n == 0 else 256 * 2**self.spec.schedule.window_log2)
                self.means[n][channel] += (2 * 4096 * total + one) // (2 * one) - self.means[n][channel] // 32
            for o in range(bundle.post.channels):
                there, shift = self.master_b[n][o] - self.before[1][n][o], 0
                for at in np.ndindex(self.master_w[n][o].shape):
                    channel = at[0] // bundle.pre.positions if bundle.kind in ("dense", "pixels") else at[0]
                    new = self.master_w[n][o][at] - rhu(c[channel] * there, 12)
                    self.master_w[n][o][at] = new
                    shift += c[channel] * (clip(new, -32768, 32767) - self.before[0][n][o][at])
                self.master_b[n][o] -= rhu(shift, 12)

    # -- drives

    def static(self, image: np.ndarray) -> np.ndarray:
        bundle, w = self.spec.bundles[0], self.w[0]
        phi = np.zeros(bundle.post.shape, object)
        if bundle.kind == "pixels":
            for o in range(len(w)):
                phi[o] = rhu(sum(w[o, i] * int(pixel) for i, pixel in enumerate(image.flat)), self.spec.static_shift)
            return phi
        for o, py, px in np.ndindex(phi.shape):
            total = 0
            for dy, dx, ky, kx in product(range(2), range(2), range(bundle.kernel), range(bundle.kernel)):
                for c in range(len(image)):
                    total += w[o, c, ky, kx] * int(image[c, 2 * py + dy + ky, 2 * px + dx + kx])
            phi[o, py, px] = rhu(total, self.spec.static_shift)
        return phi

    def drives(self, static: np.ndarray, s: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of each layer what comes from below, and from above."""
        phi = [static.copy()] + [np.zeros(x.shape, object) for x in s[1:]]
        back = [np.zeros(x.shape, object) for x in s]
        for n, bundle in enumerate(self.spec.bundles[1:], start=1):
            w, pre, post = self.w[n], s[n - 1], s[n]
            if bundle.kind == "dense":
                for o, i in np.ndindex(w.shape):
                    phi[n].flat[o] += 4 * w[o, i] * pre.flat[i]
                    back[n - 1].flat[i] += 4 * w[o, i] * post.flat[o]
                continue
            for (o, py, px), c in product(np.ndindex(post.shape), range(pre.shape[0])):
                for dy, dx, ky, kx in product(range(2), range(2), range(bundle.kernel), range(bundle.kernel)):
                    y, x = 2 * py + dy + ky, 2 * px + dx + kx
                    phi[n][o, py, px] += w[o, c, ky, kx] * pre[c, y, x]
                    back[n - 1][c, y, x] += w[o, c, ky, kx] * post[o, py, px]
        return phi, back

    # -- one sample

    def phase(self, static, state, steps, sign, beta, label, base=None):
        """Returns the state after the phase and the window sums of xi. base: d + b and xi that deviations are from."""
        M = 2**self.spec.schedule.window_log2
        odd, even = [n for n in range(len(state)) if n % 2 == 0], [n for n in range(len(state)) if n % 2 == 1]
        sums = [np.zeros(layer.shape, object) for layer in self.spec.layers[1:]]
        for t in range(steps):
            # state[0] is layer 1
            for together in (odd, even) if self.spec.schedule.order == "odd-even" else (odd + even,):
                state = self.step(static, state, together, sign, beta, label, *self.shifts[sign != 0, t], base)
            if t >= steps - M:
                for total, (_, _, _, xi) in zip(sums, state, strict=True):
                    total += xi
        return state, sums

    def step(self, static, state, together, sign, beta, label, k, next_k, base):
        """The state after these layers stepped together, with k of this step's lambda and of the next one's."""
        state = list(state)
        below, above = self.drives(static, [s for _, _, s, _ in state])
        fine, last = self.spec.schedule.fine, len(state) - 1
        for n in together:
            d, U, s, xi = (x.copy() for x in state[n])
            m = fine[n] if base else 0
            for at in np.ndindex(d.shape):
                # LSB 2^-12, over 2^m; what came in spikes of 2^-m' is brought to that
                drive, back = below[n][at] * 2 ** (3 + m), above[n][at] * 2 ** (3 + m)
                if base:
                    drive = drive // 2 ** fine[n - 1] if n else 0
                    back = back // 2 ** fine[n + 1] if n < last else 0
                drive += back // 2**self.spec.schedule.feedback_shift
                whole = base[n][1][at] + (xi[at] >> m) if base else xi[at]
                nudge = 0
                if sign and n == last:
                    y = 256 if at[0] == label else 0
                    nudge = (sign * beta * (y - whole)) >> 4
                d[at] = clip(d[at] + ((drive - d[at]) >> k), -32768, 32767)
                if base:
                    still = base[n][0][at] << m
                    moved = clip(rhu(still + d[at] + (nudge << m), 4), 0, 256 << m)
                    xi[at] = clip(moved - clip(rhu(still, 4), 0, 256 << m), -256, 256)
                else:
                    xi[at] = clip(rhu(d[at] + self.b[n][at[0]] + nudge, 4), 0, 256)
                ahead = U[at] + (xi[at] << k)
                s[at] = int(ahead > 128) - int(bool(base) and ahead < -128)
                U[at] = ahead - (xi[at] << next_k) + xi[at] - 256 * s[at]
                self.spikes[n] += abs(s[at])
            state[n] = d, U, s, xi
        return state

    def deviating(self, state, k):
        """The state at the start of a nudged phase with fine spikes, and what it deviates from."""
        begun, base = [], []
        for n, (d, U, _, xi) in enumerate(state):
            v, V = d.copy(), U.copy()
            for at in np.ndindex(d.shape):
                v[at] += self.b[n][at[0]]
                V[at] = clip(U[at] + (xi[at] << k) - xi[at], -128, 128)
            zero = np.zeros(d.shape, object)
            begun.append((zero, V, zero, zero))
            base.append((v, xi))
        return begun, base

    def mean(self, n, free, plus, minus):
        """Of both nudged phases' sums of layer n + 1, from those of deviations."""
        top, out = 256 * 2**self.spec.schedule.window_log2, free[n].copy()
        for at in np.ndindex(out.shape):
            out[at] = clip(free[n][at] + ((plus[n][at] + minus[n][at]) >> (self.spec.schedule.fine[n] + 1)), 0, top)
        return out

    def train(self, image, label, *, free_steps, nudged_steps, beta, weight_rates, bias_rates) -> int:
        image = image.reshape(self.spec.input.shape)
        static = self.static(image)
        self.shifts, k = {}, self.spec.schedule.decay_shift
        for t in range(free_steps):
            next_k = k + (t + 1 in self.spec.schedule.halvings and t + 1 < free_steps)
            self.shifts[False, t] = k, next_k
            k = next_k
        self.shifts |= {(True, t): (k, k) for t in range(nudged_steps)}
        zero = [tuple(np.zeros(layer.shape, object) for _ in range(4)) for layer in self.spec.layers[1:]]
        kept, free = self.phase(static, zero, free_steps, 0, beta, label)
        fine, base = self.spec.schedule.fine, None
        if fine:
            kept, base = self.deviating(kept, k)
        _, plus = self.phase(static, kept, nudged_steps, 1, beta, label, base)
        _, minus = self.phase(static, kept, nudged_steps, -1, beta, label, base)
        pixels = image.astype(object)
        for n, bundle in enumerate(self.spec.bundles):
            pre_p, pre_m = (pixels, pixels) if n == 0 else (plus[n - 1], minus[n - 1])
            post_p, post_m = plus[n], minus[n]
            if fine and n:  # a b' + a' b, in units of the post layer's spikes; rhu by 0 would be off by half
                lost = fine[n - 1] - fine[n]
                changed = pre_p - pre_m
                changed = np.array([rhu(x, lost) if lost else x for x in changed.flat], object).reshape(changed.shape)
                means = [self.mean(x, free, plus, minus) for x in (n - 1, n)]
                pre_p, pre_m, post_p, post_m = means[0], changed, post_p - post_m, -means[1]
            for at in np.ndindex(self.w[n].shape):
                g = 0
                if bundle.kind in ("dense", "pixels"):
                    o, i = at
                    g = post_p.flat[o] * pre_p.flat[i] - post_m.flat[o] * pre_m.flat[i]
                else:
                    o, c, ky, kx = at
                    for py, px, dy, dx in product(range(bundle.post.height), range(bundle.post.width), range(2), range(2)):
                        y, x = 2 * py + dy + ky, 2 * px + dx + kx
                        g += post_p[o, py, px] * pre_p[c, y, x] - post_m[o, py, px] * pre_m[c, y, x]
                self.master_w[n][at] += clip(rhu(g * weight_rates[n], self.spec.weight_shift(bundle)), -1536, 1536)
            for o in range(bundle.post.channels):
                g = sum((plus[n][o] - minus[n][o]).flat)
                self.master_b[n][o] += clip(rhu(g * bias_rates[n], self.spec.bias_shift), -1536, 1536)
            for channel in range(bundle.pre.channels):
                self.read[n][channel] += int(sum((pixels if n == 0 else free[n - 1])[channel].flat))
        self.samples += 1
        scores = [int(x) for x in free[-1].flat]
        return scores.index(max(scores))
