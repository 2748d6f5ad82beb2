"""Number formats: width, binary point and overflow behaviour of every quantity.

Formats are integers with a stated least significant bit (LSB); "LSB 2^-9" means integer 1 stands for 2^-9.
"""

from dataclasses import dataclass

from nudge.plumbing.errors import SpecError


def signed_bits(low: int, high: int) -> int:
    """Return the width of the narrowest two's-complement integer that holds both bounds."""
    return 1 + max(high, -low - 1, 0).bit_length()


def rounded_bound(bound: int, shift: int) -> int:
    """Return the largest |rhu(v, shift)| for |v| <= bound."""
    return (bound + (1 << shift >> 1)) >> shift


@dataclass(frozen=True)
class Formats:
    """Fixed-point formats. Widths that follow from a network are properties of `Layer` and `Spec`.

    ============== ============================ =====================================================
    quantity       format                       overflow
    ============== ============================ =====================================================
    pixel          u8, LSB 2^-8                 none
    working weight s8, LSB 2^-7                 saturates when it is rounded from the master
    working bias   s13, LSB 2^-12               saturates when it is rounded from the master
    master         s18, LSB 2^-15               none within a batch (see `update_bound`), clipped to
                                                [-1, 1) at commit
    phi            signed, LSB 2^-9             never: `Layer.phi_bits` covers the worst case
    d              s16, LSB 2^-12               saturates to [-8, 8)
    xi             u9, LSB 2^-8, 0..256         clipped to [0, 1] by the dynamics
    U              signed, LSB 2^-8             never: `membrane_low..membrane_high` is invariant
    window sum     unsigned, LSB 2^-8           never: at most `2^window_log2 * 256`
    beta           u9, LSB 2^-8                 register range 1..511
    rate           u16, LSB 2^-18               lr / (2 beta batch); register range 0..65535
    ============== ============================ =====================================================
    """

    pixel_bits: int = 8
    weight_bits: int = 8
    weight_fraction: int = 7
    bias_bits: int = 13
    bias_fraction: int = 12
    master_bits: int = 18
    master_fraction: int = 15
    phi_fraction: int = 9
    decoder_bits: int = 16
    decoder_fraction: int = 12
    state_fraction: int = 8
    beta_bits: int = 9
    rate_bits: int = 16
    rate_fraction: int = 18
    max_batch: int = 64

    def __post_init__(self) -> None:
        for name, low, high, why in (
            ("phi_fraction", self.weight_fraction + 2, self.weight_fraction + 2, "pooling divides by 4"),
            ("weight_fraction", 0, self.master_fraction - 1, "a working copy is rounded"),
            (
                "bias_fraction",
                self.decoder_fraction,
                min(self.decoder_fraction, self.master_fraction - 1),
                "it is added to d",
            ),
            (
                "decoder_fraction",
                self.phi_fraction,
                self.beta_fraction + self.state_fraction,
                "phi and nudge shift to it",
            ),
            ("state_fraction", 1, self.decoder_fraction - 1, "xi is rounded"),
        ):
            if not low <= getattr(self, name) <= high:
                raise SpecError(f"formats.{name} must be {low}..{high} ({why}), not {getattr(self, name)}")

    @classmethod
    def of(
        cls,
        weight_bits: int = weight_bits,
        decoder_bits: int = decoder_bits,
        state_fraction: int = state_fraction,
    ) -> "Formats":
        """Return the formats for three free parameters; phi and the biases follow from them.

        weight_bits: width of working weights, in [-1, 1). decoder_bits: width of d, in [-8, 8).
        state_fraction: fractional bits of xi and U.
        """
        fraction = decoder_bits - 4
        return cls(
            weight_bits=weight_bits,
            weight_fraction=weight_bits - 1,
            phi_fraction=weight_bits + 1,
            decoder_bits=decoder_bits,
            decoder_fraction=fraction,
            bias_fraction=fraction,
            bias_bits=fraction + 1,
            state_fraction=state_fraction,
        )

    @property
    def drive_shift(self) -> int:
        """Left shift from phi's LSB to d's."""
        return self.decoder_fraction - self.phi_fraction

    @property
    def round_shift(self) -> int:
        """Right shift, round half up, from d's LSB to xi's."""
        return self.decoder_fraction - self.state_fraction

    @property
    def beta_fraction(self) -> int:
        """Fractional bits of beta, which is below 2."""
        return self.beta_bits - 1

    @property
    def nudge_shift(self) -> int:
        """Right shift, floor, from beta * (target - xi) to d's LSB."""
        return self.beta_fraction + self.state_fraction - self.decoder_fraction

    @property
    def beta_range(self) -> range:
        """Allowed values of the register `beta`."""
        return range(1, 1 << self.beta_bits)

    def beta_register(self, beta: float) -> int:
        """Return the register value of beta in LSBs of 2^-8, rounded to nearest."""
        one, known = 1 << self.beta_fraction, self.beta_range
        value = round(beta * one) if 0 <= beta <= known[-1] else 0  # nan and inf fail this comparison too
        if value not in known:
            raise SpecError(f"beta must be {known[0] / one:g}..{known[-1] / one:g}, not {beta:g}")
        return value

    @property
    def rate_range(self) -> range:
        """Allowed values of the learning-rate registers."""
        return range(1 << self.rate_bits)

    @property
    def one(self) -> int:
        """xi = 1 in LSBs of 2^-`state_fraction`; a spike subtracts the same amount from U."""
        return 1 << self.state_fraction

    @property
    def threshold(self) -> int:
        """theta = 1/2 in LSBs of U; the comparison is strict (O'Connor et al. 2019)."""
        return self.one // 2

    @property
    def master_low(self) -> int:
        """The smallest master after a commit, which clips to the range of the working weights, [-1, 1)."""
        return self.weight_low << (self.master_fraction - self.weight_fraction)

    @property
    def master_high(self) -> int:
        """The largest master after a commit."""
        return -self.master_low - 1

    @property
    def committed_bits(self) -> int:
        """Width of a master after a commit, in which masters are read, written and sent."""
        return signed_bits(self.master_low, self.master_high)

    @property
    def weight_low(self) -> int:
        """The smallest working weight."""
        return -(1 << (self.weight_bits - 1))

    @property
    def weight_high(self) -> int:
        """The largest working weight."""
        return (1 << (self.weight_bits - 1)) - 1

    @property
    def bias_low(self) -> int:
        """The smallest value of a working bias's width."""
        return -(1 << (self.bias_bits - 1))

    @property
    def bias_high(self) -> int:
        """The largest working bias."""
        return (1 << (self.bias_bits - 1)) - 1

    @property
    def decoder_low(self) -> int:
        """The smallest d."""
        return -(1 << (self.decoder_bits - 1))

    @property
    def decoder_high(self) -> int:
        """The largest d."""
        return (1 << (self.decoder_bits - 1)) - 1

    @property
    def update_bound(self) -> int:
        """Largest |update| of one sample, in master LSBs.

        A batch starts within [-2^15, 2^15) and adds at most `max_batch` updates, so with
        bound = (2^17 - 2^15) / 64 = 1536 the 18-bit master can't overflow, in any order of additions.
        """
        return ((1 << (self.master_bits - 1)) + self.master_low) // self.max_batch

    @property
    def batch_bound(self) -> int:
        """Largest |sum of a batch's updates|, of at most `max_batch` samples between two commits."""
        return self.max_batch * self.update_bound
