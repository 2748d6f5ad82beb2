"""One pure function per hardware block, on integer tensors: the model that a bench compares its block with.

All tensors are int64 (or int32 where no bound of `golden.contract.spec` exceeds it) with the batch first;
maps are (batch, channels, height, width). Spikes are 0/1; fine spikes are -1/0/1. The arithmetic is that of
docs/arithmetic.md. LSBs and widths in the comments are those of the default formats.

Results are equal on any machine, with any number of threads. Products are summed by a float64 GEMM over
unfolded patches, because there is no integer GEMM on a GPU; each partial sum is an integer below 2^53, so no
addition rounds (`matmul` checks it). Library convolutions may choose Winograd, FFT or TF32, which round.
"""

import os
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nudge.golden.contract.formats import Formats
from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec

# A forked process lacks OpenMP's threads, but torch believes that they run: with more than one thread, it
# would wait for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

#: Integers up to this magnitude are exact in float64, and so are their sums and differences up to it.
FLOAT64_EXACT = 1 << 53


class State(NamedTuple):
    """The state of a layer's neurons, which each step reads and writes."""

    #: Decoder state, s16, LSB 2^-12.
    d: Tensor
    #: Membrane potential, LSB 2^-8.
    U: Tensor
    #: Spike, 0/1; in nudged phases with fine spikes -1/0/1.
    s: Tensor
    #: State, 0..256, LSB 2^-8.
    xi: Tensor


