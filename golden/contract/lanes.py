"""Lanes as a network file states them, for a kind of synapse engine or for a board."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lanes:
    """A table `[lanes.NAME]` of a network file: fields of `Config`, None where the key is absent."""

    lanes: tuple[int, ...]
    arrays: tuple[int, ...] | None = None
    image_taps: int | None = None
    shared: tuple[int, ...] | None = None
    passes: tuple[int, int] | None = None
    kernel_blocks: bool | None = None
    scatters: tuple[int, ...] | None = None
    folded: tuple[int, ...] | None = None
    slots: int | None = None
    #: Clock of a board's core, in Hz.
    clock: int | None = None
