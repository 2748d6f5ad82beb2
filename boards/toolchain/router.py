"""What nextpnr's router2 says of itself while it runs: how far it is, and whether it still comes nearer to an end."""

import re

#: Iterations without a better one after which it won't come to an end: its price for sharing a wire grows, so it then takes
#: ever longer ways. Of the designs here that were routed, none had more than 53 such iterations.
PATIENCE = 100


def overused(log: str) -> list[int]:
    """Wires that more than one net has, after each iteration; empty before the first, and for other routers."""
    return [int(count) for count in re.findall(r"iter=\d+ wires=\d+ overused=(\d+)", log)]


def lost(counts: list[int]) -> str | None:
    """Why the router won't come to an end after iterations with these counts of overused wires, or None."""
    if not counts:
        return None
    best = min(range(len(counts)), key=counts.__getitem__)
    if len(counts) - 1 - best < PATIENCE:
        return None
    had, now = f"{counts[best]} wires too many after {best + 1} iterations", f"after {len(counts)} it has {counts[-1]}"
    return f"the router had {had}, and {now}"
