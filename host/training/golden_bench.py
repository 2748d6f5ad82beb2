"""Measures the golden model's engines on the same images, and checks that their results are equal."""

import os
import statistics
import time
from dataclasses import dataclass

import torch

from nudge.golden.contract.spec import Spec
from nudge.golden.model import native
from nudge.golden.model.batch import train_batch
from nudge.golden.model.difference import Part, first_difference, master_parts
from nudge.golden.model.engines import MODEL_ENGINES
from nudge.golden.model.parameters import initial
from nudge.golden.model.result import Result
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import Data
from nudge.plumbing import compiler
from nudge.plumbing.errors import ComparisonError, UsageError
from nudge.plumbing.progress import Meter

#: Number of timed runs of each engine, after a warm-up; the result is their median.
RUNS = 3

#: The reference engine, and the divisor of its share of the batch, as it is slow.
REFERENCE, PART = "plain", 4


@dataclass(frozen=True)
class EngineSpeed:
    """Speed of one engine.

    images: number trained in each timed run. samples_per_second: the median. spread: that of the slowest and
    the fastest run.
    """

    images: int
    samples_per_second: float
    spread: tuple[float, float]


@dataclass(frozen=True)
class GoldenBench:
    """Speeds of all engines. threads: most that each may use. load: the machine's 1-minute load average."""

    preset: str
    batch: int
    runs: int
    threads: int
    load: float
    engines: dict[str, EngineSpeed]

    @property
    def fastest(self) -> str:
        """The compiled engine, or without a compiler the one that "auto" then selects."""
        return "native" if "native" in self.engines else "folded"

    @property
    def samples_per_second(self) -> float:
        """Training samples a second of the fastest engine."""
        return self.engines[self.fastest].samples_per_second

    def ratio(self, engine: str) -> float:
        """Return the speed of an engine divided by that of the plain engine."""
        return self.engines[engine].samples_per_second / self.engines[REFERENCE].samples_per_second


def _check_equal(results: dict[str, Result], images: int) -> None:
    first, *others = results
    wanted = results[first]
    for name in others:
        found = results[name]
        parts: list[Part] = [
            ("prediction", found.predictions, wanted.predictions),
            ("spikes", found.spikes, wanted.spikes),
        ]
        difference = first_difference([*parts, *master_parts(found.updates, wanted.updates)])
        if difference is not None:
            where = difference.text(name, first)
            raise ComparisonError(f"engines {first!r} and {name!r} differ on {images} images: {where}")


#: Limits of images and threads: torch crashes with more threads than the machine allows.
MAX_BATCH, MAX_THREADS = 1 << 16, 256


def golden_bench(
    spec: Spec, data: Data, batch: int, threads: int | None = None, runs: int = RUNS
) -> GoldenBench:
    """Train `batch` training images (repeated if there are fewer) from the initial weights with each engine.

    The plain engine trains only the first quarter. The engines take turns, so that other load on the machine
    slows all of them. Use one thread on a busy machine: torch's threads wait for each other, which makes the
    ratio far too high.

    threads: of each engine, by default one for each processor. Raises `ComparisonError` if predictions,
    spikes or updates differ between all engines on the quarter, or between all but the plain one on the
    batch.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise UsageError(f"--batch must be 1..{MAX_BATCH}, not {batch}")
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"--threads must be 1..{MAX_THREADS}, not {threads}")
    load, before = os.getloadavg()[0], torch.get_num_threads()
    threads = threads or len(os.sched_getaffinity(0))
    numbers = torch.arange(batch, device="cpu") % len(data.train_images)
    images, labels = data.train_images[numbers], data.train_labels[numbers]
    settings, parameters = Settings.of(spec), initial(spec, 0)
    part = max(1, batch // PART)
    counts = {engine: part if engine == REFERENCE else batch for engine in MODEL_ENGINES}
    if compiler.available():
        native.library()  # before the meter starts
        counts["native"] = batch

    def train(engine: str, count: int) -> Result:
        return train_batch(
            spec, settings, parameters, images[:count], labels[:count], engine=engine, threads=threads
        )

    torch.set_num_threads(threads)
    try:
        with Meter("benchmark", len(counts) * part + runs * sum(counts.values())) as meter:
            results = {}
            for engine in counts:  # warm-up
                results[engine] = train(engine, part)
                meter.advance(part, engine)
            _check_equal(results, part)
            rates: dict[str, list[float]] = {engine: [] for engine in counts}
            for _ in range(runs):
                for engine, count in counts.items():
                    start = time.perf_counter()
                    results[engine] = train(engine, count)
                    rates[engine].append(count / (time.perf_counter() - start))
                    meter.advance(count, engine)
            _check_equal({engine: result for engine, result in results.items() if engine != REFERENCE}, batch)
    finally:
        torch.set_num_threads(before)
    speeds = {e: EngineSpeed(counts[e], statistics.median(r), (min(r), max(r))) for e, r in rates.items()}
    return GoldenBench(spec.name, batch, runs, threads, load, speeds)
