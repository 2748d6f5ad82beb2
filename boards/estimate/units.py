"""The units of a design, each with its memories and multipliers."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from golden.contract.config import Config
from golden.contract.errors import DesignError

from . import memories, multipliers
from .mapping import Mapped, mapped


@dataclass(frozen=True)
class Unit:
    """One unit of the gateware, such as ``array_2``."""

    name: str
    #: Of `KINDS`, or the shell.
    kind: str
    memory: Mapped
    multipliers: int


#: Kind of unit -> its memories and multipliers, of a config and a bundle or layer.
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "array": (memories.neuron_array, multipliers.neuron_array),
    "image engine": (memories.image_engine, multipliers.image_engine),
    "dense engine": (memories.dense_engine, multipliers.none),
    "event engine": (memories.event_engine, multipliers.event_engine),
    "line engine": (memories.line_engine, multipliers.none),
    "conv update": (memories.conv_update, multipliers.correlator),
    "dense update": (memories.no_memory, multipliers.correlator),
    "weights": (memories.weight_memory, multipliers.none),
}

ENGINES = {"image": "image engine", "conv": "line engine", "dense": "dense engine"}
UPDATES = {"image": "conv update", "conv": "conv update", "dense": "dense update"}


def units(config: Config, window: int) -> list[Unit]:
    """All units of a design with `hw.core.core`. window: the link's.

    Raises `DesignError` for a kind of bundle that no unit here is for.
    """
    out = []
    for bundle in config.spec.bundles:
        if bundle.kind not in ENGINES:
            raise DesignError(f"{config.spec.name}: there is no estimate for bundle {bundle.index}, of kind {bundle.kind!r}")
        engine = "event engine" if bundle.index in config.events else ENGINES[bundle.kind]
        for name, kind, of in (
            ("array", "array", bundle.post),
            ("engine", engine, bundle),
            ("update", UPDATES[bundle.kind], bundle),
            ("weights", "weights", bundle),
        ):
            out.append(unit(f"{name}_{bundle.index}", kind, config, of))
    out.append(Unit("shell", "shell", _sum(memories.shell(config, window)), 0))
    return out


@lru_cache(maxsize=1 << 16)
def unit(name: str, kind: str, config: Config, of: Any) -> Unit:
    """One unit, of a bundle or a layer."""
    shapes, products = KINDS[kind]
    return Unit(name, kind, _sum(shapes(config, of)), products(config, of))


def _sum(shapes: list[memories.Shape]) -> Mapped:
    each = [vars(mapped(shape)) for shape in shapes]
    return Mapped(**{entry.name: sum(one[entry.name] for one in each) for entry in fields(Mapped)})
