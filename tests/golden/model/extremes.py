"""Count how often scalar loops meet extremes of docs/arithmetic.md's quantities, which show wrong widths.

Each call of `clip`, `rhu` and `min` on the page is a quantity, named after its function and the variable that
it is assigned to; the scalar model names the sums.
"""

import ast
from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace

CLIPPED, TIES, SIGNS = (
    ("below", "above"),
    ("negative tie", "positive tie"),
    ("largest negative", "largest positive"),
)

#: Extremes that each of these calls may meet.
KINDS = {"clip": CLIPPED, "rhu": TIES, "min": ("above",)}

#: Extremes of sums and of drawn values.
SUMS = {
    "pixels": ("black", "white"),
    "rate": ("largest",),
    "threshold": ("equal",),
    **dict.fromkeys(
        ("static", "drive", "nudge", "U", "fine U", "g of a weight", "g of a bias", "fine g of a weight"),
        SIGNS,
    ),
    **dict.fromkeys(("weight in a batch", "bias in a batch", "common part", "moved", "bias step"), SIGNS),
    **dict.fromkeys(("window sum", "mean", "total"), ("largest positive",)),
}

#: Its bound adds the largest values of two terms that exclude each other, so a quarter of the bound counts.
TWO_TERMS = "fine g of a weight"

#: Running means aren't negative.
IMPOSSIBLE = {("centred.c", "negative tie")}


class Names(ast.NodeTransformer):
    """Give each of those calls a further argument: the name of its quantity."""

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
    """Counts of each (quantity, extreme). shares: the largest share of its bound that each sum reached."""

    def __init__(self):
        super().__init__()
        self.shares: dict[tuple[str, str], float] = {}

    def counting(self, page: SimpleNamespace) -> dict:
        """Return the page's `clip` and `rhu`, and `min`, which also count extremes under a given name."""

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
        """Return v, a sum within low..high (by default -high..high); beyond half of it count an extreme.

        Half, because a sum one bit narrower can't hold such a value.
        """
        low = -high if low is None else low
        assert low <= v <= high, f"{name} {v} is outside {low}..{high}"
        if v:
            key, share = (name, SIGNS[v > 0]), v / (high if v > 0 else low)
            self[key] += share > (0.25 if name == TWO_TERMS else 0.5)
            self.shares[key] = max(share, self.shares.get(key, 0.0))
        return v


def check(several: Iterable[Extremes], calls: Iterable[tuple[str, str]]) -> None:
    """Print how often all models together met each extreme; fail if one is missing. calls: `page.CALLS`."""
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
    """Return all extremes: those of the page's calls, and those of sums."""
    sums = [(name, kind) for name, kinds in SUMS.items() for kind in kinds]
    return [*(key for key in calls if key not in IMPOSSIBLE), *sums]
