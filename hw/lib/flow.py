"""A stream without backpressure: the consumer takes every item in the cycle in which it is valid."""

from amaranth.lib import wiring
from amaranth.lib.wiring import Out


class Flow(wiring.Signature):
    """``payload`` is an item in each cycle in which ``valid`` is high; gaps may come at any time.

    Engines send one item a cycle into accumulators of their own, so nothing inside them ever has to wait.
    Where a consumer may exert backpressure, `amaranth.lib.stream` is used instead.

    Members
    -------
    valid : Out(1)
    payload : Out(shape)
    """

    def __init__(self, shape):
        self._shape = shape
        super().__init__({"valid": Out(1), "payload": Out(shape)})

    def __eq__(self, other):
        return isinstance(other, Flow) and self._shape == other._shape

    def __repr__(self):
        return f"Flow({self._shape!r})"
