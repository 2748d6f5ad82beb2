"""A pipelined adder tree whose sum is wide enough for any terms."""

from amaranth.hdl import Cat, Module, Signal


def tree_latency(terms: int) -> int:
    """Latency of `adder_tree` in cycles, one for each level of additions: max(ceil(log2(terms)), 1)."""
    return max((terms - 1).bit_length(), 1)


def adder_tree(m: Module, terms, *, latency: int | None = None):
    """Adds ``terms`` in ``m``'s sync domain; returns the sum as a `Signal`, wide enough for any input.

    Free running: a sum leaves `tree_latency(len(terms))` cycles after its terms, or ``latency`` cycles where
    that is given, so that parallel trees can have the same depth. A ``latency`` below `tree_latency` raises
    `ValueError`.
    """
    return carry_tree(m, [(term, None) for term in terms], latency=latency)[0]


def carry_tree(m: Module, terms, *, latency: int | None = None):
    """`adder_tree` for pairs (term, carry), each worth term + carry; a carry is a bit or None. Returns the
    sum as such a pair.

    A conditionally negated number is such a pair: -w = ~w + 1. Each two-input addition has room for one
    carry, so a tree of n terms adds n - 1 carries: where all n terms have one, the last carry is returned for
    the caller to add.
    """
    own = tree_latency(len(terms))
    latency = own if latency is None else latency
    if latency < own:
        raise ValueError(f"latency must be at least {own} for {len(terms)} terms, not {latency}")
    level = list(terms)
    for _ in range(own):
        # A register after each addition: Yosys then maps each to a carry chain. Additions without a register
        # between them become compressors made of logic, which take nearly twice the cells.
        level = [registered(m, *paired(level[i : i + 2])) for i in range(0, len(level), 2)]
    (result,) = level
    for _ in range(latency - own):
        result = registered(m, *result)
    return result


def paired(terms):
    """Adds one or two pairs (term, carry): one carry is added too, the other is in the returned pair."""
    (a, first), (b, second) = terms if len(terms) == 2 else (*terms, (None, None))
    if b is None:
        return a, first
    added, left = (first, second) if first is not None else (second, None)
    return plus(a, b, added), left


def plus(a, b, carry):
    """a + b + carry in one carry chain, which adds 1 + carry one bit lower. carry: a bit or None."""
    if carry is None:
        return a + b
    one, other = Cat(1, a), Cat(carry, b)
    if a.shape().signed:
        one = one.as_signed()
    if b.shape().signed:
        other = other.as_signed()
    return (one + other) >> 1


def registered(m: Module, term, carry):
    """The pair (term, carry), delayed by one cycle."""
    return tuple(value if value is None else data_delay(m, value) for value in (term, carry))


def delay(m: Module, value, cycles: int, *, reset_less: bool = False):
    """``value``, delayed by ``cycles``; for valid bits and addresses that accompany the data of a tree."""
    for _ in range(cycles):
        delayed = Signal(value.shape(), reset_less=reset_less)
        m.d.sync += delayed.eq(value)
        value = delayed
    return value


def data_delay(m: Module, value, cycles: int = 1):
    """`delay` in registers without a reset, for data that are read only where a valid bit is high."""
    return delay(m, value, cycles, reset_less=True)


def lasting(m: Module, value, cycles: int):
    """High while ``value`` is high, and for ``cycles`` cycles after it."""
    stages = [value]
    for _ in range(cycles):
        stages.append(delay(m, stages[-1], 1))
    return Cat(stages).any()
