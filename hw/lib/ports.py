"""Ports with the same names in two components."""

from amaranth.lib.wiring import Out, connect, flipped


def expose(m, outer, part, *without: str) -> None:
    """Connect each port of ``part``, except those named, to the port with the same name of ``outer``, which
    contains ``part`` or, with ports that are signals, is beside it."""
    for name, member in part.signature.members.items():
        if name in without:
            continue
        mine, theirs = getattr(part, name), getattr(outer, name)
        if member.is_signature:
            connect(m, flipped(theirs), mine)
        else:
            m.d.comb += theirs.eq(mine) if member.flow is Out else mine.eq(theirs)
