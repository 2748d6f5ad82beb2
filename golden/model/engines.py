"""Two ways to compute the drives and updates of a whole network, with equal bits: `Plain` and `Folded`.

`Plain` composes the functions of `golden.model.ops`, block by block, as the hardware does. `Folded` is the
fast one:

- `average_pool(convolution(s, w))` is one convolution with a (k+1) x (k+1) kernel, the sum of four shifted
  copies of w, and stride 2; the backward drive is its transpose. On an 11x11 map that takes 400 products for
  each pair of channels instead of 1089.
- The four positions under a pooled one share their post neuron, so a correlation is a product with the 2x2
  box sum of pre.
- The batch is the last dimension in memory (elementwise operations keep strides), so windows are copied in
  long runs.
- Drives are float GEMMs: with spikes times weights, all partial sums are integers of magnitude at most
  `phi_bound` (in the static drive, before the shift). Float32 is exact below 2^24, float64 far beyond.
- Updates are float64: g * rate + half is an integer below 2^53, dividing by a power of two is exact, and
  floor is floor.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec
from nudge.plumbing.errors import ModelError

from . import fine_spikes, ops
from .parameters import Working

FLOAT32_EXACT = 1 << 24

#: The sum of two integers below this fits 32 bits, the type of `Folded`'s drives and states.
HALF = 1 << 30


class Sums(NamedTuple):
    """Window sums of xi by phase, for each layer 1..N: (batch, c, h, w)."""

    plus: tuple[Tensor, ...]
    minus: tuple[Tensor, ...]
    free: tuple[Tensor, ...]


#: Drives of a layer from below and from above; 0 if there is no such layer.
Terms = tuple[Tensor, Tensor | int]


class Engine(Protocol):
    """Interface that `golden.model.phases` and `golden.model.batch` need."""

    #: Type of the neurons' state tensors.
    dtype: torch.dtype

    def __init__(self, spec: Spec, working: Working): ...

    def static(self, images: Tensor) -> Tensor:
        """Return the drive of layer 1 by the images (batch, channels, height, width), LSB 2^-9."""

    def drives(self, static: Tensor, spikes: list[Tensor], turn: Sequence[int]) -> list[Terms]:
        """Return the drives, LSB 2^-9, of a turn's layers (`Spec.turns`) by layers 1..N's latest spikes."""

    def updates(
        self, bundle: Bundle, images: Tensor, sums: Sums, rates: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return the updates of a bundle's weights and biases, int64, summed over the batch.

        rates: registers of the bundle's weights and of its biases.
        """


