"""nextpnr's router2: the cost of shared wires, its progress, read from its log, and when to give it up."""

import re
from typing import Any

#: Iterations without improvement after which the router is given up. Its cost of sharing a wire grows in each
#: iteration, so it then takes ever longer detours. None of the designs here that were routed had more than 53
#: such iterations.
PATIENCE = 100

#: Settings of router2, whose cost of a wire is (delay + history) x (1 + weight x other nets of the wire): the
#: weight in the first iteration, 0.5 by default, and its growth in each further one, 2 by default. With the
#: defaults the last iterations of a dense design take detours that overuse other wires.
SLOW = {"router2/initCurrCongWeight": "5.0", "router2/currCongWeightMult": "0.25"}


def slow(top: dict[str, Any]) -> None:
    """Adds `SLOW` to the top module of a netlist in Yosys' JSON, where nextpnr looks for settings; it has no
    options for these."""
    top["settings"] = SLOW


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
