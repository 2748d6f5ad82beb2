"""The work of `nudge bench`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from nudge.golden.contract.config import ENGINES
from nudge.golden.contract.protocol import PHASES
from nudge.golden.contract.spec import Spec
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.golden.training.plan import first_samples
from nudge.host.cli.terminal import emit, rendered
from nudge.host.devices.open import virtual_board
from nudge.host.devices.serial import SerialBoard
from nudge.host.training.bench import Bench
from nudge.host.training.bench import bench as run_bench
from nudge.host.training.golden_bench import GoldenBench, golden_bench
from nudge.plumbing.errors import UsageError


def of_model(spec: Spec, batch: int | None, threads: int | None, as_json: bool) -> None:
    """Measure the model's engines, and print the result."""
    images = datasets.load("embedded", shown=spec.input)
    speeds = golden_bench(spec, images, 256 if batch is None else batch, threads)
    emit(as_json, engine_values(speeds), engine_table(speeds))


def of_simulation(
    spec: Spec,
    samples: int | None,
    weights: Path | None,
    data: str,
    data_dir: Path | None,
    engines: str | None,
    as_json: bool,
) -> None:
    """Measure the virtual board, and print the result."""
    samples = spec.learning.batch if samples is None else samples
    if samples < 2:
        why = "one alone doesn't show what the next one hides"
        raise UsageError(f"--samples must be at least 2, not {samples}: {why}")
    parameters = None
    if weights is not None:
        parameters = checkpoint.load(checkpoint.find(weights), spec)[1]
    images = datasets.load(data, data_dir, spec.input)
    first_samples(samples, len(images.train_images), data)
    with virtual_board(spec, engines or ENGINES[0]) as virtual:
        with SerialBoard(virtual.url, spec) as device:
            result = run_bench(device, virtual.config, images, samples, seed=0, parameters=parameters)
    rate = virtual.statistics.cycles / virtual.statistics.seconds
    emit(as_json, cycle_values(result, rate), cycle_tables(result, spec.name, rate))


def cycle_values(result: Bench, rate: float) -> dict[str, Any]:
    """Return a measurement of cycles as plain data for --json. rate: simulated cycles a second."""
    return asdict(result) | {
        "cycles_per_training_sample": result.cycles_per_training_sample,
        "cycles_per_inference": result.cycles_per_inference,
        "bound_cycles_per_training_sample": result.bound_cycles_per_training_sample,
        "samples_per_second": result.samples_per_second,
        "simulated_cycles_per_second": rate,
        "parts": [asdict(part) | {"occupancy": result.occupancy(part)} for part in result.parts],
    }


def cycle_tables(result: Bench, name: str, rate: float) -> str:
    """Return a measurement of cycles as tables. name: of the preset. rate: simulated cycles a second."""
    table = Table("phase", title=f"{name}, batch {result.batch}: simulated cycles a sample")
    for column in ("training", "bound", "inference"):
        table.add_column(column, justify="right")
    columns = (result.phases, result.bound, result.inference)
    for phase in PHASES:
        table.add_row(phase, *(f"{column[phase]:.1f}" for column in columns))
    table.add_row("sum", *(f"{sum(column[phase] for phase in PHASES):.1f}" for column in columns))
    title = "lanes: cycles of a training sample at full occupancy, and the share of its cycles"
    busy = Table("part", title=title)
    for column in ("lanes", "cycles", "occupancy"):
        busy.add_column(column, justify="right")
    for part in result.parts:
        occupancy = f"{result.occupancy(part):.0%}"
        busy.add_row(part.name, str(part.lanes), f"{part.cycles:.0f}", occupancy)
    quiet = ", ".join(f"{share:.1%} in bundle {index}" for index, share in result.silent.items())
    speed = f"{result.samples_per_second:.1f} training samples/s, {rate:.3g} clock cycles/s"
    lines = [f"dense tiles without a spike on either side: {quiet}", f"virtual board: {speed}"]
    return "\n".join([rendered(table), rendered(busy), *lines])


def engine_values(result: GoldenBench) -> dict[str, Any]:
    """Return a comparison of engines as plain data for --json."""
    ratios = {f"ratio_{engine}": result.ratio(engine) for engine in result.engines}
    speed = {"fastest": result.fastest, "samples_per_second": result.samples_per_second}
    return {"ratio": result.ratio(result.fastest)} | speed | asdict(result) | ratios | {"equal": True}


def engine_table(result: GoldenBench) -> str:
    """Return a comparison of engines as a table."""
    table = Table(
        "engine",
        title=f"{result.preset}, batch {result.batch}, {result.threads} threads: training samples/s",
    )
    for column in ("images a run", "median", "slowest", "fastest", "times plain"):
        table.add_column(column, justify="right")
    for name, speed in result.engines.items():
        rates = (f"{rate:.1f}" for rate in (speed.samples_per_second, *speed.spread))
        table.add_row(name, str(speed.images), *rates, f"{result.ratio(name):.1f}")
    lines = [
        rendered(table),
        f"updates equal; {result.runs} runs each, load average before: {result.load:.1f}",
    ]
    if "native" not in result.engines:
        lines.append("no C++ compiler found, so no native engine: apt-get install g++, or set CXX")
    return "\n".join(lines)