def _operands(
    bundle: Bundle, spec: Spec, images: Tensor, sums: Sums
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the operands pre+, post+, pre-, post- of `ops.correlation`."""
    if bundle.index == 1:
        return images, sums.plus[0], images, sums.minus[0]
    if spec.schedule.fine:
        return fine_spikes.deviation_sums(bundle, spec, sums.free, sums.plus, sums.minus)
    pre, post = bundle.index - 2, bundle.index - 1
    return sums.plus[pre], sums.plus[post], sums.minus[pre], sums.minus[post]


class Plain:
    """Computes block by block, as the hardware does."""

    dtype = torch.int64

    def __init__(self, spec: Spec, working: Working):
        self.spec = spec
        self.weights = working.weights

    def static(self, images: Tensor) -> Tensor:
        return ops.static_drive(images, self.weights[0], self.spec)

    def drives(self, static: Tensor, spikes: list[Tensor], turn: Sequence[int]) -> list[Terms]:
        below = {1: static}
        above: dict[int, Tensor] = {}
        for bundle, w in zip(self.spec.bundles[1:], self.weights[1:], strict=True):
            pre, post = bundle.index - 2, bundle.index - 1
            conv = bundle.kind == "conv"
            if bundle.index in turn:
                there = (
                    ops.conv_forward(spikes[pre], w, bundle.padding)
                    if conv
                    else ops.dense_forward(spikes[pre], w)
                )
                below[bundle.index] = there.reshape(spikes[post].shape)
            if bundle.index - 1 in turn:
                back = (
                    ops.conv_backward(spikes[post], w, bundle)
                    if conv
                    else ops.dense_backward(spikes[post], w)
                )
                above[bundle.index - 1] = back.reshape(spikes[pre].shape)
        return [(below[n], above.get(n, 0)) for n in turn]

    def updates(
        self, bundle: Bundle, images: Tensor, sums: Sums, rates: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        spec, n, bound = self.spec, bundle.index - 1, self.spec.formats.update_bound
        g_weight, _ = ops.correlation(bundle, *_operands(bundle, spec, images, sums))
        g_bias = (sums.plus[n] - sums.minus[n]).sum(dim=(2, 3))
        weight = ops.update(g_weight, rates[0], spec.weight_shift(bundle), bound)
        bias = ops.update(g_bias, rates[1], spec.bias_shift, bound)
        return weight.sum(0), bias.sum(0)


def _fold_kernel(w: Tensor) -> Tensor:
    """Fold kernels (o, c, k, k) to (o, c, k+1, k+1): add the four copies that pooling shifts by 0 or 1."""
    return sum(
        (functional.pad(w, (dx, 1 - dx, dy, 1 - dy)) for dy in (0, 1) for dx in (0, 1)), w.new_zeros(())
    )


def _batch_last(x: Tensor) -> Tensor:
    """View (batch, c, h, w) as (c, h, w, batch)."""
    return x.permute(1, 2, 3, 0)


def _batch_first(x: Tensor) -> Tensor:
    """View (c, h, w, batch) as (batch, c, h, w)."""
    return x.permute(3, 0, 1, 2)


class Folded:
    """Folded kernels and float GEMMs; the module's docstring explains why no bit changes."""

    dtype = torch.int32

    def __init__(self, spec: Spec, working: Working):
        f = spec.formats
        if spec.drive_bound >= HALF:
            raise ModelError(f"a drive may reach {spec.drive_bound}: too much for 32 bits, take plain")
        for bundle in spec.bundles:
            largest = spec.correlation_bound(bundle) << f.rate_bits
            if 2 * largest >= ops.FLOAT64_EXACT:
                raise ModelError(
                    f"bundle {bundle.index}: g times rate may reach {largest}: too much for 53 bits, take "
                    "plain"
                )
        if torch.get_float32_matmul_precision() != "highest":
            raise RuntimeError(
                "golden needs torch.set_float32_matmul_precision('highest'): anything else rounds integers"
            )
        self.spec = spec
        #: Types that hold all partial sums exactly: of the static drive, and of the other drives.
        self.static_type, self.drive_type = (
            torch.float32 if bound < FLOAT32_EXACT else torch.float64
            for bound in (spec.static_bound, max(layer.phi_bound for layer in spec.layers))
        )
        # GEMM operands: (post, pre taps), with the factor 4 of dense bundles included
        kinds = {"dense": lambda w: 4 * w, "pixels": lambda w: w}
        self.kernels = [
            kinds.get(b.kind, lambda w: _fold_kernel(w).flatten(1))(w).to(
                self.static_type if b.on_image else self.drive_type
            )
            for b, w in zip(spec.bundles, working.weights, strict=True)
        ]

    def static(self, images: Tensor) -> Tensor:
        total = self._forward(self.spec.bundles[0], _batch_last(images.to(self.static_type)))
        return _batch_first(ops.rhu(total.to(self.dtype), self.spec.static_shift))

    def drives(self, static: Tensor, spikes: list[Tensor], turn: Sequence[int]) -> list[Terms]:
        s = [_batch_last(x.to(self.drive_type)) for x in spikes]

        def term(drives: Tensor) -> Tensor:
            return _batch_first(drives.to(self.dtype))

        found: list[Terms] = []
        for n in turn:
            below = static if n == 1 else term(self._forward(self.spec.bundles[n - 1], s[n - 2]))
            found.append((below, term(self._backward(self.spec.bundles[n], s[n])) if n < len(s) else 0))
        return found

    def _forward(self, bundle: Bundle, s: Tensor) -> Tensor:
        if not bundle.full:
            return self._conv_forward(bundle, s)
        return (self.kernels[bundle.index - 1] @ s.flatten(0, 2)).reshape(*bundle.post.shape, -1)

    def _backward(self, bundle: Bundle, s: Tensor) -> Tensor:
        if bundle.kind == "conv":
            return self._conv_backward(bundle, s)
        return (self.kernels[bundle.index - 1].T @ s.flatten(0, 2)).reshape(*bundle.pre.shape, -1)

    def _conv_forward(self, bundle: Bundle, s: Tensor) -> Tensor:
        """Compute (c, h, w, batch) of pre to (o, h, w, batch) of post: one GEMM over stride-2 windows."""
        side = bundle.kernel + 1
        frame = (0, 0) + (bundle.padding,) * 4
        # (c, post h, post w, batch, ky, kx)
        windows = functional.pad(s, frame).unfold(1, side, 2).unfold(2, side, 2)
        taps = windows.permute(0, 4, 5, 1, 2, 3).reshape(self.kernels[bundle.index - 1].shape[1], -1)
        return (self.kernels[bundle.index - 1] @ taps).unflatten(1, (*bundle.post.shape[1:], -1))

    def _conv_backward(self, bundle: Bundle, s: Tensor) -> Tensor:
        """Transpose of `_conv_forward`: one GEMM, then each tap is added where its window had read it."""
        side, (_, height, width), batch = bundle.kernel + 1, bundle.post.shape, s.shape[3]
        taps = self.kernels[bundle.index - 1].T @ s.flatten(1)
        taps = taps.view(bundle.pre.channels, side, side, height, width, batch)
        out = s.new_zeros((bundle.pre.channels, bundle.framed_height, bundle.framed_width, batch))
        for ky in range(side):
            for kx in range(side):
                out[:, ky : ky + 2 * height : 2, kx : kx + 2 * width : 2] += taps[:, ky, kx]
        frame = bundle.padding
        return out[:, frame : frame + bundle.pre.height, frame : frame + bundle.pre.width]

    def updates(
        self, bundle: Bundle, images: Tensor, sums: Sums, rates: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        spec, n = self.spec, bundle.index - 1
        post_plus, post_minus = sums.plus[n].double(), sums.minus[n].double()
        bias = self._rounded((post_plus - post_minus).sum(dim=(2, 3)), rates[1], spec.bias_shift)
        if bundle.index == 1:  # the image is the same in both phases
            post, pre = self._rows(bundle, post_plus - post_minus), self._taps(bundle, images)
        else:  # both phases in one product: [post+, -post-] @ [pre+, pre-]
            pre_plus, post_plus, pre_minus, post_minus = _operands(bundle, spec, images, sums)
            post = torch.cat(
                [self._rows(bundle, post_plus.double()), -self._rows(bundle, post_minus.double())], 2
            )
            pre = torch.cat([self._taps(bundle, x) for x in (pre_plus, pre_minus)], 1)
        weight = self._rounded(post @ pre, rates[0], spec.weight_shift(bundle))
        return weight.reshape(bundle.weight_shape), bias

    def _rows(self, bundle: Bundle, post: Tensor) -> Tensor:
        """Return post sums as a GEMM operand: (batch, post, pooled positions)."""
        return post.flatten(1)[:, :, None] if bundle.full else post.flatten(2)

    def _taps(self, bundle: Bundle, pre: Tensor) -> Tensor:
        """Return pre sums as a GEMM operand: (batch, pooled positions, taps).

        They are box-summed over the four positions under a pooled one.
        """
        if bundle.full:
            return pre.double().flatten(1)[:, None, :]
        x = ops.framed(pre.double(), bundle.padding)
        x = x[:, :, 1:] + x[:, :, :-1]
        x = x[:, :, :, 1:] + x[:, :, :, :-1]
        return ops.patches(x, bundle.kernel, 2).transpose(1, 2)

    def _rounded(self, g: Tensor, rate: int, shift: int) -> Tensor:
        """Return `ops.update` in float64, summed over the batch."""
        bound = self.spec.formats.update_bound
        g *= rate
        g += 1 << (shift - 1)
        g *= 2.0**-shift
        return g.floor_().clamp_(-bound, bound).sum(0).long()


MODEL_ENGINES: dict[str, type[Engine]] = {"plain": Plain, "folded": Folded}
