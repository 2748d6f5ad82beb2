"""Expected outputs of `hw.core.deviation_sums`, by the golden model."""

from torch import Tensor

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Layer
from nudge.golden.model import ops


def finished(config: Config, layer: Layer, free: Tensor, plus: Tensor, minus: Tensor) -> dict[str, Tensor]:
    """Mean and differences of a layer's sums of three phases, named as in `sums.compare_sums`."""
    spec, n, difference = config.spec, layer.index, plus - minus
    found = {"mean": ops.mean_sum(spec, n, free, plus, minus), "post difference": difference}
    return found | ({} if n == len(spec.bundles) else {"pre difference": ops.above(spec, n, difference)})
