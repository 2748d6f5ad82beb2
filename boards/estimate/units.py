"""Units of a design, each with its memories, multipliers and features."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from nudge.golden.contract.config import Config

from . import cells, features, memories, multipliers
from .features import Features
from .mapping import ECP5, ICE40, Library, Mapped, mapped


@dataclass(frozen=True)
class Unit:
    """One unit of the gateware, such as ``array_2``."""

    name: str
    #: Key of `KINDS`, or one of `cells.WHOLE`. Units of a kind share coefficients.
    kind: str
    features: Features
    memory: Mapped
    multipliers: int

    @property
    def cells(self) -> float:
        return cells.estimate(self.kind, self.features, self.memory)[0]

    @property
    def registers(self) -> float:
        return cells.estimate(self.kind, self.features, self.memory)[1]


#: Kind of unit -> functions from a config and a bundle or layer to memories, multipliers, features.
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "array": (memories.neuron_array, multipliers.neuron_array, features.neuron_array),
    "image engine": (memories.image_engine, multipliers.image_engine, features.image_engine),
    "pixel engine": (memories.pixel_engine, multipliers.pixel_engine, features.pixel_engine),
    "dense engine": (memories.dense_engine, multipliers.none, features.dense_engine),
    "event engine": (memories.event_engine, multipliers.event_engine, features.event_engine),
    "scatter engine": (memories.scatter_engine, multipliers.none, features.scatter_engine),
    "line engine": (memories.line_engine, multipliers.none, features.line_engine),
    "conv update": (memories.conv_update, multipliers.conv_update, features.conv_update),
    "dense update": (memories.no_memory, multipliers.correlator, features.dense_update),
    "weights": (memories.weights, multipliers.weight_memory, features.weight_memory),
}

#: Kind of synapse engine (`Config.engine`) -> kind of unit.
ENGINES = {
    "image": "image engine",
    "pixels": "pixel engine",
    "event": "event engine",
    "scatter": "scatter engine",
    "conv": "line engine",
    "dense": "dense engine",
}
UPDATES = {"image": "conv update", "pixels": "dense update", "conv": "conv update", "dense": "dense update"}


def units(config: Config, window: int, stores: bool = False) -> list[Unit]:
    """Return the units of a design.

    The compact core and its link are one unit. Everything for stored samples in `hw.system`, with the SDRAM's
    controller, is the unit "store"; everything else outside the bundles is the unit "shell". window: the
    link's, in requests. stores: whether the board has a memory for samples.
    """
    if config.compact:
        return [
            Unit(
                "compact",
                "compact",
                features.whole(),
                _sum(memories.compact(config, window), ICE40),
                multipliers.compact(config),
            )
        ]
    out = []
    for bundle in config.spec.bundles:
        for name, kind, of in (
            ("array", "array", bundle.post),
            ("engine", ENGINES[config.engine(bundle)], bundle),
            ("update", UPDATES[bundle.kind], bundle),
            ("weights", "weights", bundle),
        ):
            out.append(unit(f"{name}_{bundle.index}", kind, config, of))
    if stores:
        out.append(Unit("store", "store", features.whole(), _sum(memories.store(config)), 0))
    out.append(Unit("shell", "shell", features.whole(), _sum(memories.shell(config, window)), 0))
    return out


@lru_cache(maxsize=1 << 16)
def unit(name: str, kind: str, config: Config, of: Any) -> Unit:
    """Return one unit. of: its bundle or layer."""
    shapes, products, proportional = KINDS[kind]
    return Unit(name, kind, proportional(config, of), _sum(shapes(config, of)), products(config, of))


def _sum(shapes: list[memories.Shape], library: Library = ECP5) -> Mapped:
    each = [vars(mapped(shape, library)) for shape in shapes]
    return Mapped(**{entry.name: sum(one[entry.name] for one in each) for entry in fields(Mapped)})
