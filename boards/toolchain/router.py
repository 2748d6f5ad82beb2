"""Progress of nextpnr's router2, read from its log, and detection of a router that won't finish."""

import re

#: Iterations without improvement after which the router is given up. Its cost of sharing a wire grows in each
#: iteration, so it then takes ever longer detours. None of the designs here that were routed had more than 53
#: such iterations.
PATIENCE = 100


def overused(log: str) -> list[int]:
    """Return the number of wires that several nets use, after each iteration; empty before the first
    iteration, and for other routers."""
    return [int(count) for count in re.findall(r"iter=\d+ wires=\d+ overused=(\d+)", log)]


def lost(counts: list[int]) -> str | None:
    """Return the reason to give the router up after these counts of overused wires, or None to go on."""
    if not counts:
        return None
    best = min(range(len(counts)), key=counts.__getitem__)
    if len(counts) - 1 - best < PATIENCE:
        return None
    had, now = (
        f"{counts[best]} wires too many after {best + 1} iterations",
        f"after {len(counts)} it has {counts[-1]}",
    )
    return f"the router had {had}, and {now}"
