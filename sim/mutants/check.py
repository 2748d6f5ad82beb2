"""Which mutants the benches notice."""

import csv
import json
import tempfile
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
    bench: CompiledBench, modules: tuple[ModuleType, ...], mutants: list[Mutant], choosers: set[str]
) -> dict[Mutant, str]:
    """Each mutant of the units of these modules, with the test that noticed it, or "survived"."""
    ended: dict[Mutant, str] = {}
    for module in modules:
        for test in names_of_tests(module):
            left = [mutant for mutant in mutants if mutant not in ended]
            if not left:
                return ended
            for mutant, ending in zip(left, endings(bench, module, test, left, choosers), strict=True):
                if ending != SURVIVED:
                    ended[mutant] = f"{module.__name__}.{test}: {ending}"
    return {mutant: ended.get(mutant, SURVIVED) for mutant in mutants}


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
            groups: dict[tuple[ModuleType, ...], list[Mutant]] = {}
            for mutant in mutants:
                if mutant not in result:
                    groups.setdefault(tuple(bench.modules[mutant.unit]), []).append(mutant)
            with ThreadPoolExecutor(jobs) as pool:
                tried = [pool.submit(try_units, compiled, modules, left, choosers) for modules, left in groups.items()]
                for future in tried:
                    found = future.result()
                    result |= found
                    csv.writer(stream).writerows([*mutant.key, ending] for mutant, ending in found.items())
                    stream.flush()
                    meter.advance(len(found), "")
    return result