def rhu(value: Tensor, shift: int) -> Tensor:
    """Round half up: (value + 2^(shift-1)) >> shift."""
    return (value + (1 << (shift - 1))) >> shift


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return the exact integer matrix product (..., n, k) @ (..., k, m), by a float64 GEMM."""
    if a.numel() and b.numel():
        bound = int(a.abs().max()) * int(b.abs().max()) * a.shape[-1]
        assert bound < FLOAT64_EXACT, (
            f"a sum of {a.shape[-1]} products may reach {bound}, float64 is exact below 2^53"
        )
    return (a.double() @ b.double()).to(a.dtype)


def patches(x: Tensor, kernel: int, stride: int = 1) -> Tensor:
    """Return the kernel x kernel windows of a map: (batch, c, h, w) to (batch, c*kernel*kernel, windows).

    The second dimension is the tap (c, ky, kx).
    """
    windows = x.unfold(2, kernel, stride).unfold(3, kernel, stride)
    return windows.permute(0, 1, 4, 5, 2, 3).reshape(x.shape[0], x.shape[1] * kernel**2, -1)


def framed(x: Tensor, width: int) -> Tensor:
    """Return the map with a frame of zeros: (batch, c, h, w) to (batch, c, h + 2 width, w + 2 width)."""
    return functional.pad(x, (width,) * 4) if width else x


def convolution(s: Tensor, w: Tensor) -> Tensor:
    """Valid convolution, stride 1 (torch's: no flip).

        out[o,y,x] = sum over c, ky, kx of w[o,c,ky,kx] s[c,y+ky,x+kx]

    s: spikes or pixels, (batch, c, h, w). w: working weights (o, c, k, k). Result (batch, o, h-k+1, w-k+1),
    in the LSB of the product: 2^-7 for spikes, 2^-15 for pixels.
    """
    kernel = w.shape[-1]
    height, width = s.shape[2] - kernel + 1, s.shape[3] - kernel + 1
    return matmul(w.flatten(1), patches(s, kernel)).unflatten(2, (height, width))


def average_pool(x: Tensor) -> Tensor:
    """2x2 average: the sum of four, read with an LSB four times finer (2^-7 becomes 2^-9).

    An odd last row or column is dropped.
    """
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    x = x[:, :, :height, :width]
    return x[:, :, 0::2, 0::2] + x[:, :, 0::2, 1::2] + x[:, :, 1::2, 0::2] + x[:, :, 1::2, 1::2]


def upsample(s: Tensor, bundle: Bundle) -> Tensor:
    """Transpose of `average_pool`: nearest x2, then zeros in an odd last row or column of the bundle's conv
    map.

    The factor 1/4 is in the LSB. s: (batch, o, h, w) of `bundle.post`; result (batch, o, map_height,
    map_width).
    """
    large = s.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return functional.pad(
        large, (0, bundle.map_width - large.shape[3], 0, bundle.map_height - large.shape[2])
    )


def conv_forward(s: Tensor, w: Tensor, padding: int = 0) -> Tensor:
    """Forward drive of a conv bundle, LSB 2^-9: spikes of the pre layer to the post layer's map."""
    return average_pool(convolution(framed(s, padding), w))


def conv_backward(s: Tensor, w: Tensor, bundle: Bundle) -> Tensor:
    """Backward drive of a conv bundle, LSB 2^-9: spikes of the post layer to the pre layer's map.

    conv_transpose(upsample(s), w), as a valid convolution with flipped kernels and swapped channels.
    """
    edge = bundle.kernel - 1 - bundle.padding
    return convolution(framed(upsample(s, bundle), edge), w.flip(2, 3).transpose(0, 1))


def dense_forward(s: Tensor, w: Tensor) -> Tensor:
    """Forward drive of a dense bundle, (batch, post): 4 (w @ s), LSB 2^-9. s: pre spikes, (batch, ...)."""
    return 4 * matmul(s.flatten(1), w.T)


def dense_backward(s: Tensor, w: Tensor) -> Tensor:
    """Backward drive of a dense bundle, (batch, pre): 4 (w.T @ s), LSB 2^-9. s: post spikes, (batch, ...)."""
    return 4 * matmul(s.flatten(1), w)


def static_drive(pixels: Tensor, w: Tensor, spec: Spec) -> Tensor:
    """Drive of layer 1 by the image, LSB 2^-9, rounded half up from LSB 2^-17 (fully connected: 2^-15).

    pixels: (batch, channels, height, width), 0..255. w: (o, c, k, k) or (o, pixels). Result (batch, *shape of
    layer 1).
    """
    if spec.bundles[0].full:
        return rhu(matmul(pixels.flatten(1), w.T), spec.static_shift)[:, :, None, None]
    return rhu(conv_forward(pixels, w, spec.bundles[0].padding), spec.static_shift)


def nudge(xi: Tensor, target: Tensor, beta: int, sign: int, formats: Formats) -> Tensor:
    """Nudge of the output layer's v in a nudged phase, LSB 2^-12:

        (sign beta (target - xi)) >> nudge_shift, rounded down

    xi: of the step before; target: 256 for the label, else 0; beta: LSB 2^-8; sign: +1 or -1.
    """
    return (sign * beta * (target - xi)) >> formats.nudge_shift


def drive(below: Tensor, above: Tensor | int, shifts: tuple[int, int]) -> tuple[Tensor, int]:
    """Return phi and its remaining left shift to d's LSB.

        rest = min(shifts)
        phi  = (below << shifts[0] - rest) + (above << shifts[1] - rest)

    below, above: drives from the two neighbours, LSB 2^-9 each. shifts: `Spec.drive_shifts`.
    """
    rest = min(shifts)
    there, back = (shift - rest for shift in shifts)
    return (below << there if there else below) + (above << back if back else above), rest


def neuron(
    state: State,
    phi: Tensor,
    bias: Tensor,
    nudged: Tensor | None,
    spec: Spec,
    k: int | None = None,
    following: int | None = None,
    shift: int | None = None,
) -> State:
    """One step of a layer's sigma-delta neurons: decoder, clipped state, spike, membrane potential.

        d[t+1]  = clip(d[t] + (((phi << shift) - d[t]) >> k), decoder_low, decoder_high)
        xi[t+1] = clip(rhu(d[t+1] + bias + nudge, round_shift), 0, one)
        s[t+1]  = 1 if U[t] + (xi[t+1] << k) > threshold else 0
        U[t+1]  = U[t] + (xi[t+1] << k) - (xi[t+1] << following) + xi[t+1] - one s[t+1]

    This is the paper's eq. 10 in U form. phi: drive, LSB 2^-9. bias: working biases, LSB 2^-12, (channels, 1,
    1) or any shape that broadcasts. nudged: `nudge`, or None for 0. k, following: exponents of this step's
    lambda = 2^-k and of the next step's; None: `decay_shift`, and k. shift: left shift of phi to d's LSB,
    None for `drive_shift`.

    d saturates to 16 bits; U stays within `spec.membrane_low..membrane_high` without clipping.
    """
    f = spec.formats
    k = spec.schedule.decay_shift if k is None else k
    following = k if following is None else following
    d = phi << (f.drive_shift if shift is None else shift)
    d -= state.d
    d >>= k
    d += state.d
    d.clamp_(f.decoder_low, f.decoder_high)
    v = d + bias
    if nudged is not None:
        v += nudged
    v += 1 << (f.round_shift - 1)
    v >>= f.round_shift
    xi = v.clamp_(0, f.one)
    U = xi << k
    U += state.U
    s = U.gt(f.threshold).to(xi.dtype)
    # U now holds U[t] + (xi << k); U[t+1] is that - (xi << following) + xi - 256 s
    U -= xi * ((1 << following) - 1)
    U -= s << f.state_fraction
    return State(d, U, s, xi)


def correlation(
    bundle: Bundle, pre_plus: Tensor, post_plus: Tensor, pre_minus: Tensor, post_minus: Tensor
) -> tuple[Tensor, Tensor]:
    """Return g of each weight and bias for each sample (paper eq. 11):

        g weight = sum over connections of post+ pre+ - post- pre-
        g bias   = sum over the channel of post+ - post-

    Arguments: window sums of the two nudged phases, (batch, c, h, w); in bundle 1 pre is the image in both.
    Results: (batch, *weight_shape), within +-`spec.correlation_bound(bundle)`, and (batch, post channels).
    For operands from `fine_spikes.deviation_sums` the second result is not the g of the biases.
    """
    bias = (post_plus - post_minus).sum(dim=(2, 3))
    if bundle.full:
        plus, minus = (
            matmul(post.flatten(1)[:, :, None], pre.flatten(1)[:, None, :])
            for pre, post in ((pre_plus, post_plus), (pre_minus, post_minus))
        )
        return plus - minus, bias

    def products(pre: Tensor, post: Tensor) -> Tensor:
        # (batch, c k k, positions of the conv map)
        taps = patches(framed(pre, bundle.padding), bundle.kernel)
        return matmul(upsample(post, bundle).flatten(2), taps.transpose(1, 2))

    weight = products(pre_plus, post_plus) - products(pre_minus, post_minus)
    return weight.unflatten(2, bundle.weight_shape[1:]), bias


def update(g: Tensor, rate: int, shift: int, bound: int) -> Tensor:
    """One sample's update of the masters, LSB 2^-15: clip((g rate + 2^(shift-1)) >> shift, -bound, bound)."""
    return rhu(g * rate, shift).clamp(-bound, bound)


def commit(master: Tensor, formats: Formats) -> Tensor:
    """Clip masters to [-1, 1) at the end of a batch."""
    return master.clamp(formats.master_low, formats.master_high)


def working_weight(master: Tensor, formats: Formats) -> Tensor:
    """Return working weights, LSB 2^-7: masters rounded half up, saturating at the top."""
    return rhu(master, formats.master_fraction - formats.weight_fraction).clamp(max=formats.weight_high)


def working_bias(master: Tensor, formats: Formats) -> Tensor:
    """Return working biases, LSB 2^-12: masters rounded half up, saturating at the top."""
    return rhu(master, formats.master_fraction - formats.bias_fraction).clamp(max=formats.bias_high)
