"""Hardware configuration: how wide each layer is processed. It changes cycles and area, never a bit of a result."""

from dataclasses import dataclass

from golden.spec import Layer, Spec


class ConfigError(ValueError):
    """Lanes that don't divide a layer; the message says what does."""


@dataclass(frozen=True)
class Config:
    """A network and the lanes of each layer.

    `lanes[n]` neurons of layer n are stored in one memory word and processed in one cycle. A layer's neurons are
    grouped by channel: word = (channel // lanes) * positions + position, lane = channel % lanes. A weight word of
    bundle n holds the `lanes[n] * lanes[n-1]` weights between one group of each side.

    `events`: conv bundles whose synapse engine is event-driven instead of line-buffered.
    """

    spec: Spec
    lanes: tuple[int, ...]
    events: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len(self.lanes) != len(self.spec.layers):
            raise ConfigError(f"lanes must have {len(self.spec.layers)} entries (layers 0..N), not {len(self.lanes)}")
        for layer, lanes in zip(self.spec.layers, self.lanes, strict=True):
            if lanes < 1 or layer.channels % lanes:
                raise ConfigError(f"layer {layer.index}: lanes must divide {layer.channels} channels, not {lanes}")
        kinds = {bundle.index: bundle.kind for bundle in self.spec.bundles}
        for index in self.events:
            if kinds.get(index) != "conv":
                raise ConfigError(f"events must name conv bundles, not bundle {index} ({kinds.get(index, 'there is none')})")

    def groups(self, layer: Layer) -> int:
        """Channel groups of a layer: channels / lanes."""
        return layer.channels // self.lanes[layer.index]

    def words(self, layer: Layer) -> int:
        """Memory words of a layer."""
        return self.groups(layer) * layer.positions


#: Lanes of the presets: tiny fits an iCE40UP5K's logic, small an ECP5-25F, medium an ECP5-85F (estimates, not builds).
DEFAULT_LANES: dict[str, tuple[int, ...]] = {
    "tiny": (1, 4, 10),
    "small": (1, 4, 4, 8, 10),
    "medium": (1, 8, 8, 8, 10),
}


def default_config(spec: Spec) -> Config:
    """The preset's lanes; a network without an entry gets one lane a layer."""
    return Config(spec, DEFAULT_LANES.get(spec.name, (1,) * len(spec.layers)))
