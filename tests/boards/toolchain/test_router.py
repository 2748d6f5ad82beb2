"""The router is given up after `PATIENCE` iterations without improvement."""

from nudge.boards.toolchain.router import PATIENCE, lost, overused


def test_counts_are_read_from_the_log_of_router2():
    log = "Info: Running router2...\nInfo:     iter=1 wires=964067 overused=58706 overuse=70779 archfail=NA\n"
    log += "Info:     iter=2 wires=1000000 overused=7775 overuse=7900 archfail=NA\nInfo:     iter=3 wi"
    assert overused(log) == [58706, 7775]
    assert overused("Info: Running router1...\n") == []


def test_a_router_is_lost_when_no_iteration_is_better_for_long():
    falling = list(range(100, 0, -1))
    assert lost([]) is None
    assert lost(falling) is None
    assert lost([*falling, *[1] * (PATIENCE - 1)]) is None
    assert lost([*falling, *range(1, PATIENCE + 1)]) == (
        f"the router had 1 wires too many after 100 iterations, and after {100 + PATIENCE} it has {PATIENCE}"
    )
    # an improvement restarts the count
    assert lost([9, *[10] * (PATIENCE - 1), 8, *[10] * (PATIENCE - 1)]) is None
