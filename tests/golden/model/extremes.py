"""Extremes of docs/arithmetic.md's quantities, counted as scalar loops meet them: a wrong width or clip shows nowhere else.

Each call of `clip`, `rhu` and `min` on the page is an extreme by itself, by the function and the name that it is assigned to;
sums are what the scalar model says.
"""

import ast
from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace

CLIPPED, TIES, SIGNS = ("below", "above"), ("negative tie", "positive tie"), ("largest negative", "largest positive")

#: What each of these calls may meet.
KINDS = {"clip": CLIPPED, "rhu": TIES, "min": ("above",)}

#: Of sums, and of what is drawn.
SUMS = {
    "pixels": ("black", "white"),
    "rate": ("largest",),
    "threshold": ("equal",),
    **dict.fromkeys(("static", "drive", "nudge", "U", "fine U", "g of a weight", "g of a bias", "fine g of a weight"), SIGNS),
    **dict.fromkeys(("weight in a batch", "bias in a batch", "common part", "moved", "bias step"), SIGNS),
    **dict.fromkeys(("window sum", "mean", "total"), ("largest positive",)),
}

#: Its bound has both of two terms at their largest, which exclude each other: a quarter of it counts.
TWO_TERMS = "fine g of a weight"

#: Running means aren't negative.
IMPOSSIBLE = {("centred.c", "negative tie")}


class Names(ast.NodeTransformer):
    """Gives each of those calls a further argument: what it computes."""

    def __init__(self):
        self.function, self.target, self.found = "", "", {}

    def visit_FunctionDef(self, node):
        before, self.function, self.target = self.function, node.name, "result"
        self.generic_visit(node)
        self.function = before
        return node

    def visit_Assign(self, node):
        self.target = ast.unparse(node.targets[0])
        self.generic_visit(node)
        self.target = "result"
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in KINDS:
            name = f"{self.function}.{self.target}"
            self.found |= {(name, kind): 0 for kind in KINDS[node.func.id]}
            node.args.append(ast.Constant(name))
        return node


class Extremes(Counter):
    """How often each pair of a quantity and an extreme was met; in `shares` the largest share of a bound that a sum reached."""

    def __init__(self):
        super().__init__()
        self.shares: dict[tuple[str, str], float] = {}

    def counting(self, page: SimpleNamespace) -> dict:
        """The page's `clip` and `rhu`, and `min`, that count under the name that they are given, if any."""

        def clip(v, low, high, name=None):
            self[name, "below"] += v < low
            self[name, "above"] += v > high
            return page.clip(v, low, high)

        def rhu(v, n, name=None):
            if n and v % (1 << n) == 1 << n - 1:
                self[name, "negative tie" if v < 0 else "positive tie"] += 1
            return page.rhu(v, n)

        def least(v, high, name=None):
            self[name, "above"] += v > high
            return min(v, high)

        return {"clip": clip, "rhu": rhu, "min": least}

    def sum(self, name: str, v: int, high: int, low: int | None = None) -> int:
        """v, a sum within low..high, by default -high..high; beyond half of that it counts: a bit less can't hold it."""
        low = -high if low is None else low
        assert low <= v <= high, f"{name} {v} is outside {low}..{high}"
        if v:
            key, share = (name, SIGNS[v > 0]), v / (high if v > 0 else low)
            self[key] += share > (0.25 if name == TWO_TERMS else 0.5)
            self.shares[key] = max(share, self.shares.get(key, 0.0))
        return v


def check(several: Iterable[Extremes], calls: Iterable[tuple[str, str]]) -> None:
    """Prints how often all of these models together met each extreme; fails where one is missing. calls: those of the page."""
    met = Extremes()
    for one in several:
        met.update(one)
        met.shares |= {key: max(share, met.shares.get(key, 0.0)) for key, share in one.shares.items()}
    for key in wanted(calls):
        share = f"up to {met.shares.get(key, 0.0):.2f} of its bound" if key[1] in SIGNS else ""
        print(f"{key[0]:26}{key[1]:18}{met[key]:9}  {share}")
    missing = [": ".join(key) for key in wanted(calls) if not met[key]]
    assert not missing, f"never met: {missing}"


def wanted(calls: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """All extremes."""
    sums = [(name, kind) for name, kinds in SUMS.items() for kind in kinds]
    return [*(key for key in calls if key not in IMPOSSIBLE), *sums]
