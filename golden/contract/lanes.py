"""How wide a network's file says that it is processed, for a kind of synapse engine or for a board."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lanes:
    """A table `[lanes.NAME]` of a network file: fields of `golden.contract.config.Config`, None where it says nothing."""

    lanes: tuple[int, ...]
    arrays: tuple[int, ...] | None = None
    image_taps: int | None = None
    shared: tuple[int, ...] | None = None
    passes: tuple[int, int] | None = None
    kernel_blocks: bool | None = None
    #: Of a board's core, in Hz.
    clock: int | None = None
