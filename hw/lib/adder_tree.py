"""A pipelined adder tree that never loses a bit."""

from amaranth.hdl import Cat, Module, Signal


def tree_latency(terms: int) -> int:
    """Registers between the terms and the sum of `adder_tree`: one for each level of additions, at least one."""
    return max((terms - 1).bit_length(), 1)


def adder_tree(m: Module, terms, *, latency: int | None = None):
    """Adds ``terms`` in ``m``'s sync domain; returns the sum as a `Signal`, wide enough for any input.

    Free running: a sum leaves `tree_latency(len(terms))` cycles after its terms, or ``latency`` if that is more
    (trees side by side can so be given the same depth).
    """
    return carry_tree(m, [(term, None) for term in terms], latency=latency)[0]


def carry_tree(m: Module, terms, *, latency: int | None = None):
    """`adder_tree` for pairs (term, carry), whose sum is term + carry; a carry is a bit or None. Returns such
    a pair.

    A number that may be negated is such a pair: -w = ~w + 1. Each two-input addition has room for one carry,
    so a tree of n terms takes n - 1 carries: where all terms have one, the last carry is returned for the
    caller to add.
    """
    own = tree_latency(len(terms))
    latency = own if latency is None else latency
    if latency < own:
        raise ValueError(f"latency must be at least {own} for {len(terms)} terms, not {latency}")
    level = list(terms)
    for _ in range(own):
        # One addition to a register: Yosys makes a carry chain of each, but compressors out of logic, which take nearly twice
        # the cells, where several meet without a register between them.
        level = [registered(m, *paired(level[i : i + 2])) for i in range(0, len(level), 2)]
    (result,) = level
    for _ in range(latency - own):
        result = registered(m, *result)
    return result


def paired(terms):
    """The sum of one or two pairs (term, carry) as one pair: one carry is added, a second one returned."""
    (a, first), (b, second) = terms if len(terms) == 2 else (*terms, (None, None))
    if b is None:
        return a, first
    added, left = (first, second) if first is not None else (second, None)
    return plus(a, b, added), left


def plus(a, b, carry):
    """a + b + carry in one carry chain, which begins a bit lower, with 1 + carry. carry: a bit or None."""
    if carry is None:
        return a + b
    one, other = Cat(1, a), Cat(carry, b)
    if a.shape().signed:
        one = one.as_signed()
    if b.shape().signed:
        other = other.as_signed()
    return (one + other) >> 1


def registered(m: Module, term, carry):
    """A pair (term, carry) as it was in the cycle before."""
    return tuple(value if value is None else data_delay(m, value) for value in (term, carry))


def delay(m: Module, value, cycles: int, *, reset_less: bool = False):
    """``value`` as it was ``cycles`` ago, for valid bits and addresses that travel beside a tree."""
    for _ in range(cycles):
        delayed = Signal(value.shape(), reset_less=reset_less)
        m.d.sync += delayed.eq(value)
        value = delayed
    return value


def data_delay(m: Module, value, cycles: int = 1):
    """`delay` of data, which need no reset: only where a valid bit says so are they looked at."""
    return delay(m, value, cycles, reset_less=True)


def lasting(m: Module, value, cycles: int):
    """High while ``value`` is, and for ``cycles`` more."""
    stages = [value]
    for _ in range(cycles):
        stages.append(delay(m, stages[-1], 1))
    return Cat(stages).any()
