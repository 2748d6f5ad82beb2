"""Values of the board's registers, and their ranges."""

from dataclasses import dataclass

from nudge.golden.contract.registers import rate_register, rate_scale
from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Learning, Spec
from nudge.plumbing.errors import ModelError


@dataclass(frozen=True)
class Settings:
    """Values of the board's registers."""

    free_steps: int
    #: Steps of each nudged phase.
    nudged_steps: int
    #: Strength of the nudge, LSB 2^-8.
    beta: int
    #: lr / (2 beta batch) of each bundle's weights, LSB 2^-18.
    weight_rates: tuple[int, ...]
    #: lr / (2 beta batch) of each bundle's biases, LSB 2^-18.
    bias_rates: tuple[int, ...]

    @classmethod
    def of(
        cls,
        spec: Spec,
        learning: Learning | None = None,
        *,
        free: int | None = None,
        nudged: int | None = None,
        epoch: int = 0,
    ) -> "Settings":
        """Return the register values of `learning` (default: the preset's) in an epoch, counted from 0.

        Rates shrink by `learning.decay` each epoch, down to the smallest value of a register.
        """
        learning = learning or spec.learning
        lsb = 2 * learning.beta * learning.batch / (1 << spec.formats.rate_fraction)

        def register(bundle: Bundle, lr: float) -> int:
            now = max(lr * learning.decay**epoch, min(lr, lsb / rate_scale(spec, bundle)))
            return rate_register(spec, bundle, lr=now, beta=learning.beta, batch=learning.batch)

        def registers(rates: tuple[float, ...]) -> tuple[int, ...]:
            return tuple(register(*each) for each in zip(spec.bundles, rates, strict=True))

        return cls(
            spec.schedule.free if free is None else free,
            spec.schedule.nudged if nudged is None else nudged,
            spec.formats.beta_register(learning.beta),
            registers(learning.rates),
            registers(learning.rates if learning.bias_rates is None else learning.bias_rates),
        )

    def check(self, spec: Spec) -> None:
        """Raise `ModelError` if a register of the board would refuse its value."""
        f, n = spec.formats, len(spec.bundles)
        ranges = [
            (name, getattr(self, name), spec.schedule.steps_range) for name in ("free_steps", "nudged_steps")
        ]
        ranges.append(("beta", self.beta, f.beta_range))
        for name in ("weight_rates", "bias_rates"):
            rates = getattr(self, name)
            if len(rates) != n:
                raise ModelError(f"{name} must have {n} entries, not {len(rates)}")
            ranges += [(f"{name}[{i}]", rate, f.rate_range) for i, rate in enumerate(rates)]
        for name, value, known in ranges:
            if value not in known:
                raise ModelError(f"{name} must be {known[0]}..{known[-1]}, not {value}")
