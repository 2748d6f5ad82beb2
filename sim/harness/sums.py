"""Window sums: reads them like an update engine; computes those of deviations by the golden model."""

import random

from amaranth.utils import bits_for
from torch import Tensor

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Layer
from nudge.golden.model import fine_spikes
from nudge.hw.update.interface import sums_word

from .streams import Port
from .units import expect
from .words import layer_words


async def compare_sums(where: str, port: Port, unit, sums: dict[tuple[int, str], Tensor]) -> None:
    """Asserts that the read ports of `unit` give these sums.

    sums: (1, channels, height, width), by slot and field of `sums_word`, or "free" for the output layer's
    port of free sums. Fields that are missing aren't compared. A name such as "post difference" is the field
    of one port only.

    unit: a `NeuronArray`, or `WindowSums`. The ports get different addresses in each cycle; data belong to
    the address of the cycle before.
    """
    config, layer, words = unit.config, unit.layer, unit.words
    shapes = {side: sums_word(config, layer, side) for side in ("post", "pre")}
    for slot in range(config.slots):
        rows = {
            phase: layer_words(config, layer, x[0]).tolist() for (at, phase), x in sums.items() if at == slot
        }
        asked: list[tuple[int, int]] = []
        port.updated.value = slot
        for _ in range(2 * words + 2):
            asked.append((random.randrange(words), len(asked) % words))
            port.post_address.value, port.pre_address.value = asked[-1]
            if unit.output:
                port.free_address.value = asked[-1][0] | slot << bits_for(words - 1)
            await port.edge
            if len(asked) == 1:
                continue
            values = port.post_sums.value, port.pre_sums.value
            for kind, at, value in zip(("post", "pre"), asked[-2], values, strict=True):
                word = shapes[kind].from_bits(int(value))
                for field in dict(word.shape()):
                    name = f"{kind} {field}" if f"{kind} {field}" in rows else field
                    if name in rows:
                        expect(
                            f"{where}, {kind} port, word {at}, {field}",
                            list(word[field]),
                            rows[name][at],
                            ("lane",),
                        )
            if unit.output and "free" in rows:
                free = unit.free_sums.shape().from_bits(int(port.free_sums.value))
                expect(
                    f"{where}, word {asked[-2][0]}, free sum",
                    list(free),
                    rows["free"][asked[-2][0]],
                    ("lane",),
                )


def finished(config: Config, layer: Layer, free: Tensor, plus: Tensor, minus: Tensor) -> dict[str, Tensor]:
    """Mean and differences of a layer's sums of three phases, named as in `compare_sums`."""
    spec, n, difference = config.spec, layer.index, plus - minus
    found = {"mean": fine_spikes.mean_sum(spec, n, free, plus, minus), "post difference": difference}
    return found | (
        {} if n == len(spec.bundles) else {"pre difference": fine_spikes.above(spec, n, difference)}
    )
