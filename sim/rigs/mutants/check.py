"""Run the benches' tests on mutants, and record the test that notices each."""

import csv
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nudge.plumbing import parts
from nudge.plumbing.cache import build_root
from nudge.plumbing.errors import ToolError
from nudge.plumbing.progress import Meter
from sim.harness.testbench import CompiledBench, run_test

from . import trial
from .build import Mutant, build, draw
from .subjects import Bench, names_of_tests


def read(path: Path) -> dict[tuple[str, str], str]:
    """Read endings by `Mutant.key` from the CSV file of an earlier run; empty if there is none."""
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        return {(unit, change): ending for unit, change, ending in csv.reader(stream)}


def try_mutants(
    bench: Bench, compiled: CompiledBench, mutants: list[Mutant], choosers: set[str], out: Path
) -> None:
    """Try mutants, and append a line for each to `out`. `ToolError` if the healthy design fails a test."""
    tests = {
        unit: [(module.__name__, test) for module in bench.modules[unit] for test in names_of_tests(module)]
        for unit in {mutant.unit for mutant in mutants}
    }
    told = {"choosers": sorted(choosers), "out": str(out)}
    told["mutants"] = [
        {
            "key": mutant.key,
            "unit": mutant.unit,
            "input": mutant.input,
            "number": mutant.number,
            "tests": tests[mutant.unit],
        }
        for mutant in mutants
    ]
    with tempfile.TemporaryDirectory(dir=build_root()) as folder:
        job, healthy = Path(folder) / "job.json", Path(folder) / "healthy"
        job.write_text(json.dumps(told | {"healthy": str(healthy)}))
        # torch must not start threads: forked children lack them, and would wait for them
        run_test(
            compiled, trial.__name__, trial.any_test.name, {trial.VARIABLE: str(job), "OMP_NUM_THREADS": "1"}
        )
        if healthy.exists():
            raise ToolError(healthy.read_text())


def check(
    benches: list[Bench], count: int, seed: int, out: Path, jobs: int, its: str | None = None
) -> dict[Mutant, str]:
    """Try `count` mutants drawn from a seed; return the test that noticed each one, or `trial.SURVIVED`.

    out: CSV file of unit, change and ending; a later run skips the mutants in it. jobs: number of parallel
    simulators, which doesn't change any result. its: the part of each bench's mutants, as for `parts.part`.
    """
    drawn, known = draw(benches, count, seed), read(out)
    out.parent.mkdir(parents=True, exist_ok=True)

    def size(bench: Bench) -> int:
        return sum(len(text) for text, number in (drawn[bench.name, unit] for unit in bench.units) if number)

    # long builds start first
    chosen = sorted((bench for bench in benches if size(bench)), key=size, reverse=True)
    share = max(jobs // len(chosen), 1)

    def tried(bench: Bench) -> list[Mutant]:
        compiled, mutants = build(bench, drawn, seed)
        choosers = {mutant.input for mutant in mutants}
        mutants = parts.part(mutants, its, "--part")
        left = [mutant for mutant in mutants if mutant.key not in known]
        with ThreadPoolExecutor(share) as pool:
            shares = [left[first::share] for first in range(share) if left[first::share]]
            for future in [pool.submit(try_mutants, bench, compiled, each, choosers, out) for each in shares]:
                future.result()
        return mutants

    found: list[Mutant] = []
    with Meter("mutants", count) as meter, ThreadPoolExecutor(jobs) as pool:
        for mutants in pool.map(tried, chosen):
            found += mutants
            meter.advance(len(mutants), "")
    endings = read(out)
    return {mutant: endings[mutant.key] for mutant in found}
