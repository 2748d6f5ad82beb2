"""Search for the lanes of a network on a part: the smallest design among the fastest that fit.

The search enumerates all choices of engines, lanes, passes and places of kernels, with two slots and, if none
of these fits, with one. A choice is discarded if it doesn't fit even with the smallest arrays, fewest taps
and shared multipliers. The others are tried in the order of a lower bound of their cycles. Each starts with a
whole word per cycle; then arrays, taps and multipliers are reduced as long as that costs hardly a cycle, or
until the design fits.

The search is deterministic: the same network has the same lanes everywhere. Lanes never change a result.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from typing import Any

from nudge.golden.contract import layout
from nudge.golden.contract.config import ENGINES, SLOTS, Config, configuration
from nudge.golden.contract.lanes import Lanes
from nudge.golden.contract.spec import Spec
from nudge.plumbing.errors import DesignError

from .activity import Activity
from .cells import WHOLE
from .cycles import mean_halves, of_halves
from .part import Part
from .timing import cycles_at
from .units import Unit, units

#: Maximum number of choices of lanes and passes; beyond it, layers keep only divisors that are farther apart.
CHOICES = 12000

#: Largest number of convolutions whose engines are chosen one by one.
MIXED = 3

#: Relative number of cycles by which a smaller design may exceed the fastest one.
SLOWER = 0.02

#: Choices of an event-driven engine: passes over a window, and kernels in block RAM or not.
PASSES, KERNEL_BLOCKS = (1, 2, 4), (False, True)

#: Numbers of slots in the order in which they are tried.
EACH_SLOTS = range(SLOTS, 0, -1)


@dataclass(frozen=True)
class Size:
    """Resources that a design or a unit takes."""

    cells: float
    registers: float
    blocks: int
    multipliers: int

    def __add__(self, other: "Size") -> "Size":
        logic = self.cells + other.cells, self.registers + other.registers
        return Size(*logic, self.blocks + other.blocks, self.multipliers + other.multipliers)

    def share(self, part: Part) -> float:
        """Return the largest of the shares that it takes of a part's resources."""
        taken = self.cells / part.cells, self.blocks / part.blocks, self.multipliers / part.multipliers
        return max(*taken, self.registers / part.registers if part.registers else 0.0)

    def fits(self, part: Part) -> bool:
        """Return whether the part has enough of each resource."""
        logic = self.cells <= part.cells and (not part.registers or self.registers <= part.registers)
        return logic and self.blocks <= part.blocks and self.multipliers <= part.multipliers


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, in ascending order."""
    return [n for n in range(1, number + 1) if number % n == 0]


def subsets(items: Iterable[int]) -> list[frozenset[int]]:
    """Return the subsets of some numbers, from the empty one to all."""
    each = sorted(items)
    return [frozenset(some) for size in range(len(each) + 1) for some in combinations(each, size)]


class Search:
    """The search for the lanes of one network on one part.

    activity: of a few samples. window: the link's, in requests. engines: a kind of
    `golden.contract.config.ENGINES`. stores: whether the board has a memory for samples.
    """

    def __init__(
        self,
        spec: Spec,
        part: Part,
        activity: Activity,
        window: int,
        engines: str = ENGINES[0],
        stores: bool = False,
    ):
        self.spec, self.part, self.activity, self.window, self.stores = spec, part, activity, window, stores
        #: Whether engines may differ from those of the kind, as on boards.
        self.boards = engines == ENGINES[0]
        #: The network with one lane for each layer, and the engines that the kind has by default.
        self.plain = configuration(replace(spec, lanes=()), engines)
        #: Mean number of spikes of a sample at each position of the layers that feed convolutions.
        self._fired = {n: each.sum((1, 2)).mean(0) for n, each in activity.fired.items()}
        self._sizes: dict[tuple[Any, ...], Size] = {}
        self._halves: dict[tuple[Any, ...], tuple[float, float]] = {}

    def size(self, config: Config) -> Size:
        """Return the size of a design, as the sum of its units. The sizes of a bundle's units are cached."""
        total = Size(0.0, 0.0, 0, 0)
        fresh: dict[str, Unit] | None = None
        for bundle in self.spec.bundles:
            n = bundle.index
            key = self._key(config, n)
            if key not in self._sizes:
                fresh = fresh or {unit.name: unit for unit in units(config, self.window)}
                parts = [fresh[f"{kind}_{n}"] for kind in ("array", "engine", "update", "weights")]
                self._sizes[key] = sum(map(size_of, parts), Size(0.0, 0.0, 0, 0))
            total += self._sizes[key]
        if (config.slots,) not in self._sizes:
            around = (unit for unit in units(config, self.window, self.stores) if unit.kind in WHOLE)
            self._sizes[config.slots,] = sum(map(size_of, around), Size(0.0, 0.0, 0, 0))
        return total + self._sizes[config.slots,]

    @staticmethod
    def _key(config: Config, n: int) -> tuple[Any, ...]:
        """Return the cache key of a bundle: every choice that the size of its units depends on."""
        turns = config.turns(config.spec.layers[n])
        engine: Any = config.engine(config.spec.bundles[n - 1])
        if engine == "event":
            engine = (*config.passes, config.kernel_blocks)
        elif n in config.folded:
            engine = "folded"
        elif n == 1:
            engine = config.image_taps
        return n, config.lanes[n - 1], config.lanes[n], turns, engine, n in config.shared, config.slots

    def cycles(self, config: Config) -> float:
        """Return the cycles of a training sample."""
        key = (config.lanes, config.arrays, config.passes, config.scatters, config.folded, config.slots)
        if key not in self._halves:
            self._halves[key] = mean_halves(config, self.activity)
        return of_halves(config, self.activity, self.spec.learning.batch, 0.0, *self._halves[key]).training

    def bound(self, config: Config) -> float:
        """Return a lower bound of a training sample's cycles, which arrays, spikes and multipliers can't
        reduce.

        A half of a sweep takes at least a cycle for each word of a layer, and for each tile of a dense
        bundle. A scatter engine takes its cycles for each spike of the sample.
        """
        words = [config.words(layer) for layer in self.spec.layers[1:]]
        tiles = [layout.tiles(config, bundle) for bundle in self.spec.bundles if bundle.kind == "dense"]
        spikes = [
            float((self._fired[source] * cycles_at(config, bundle, name)).sum())
            for bundle in self.spec.bundles
            if bundle.index in config.scatters
            for name, source in (("forward", bundle.pre.index), ("backward", bundle.index))
        ]
        halves = 2 * (self.activity.free + 2 * self.activity.nudged) // config.slots
        return max(halves * max(words + tiles), *spikes, 0.0)

    def choices(self, slots: int = SLOTS) -> Iterator[Config]:
        """Yield each choice of engines, lanes, passes and kernel places, with minimal arrays, taps and
        multipliers."""
        for plain in self.plains():
            yield from self._choices_with(replace(plain, slots=slots))

    def plains(self) -> Iterator[Config]:
        """Yield the network with each choice of engines: event or line engines where a board has them by
        default, or scatter engines instead in some convolutions, in all of them if they are many; with folded
        kernels in some.
        """
        yield self.plain
        convs = [bundle.index for bundle in self.spec.bundles if bundle.kind == "conv"]
        if not self.boards or not convs:
            return
        few = len(convs) <= MIXED
        for some in subsets(convs)[1:] if few else [frozenset(convs)]:
            for folded in subsets(some) if few else [frozenset[int](), some]:
                yield replace(self.plain, scatters=some, folded=folded, events=self.plain.events - some)

    def _choices_with(self, plain: Config) -> Iterator[Config]:
        """Yield the choices with the engines of ``plain``."""
        each = [divisors(layer.channels) for layer in self.spec.layers[1:]]
        passes, places = (
            (list(product(PASSES, repeat=2)), KERNEL_BLOCKS) if plain.events else ([(1, 1)], (False,))
        )
        while _product(map(len, each)) * len(passes) > CHOICES:
            longest = max(each, key=len)
            if len(longest) <= 2:
                break
            # drop the divisor that is closest to a neighbour
            gaps = [
                min(longest[n] / longest[n - 1], longest[n + 1] / longest[n])
                for n in range(1, len(longest) - 1)
            ]
            del longest[1 + gaps.index(min(gaps))]
        for lanes in product(*each):
            for (forward, backward), blocks in product(passes, places):
                config = replace(plain, lanes=(1, *lanes), arrays=(1,) * (1 + len(lanes)), image_taps=1)
                shared = frozenset(bundle.index for bundle in self.spec.bundles)
                if all(
                    config.groups(bundle.post) % forward == 0
                    and 2 * config.groups(bundle.pre) % backward == 0
                    for bundle in self.spec.bundles
                    if bundle.index in config.events
                ):
                    yield replace(config, passes=(forward, backward), kernel_blocks=blocks, shared=shared)

    def widest(self, config: Config) -> Config:
        """Return the design with a word per cycle, all taps at once, and two multipliers per lane."""
        taps = self.spec.bundles[0].kernel ** 2
        return replace(config, arrays=config.lanes, image_taps=taps, shared=frozenset())

    def narrower(self, config: Config) -> Iterator[Config]:
        """Yield designs with a single smaller array, fewer taps, or one bundle's multipliers shared."""
        for layer in self.spec.layers[1:]:
            n = layer.index
            less = [lanes for lanes in divisors(config.lanes[n]) if lanes < config.arrays[n]]
            for lanes in less[-1:]:
                yield replace(config, arrays=(*config.arrays[:n], lanes, *config.arrays[n + 1 :]))
        taps = self.spec.bundles[0].kernel ** 2
        rounds = -(-taps // min(config.image_taps, taps))
        fewer = [n for n in range(1, config.image_taps) if -(-taps // n) > rounds]
        if fewer:
            # the fewest taps that take no more rounds than `fewer[-1]` taps
            most = -(-taps // fewer[-1])
            yield replace(config, image_taps=-(-taps // most))
        for bundle in self.spec.bundles:
            if bundle.index not in config.shared:
                yield replace(config, shared=config.shared | {bundle.index})

    def reduced(self, config: Config) -> tuple[Config, float] | None:
        """Return a design with these lanes and passes that fits, and its cycles; None if there is none.

        Reductions that save most cells per additional cycle come first: as long as the cycles stay within
        `SLOWER` / 2 of the start, and beyond that until the design fits.
        """
        best = self.cycles(config)
        now, allowed = best, best * (1 + SLOWER / 2)
        while True:
            size = self.size(config)
            tried = []
            for smaller in self.narrower(config):
                saved = size.cells - self.size(smaller).cells
                registers = size.registers - self.size(smaller).registers
                multipliers = size.multipliers - self.size(smaller).multipliers
                cycles = self.cycles(smaller)
                if saved > 0 or registers > 0 or multipliers > 0:
                    tried.append(
                        (max(cycles - now, 0.0) / max(saved + 20 * multipliers, 1.0), cycles, smaller)
                    )
            free = [one for one in tried if one[1] <= allowed]
            if not self.fits(size) and not free:
                free = tried
            if not free:
                return (config, now) if self.fits(size) else None
            _, now, config = min(
                free,
                key=lambda one: (one[0], one[1], one[2].arrays, one[2].image_taps, sorted(one[2].shared)),
            )

    def fits(self, size: Size) -> bool:
        """Return whether the part has enough resources, and a router is likely to find enough wires."""
        return size.fits(self.part) and self.part.likely(size.cells, size.registers)

    def closest(self) -> Config:
        """Return the design that exceeds the part, or what is routable, by the smallest factor."""

        def factor(config: Config) -> float:
            size, part = self.size(config), self.part
            return max(size.share(part), size.cells / (part.routable * part.cells))

        return min((config for slots in EACH_SLOTS for config in self.choices(slots)), key=factor)

    def best(self) -> Config:
        """Return the chosen design; it has one slot only if none with two fits.

        If none is likely to be routed, this is the smallest that fits. Raises `DesignError` if none fits.
        """
        part = self.part
        for slots in EACH_SLOTS:
            if possible := [config for config in self.choices(slots) if self.fits(self.size(config))]:
                return self._fastest(possible)
        for slots in EACH_SLOTS:
            if fitting := [config for config in self.choices(slots) if self.size(config).fits(part)]:
                return min(fitting, key=lambda one: self.size(one).cells)
        smallest = self.size(self.closest())
        raise DesignError(
            f"{self.spec.name}: even the smallest design takes about {smallest.cells:,.0f} of {part.cells:,} "
            f"cells, {smallest.blocks} of {part.blocks} block RAMs and {smallest.multipliers} of "
            f"{part.multipliers} multipliers of the {part.name}"
        )

    def _fastest(self, possible: list[Config]) -> Config:
        """Return the smallest among the fastest designs that these choices lead to."""
        ranked = sorted((self.bound(config), self.size(config).cells, n) for n, config in enumerate(possible))
        found: list[tuple[float, float, int, Config]] = []
        fewest, smallest_yet = float("inf"), float("inf")
        for bound, least, n in ranked:
            if bound > fewest * (1 + SLOWER):
                break
            wide = self.widest(possible[n])
            cycles = self.cycles(wide)
            # skip choices that can be neither faster than the best so far, nor about as fast and smaller
            if cycles >= fewest * (1 + SLOWER) or (cycles >= fewest and least >= smallest_yet):
                continue
            made = self.reduced(wide)
            if made is None:
                continue
            found.append((made[1], self.size(made[0]).cells, n, made[0]))
            fewest = min(fewest, made[1])
            smallest_yet = min(size for cycles, size, *_ in found if cycles <= fewest * (1 + SLOWER))
        return min(
            (one for one in found if one[0] <= fewest * (1 + SLOWER)),
            key=lambda one: (one[1], one[0], one[2]),
        )[3]


def size_of(unit: Unit) -> Size:
    """Return the size of a unit."""
    return Size(unit.cells, unit.registers, unit.memory.blocks, unit.multipliers)


def _product(numbers: Iterator[int]) -> int:
    out = 1
    for number in numbers:
        out *= number
    return out


def lanes_of(config: Config) -> Lanes:
    """Return the lanes of a design, as a table `[lanes.NAME]` of a network file."""
    if config.compact:
        return Lanes(config.lanes)
    sets = config.shared, config.scatters, config.folded
    shared, scatters, folded = (tuple(sorted(bundles)) or None for bundles in sets)
    passes, blocks = (config.passes, config.kernel_blocks or None) if config.events else (None, None)
    slots = None if config.slots == SLOTS else config.slots
    arrays = config.arrays or config.lanes
    return Lanes(config.lanes, arrays, config.image_taps, shared, passes, blocks, scatters, folded, slots)


def as_table(lanes: Lanes) -> dict[str, Any]:
    """Return the keys and values of a network file's table, without those that are None."""
    found = {key: list(x) if isinstance(x, tuple) else x for key, x in asdict(lanes).items()}
    return {key: x for key, x in found.items() if x is not None}
