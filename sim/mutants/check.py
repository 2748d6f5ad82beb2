"""Which mutants the benches notice."""

import csv
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from golden.cache import build_root
from golden.progress import Meter
from sim.harness.branch import SURVIVED, VARIABLE
from sim.harness.testbench import CompiledBench, run_test

from .build import Mutant, build, draw
from .subjects import Bench, names_of_tests


class MutantsError(Exception):
    """A check that can't be carried out; the message says why."""


def read(path: Path) -> dict[tuple[str, str, str], str]:
    """Endings by `Mutant.key`, as a run that was interrupted left them; none without a file."""
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        return {(bench, unit, change): ending for bench, unit, change, ending in csv.reader(stream)}


def endings(bench: CompiledBench, module: ModuleType, test: str, mutants: list[Mutant], choosers: set[str]) -> list[str]:
    """How a test ends for each of these mutants. `MutantsError` if the healthy design doesn't pass."""
    with tempfile.TemporaryDirectory(dir=build_root()) as folder:
        job = Path(folder) / "job.json"
        told = {"choosers": sorted(choosers), "mutants": [(mutant.input, mutant.number) for mutant in mutants]}
        job.write_text(json.dumps(told))
        run_test(bench, module.__name__, test, {VARIABLE: str(job)})
        try:
            healthy, *found = json.loads(job.with_suffix(".endings").read_text())
        except FileNotFoundError:
            raise MutantsError(f"{module.__name__}.{test} doesn't call sim.harness.streams.start") from None
    if healthy != SURVIVED:
        raise MutantsError(f"{module.__name__}.{test} of the healthy design: {healthy}")
    return found


def try_units(
    bench: CompiledBench, modules: list[ModuleType], mutants: list[Mutant], choosers: set[str]
) -> Iterator[tuple[Mutant, str]]:
    """Each mutant of a module's units, with the test that noticed it, or "survived"."""
    left = list(mutants)
    for module in modules:
        for test in names_of_tests(module):
            if not left:
                return
            found = endings(bench, module, test, left, choosers)
            for mutant, ending in zip(left, found, strict=True):
                if ending != SURVIVED:
                    yield mutant, f"{module.__name__}.{test}: {ending}"
            left = [mutant for mutant, ending in zip(left, found, strict=True) if ending == SURVIVED]
    for mutant in left:
        yield mutant, SURVIVED


def check(benches: list[Bench], count: int, seed: int, out: Path, jobs: int) -> dict[Mutant, str]:
    """Tries `count` mutants, drawn from a seed; what became of each.

    out: a CSV file of bench, unit, change and ending, which a later run goes on with. jobs: tests at a time; they never change
    a result.
    """
    known, result = read(out), {}
    drawn = draw(benches, count)
    out.parent.mkdir(parents=True, exist_ok=True)
    with Meter("mutants", count) as meter, out.open("a", newline="") as stream:
        for bench in benches:
            if not any(drawn[bench.name, unit][1] for unit in bench.units):
                continue
            compiled, mutants = build(bench, drawn, seed)
            choosers = {mutant.input for mutant in mutants}
            for mutant in mutants:
                if mutant.key in known:
                    result[mutant] = known[mutant.key]
            meter.advance(sum(mutant.key in known for mutant in mutants), "")
            # units of one module share its tests
            groups: dict[tuple[str, ...], list[Mutant]] = {}
            for mutant in mutants:
                if mutant not in result:
                    groups.setdefault(tuple(m.__name__ for m in bench.modules[mutant.unit]), []).append(mutant)
            by_name = {m.__name__: m for modules in bench.modules.values() for m in modules}

            def tried(group: tuple[tuple[str, ...], list[Mutant]]) -> list[tuple[Mutant, str]]:
                names, left = group
                return list(try_units(compiled, [by_name[name] for name in names], left, choosers))  # noqa: B023

            with ThreadPoolExecutor(jobs) as pool:
                for found in pool.map(tried, groups.items()):
                    for mutant, ending in found:
                        result[mutant] = ending
                        csv.writer(stream).writerow([*mutant.key, ending])
                    stream.flush()
                    meter.advance(len(found), "")
    return result
