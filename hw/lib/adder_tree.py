"""A pipelined adder tree that never loses a bit."""

from amaranth.hdl import Module, Signal


def tree_latency(terms: int) -> int:
    """Registers between the terms and the sum of `adder_tree`: one for each level of additions, at least one."""
    return max((terms - 1).bit_length(), 1)


def adder_tree(m: Module, terms, *, latency: int | None = None):
    """Adds ``terms`` in ``m``'s sync domain; returns the sum as a `Signal`, wide enough for any input.

    Free running: a sum leaves `tree_latency(len(terms))` cycles after its terms, or ``latency`` if that is more
    (trees side by side can so be given the same depth).
    """
    own = tree_latency(len(terms))
    latency = own if latency is None else latency
    if latency < own:
        raise ValueError(f"latency must be at least {own} for {len(terms)} terms, not {latency}")
    level = list(terms)
    for _ in range(own):
        # One addition to a register: Yosys makes a carry chain of each, but compressors out of logic, which take nearly twice
        # the cells, where several meet without a register between them.
        sums = []
        for i in range(0, len(level), 2):
            total = sum(level[i + 1 : i + 2], level[i])
            register = Signal(total.shape(), reset_less=True)
            m.d.sync += register.eq(total)
            sums.append(register)
        level = sums
    (result,) = level
    for _ in range(latency - own):
        delayed = Signal(result.shape(), reset_less=True)
        m.d.sync += delayed.eq(result)
        result = delayed
    return result


def delay(m: Module, value, cycles: int, *, reset_less: bool = False):
    """``value`` as it was ``cycles`` ago, for valid bits and addresses that travel beside a tree."""
    for _ in range(cycles):
        delayed = Signal(value.shape(), reset_less=reset_less)
        m.d.sync += delayed.eq(value)
        value = delayed
    return value
