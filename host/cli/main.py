"""The `nudge` command: options in, one result out. What it does lives in the modules that it calls."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from golden.contract.config import ENGINES
from golden.contract.errors import (
    ExitCode,
    TimingError,
    UsageError,
)
from golden.contract.presets import PRESETS, preset
from golden.contract.protocol import PHASES
from golden.paper.studies import STUDIES
from golden.paper.studies.study import carry_out
from golden.training import checkpoint
from golden.training import data as datasets
from golden.training.evaluate import evaluate
from golden.training.plan import Plan, first_samples
from host.boards.open import open_board, virtual_board
from host.boards.serial import SerialBoard
from host.harness.bench import bench as run_bench
from host.harness.compare import Fault
from host.harness.compare import compare as run_compare
from host.harness.golden_bench import GoldenBench, golden_bench

from . import board as board_cli
from .builds import run_build, run_flash, run_report
from .options import BoardOption, DataOption, DirOption, EnginesOption, JsonOption, PresetOption
from .run import run_together
from .terminal import emit, rendered, reported
from .training import train

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:3}  {code.what}" for code in ExitCode)

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, epilog=EPILOG)
app.add_typer(board_cli.app, name="board", help="Serve a virtual board, ask a board what it is, or attack one.")


@app.callback()
def callback() -> None:
    """Spiking convolutional networks, trained on an FPGA by equilibrium propagation."""


app.command()(train)


@app.command("eval")
def eval_command(
    weights: Annotated[Path, typer.Option(help="Weight file of `nudge train`.")],
    board: BoardOption = "sim",
    engines: EnginesOption = None,
    data: DataOption = "embedded",
    data_dir: DirOption = None,
    samples: Annotated[int | None, typer.Option(help="The first so many test images [default: all].")] = None,
    preset_name: Annotated[str | None, typer.Option("--preset", help="Refuse weights of another preset.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Test error and confusion matrix of a weight file."""
    spec, parameters, found = checkpoint.load(weights, None if preset_name is None else preset(preset_name))
    images = datasets.load(data, data_dir)
    count = first_samples(samples, len(images.test_images), data)
    with open_board(board, spec, engines) as device:
        device.load(parameters)
        device.write_settings(found.registers())
        result = evaluate(device, images.test_images[:count], images.test_labels[:count])
    emit(
        as_json,
        {
            "error_percent": result.error_percent,
            "samples": result.samples,
            "confusion": result.confusion.tolist(),
            "predictions": result.predictions.tolist(),
        },
        f"test error {result.error_percent:.2f} % ({result.errors} of {result.samples})\n{result.table()}",
    )
    return ExitCode.OK


@app.command()
def compare(
    preset_name: PresetOption = "tiny",
    board: BoardOption = "sim",
    engines: EnginesOption = None,
    samples: Annotated[int, typer.Option(help="Train the first so many images.")] = 64,
    data: DataOption = "embedded",
    data_dir: DirOption = None,
    seed: Annotated[int, typer.Option(help="Of the initial weights and the order.")] = 0,
    batch: Annotated[int | None, typer.Option(help="Samples between two commits [default: the preset's].")] = None,
    inject_fault: Annotated[
        str | None, typer.Option(metavar="BUNDLE:INDEX:BIT", help="Flip a bit of a weight on the board half-way: must fail.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Train the same samples on a board and on the golden model; succeed only if everything is equal.

    Compared: every prediction, every weight and bias (by digest at each commit, by value at the end), every layer's
    spike counter. --inject-fault is the proof that this can fail: INDEX counts the bundle's weights in torch's flat
    order, then its biases; BIT is 0..15 of the master.
    """
    spec = preset(preset_name)
    fault = None if inject_fault is None else Fault.parse(inject_fault, spec)
    images = datasets.load(data, data_dir)
    plan = Plan.of(spec, data, first_samples(samples, len(images.train_images), data), seed=seed, batch=batch)
    with open_board(board, spec, engines) as device:
        with reported(as_json, {"samples": samples}):
            result = run_compare(device, plan, images, fault)
    emit(
        as_json,
        {"equal": True, "compared": result.compared, "samples": samples} | asdict(result),
        f"equal: {result.weights} weights and biases, {result.predictions} predictions, {result.counters} spike counters "
        f"(board {board!r} == golden)",
    )
    return ExitCode.OK


def engine_values(result: GoldenBench) -> dict[str, Any]:
    """A comparison of engines, for --json."""
    ratios = {f"ratio_{engine}": result.ratio(engine) for engine in result.engines}
    speed = {"fastest": result.fastest, "samples_per_second": result.samples_per_second}
    return {"ratio": result.ratio(result.fastest)} | speed | asdict(result) | ratios | {"equal": True}


def engine_table(result: GoldenBench) -> str:
    """The same to read."""
    table = Table("engine", title=f"{result.preset}, batch {result.batch}, {result.threads} threads: training samples/s")
    for column in ("images a run", "median", "slowest", "fastest", "times plain"):
        table.add_column(column, justify="right")
    for name, speed in result.engines.items():
        rates = (f"{rate:.1f}" for rate in (speed.samples_per_second, *speed.spread))
        table.add_row(name, str(speed.images), *rates, f"{result.ratio(name):.1f}")
    lines = [rendered(table), f"updates equal; {result.runs} runs each, load average before: {result.load:.1f}"]
    if "native" not in result.engines:
        lines.append("no C++ compiler found, so no native engine: apt-get install g++, or set CXX")
    return "\n".join(lines)


@app.command()
def bench(
    preset_name: Annotated[
        str | None, typer.Option("--preset", help=f"Network: {', '.join(PRESETS)} [default: tiny, with --golden small].")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Training samples and inferences, 2 or more [default: 32].")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weight file to start from [default: fresh weights].")] = None,
    data: Annotated[str | None, typer.Option("--data", help=f"{', '.join(datasets.NAMES)} [default: embedded].")] = None,
    data_dir: DirOption = None,
    golden: Annotated[bool, typer.Option("--golden", help="The golden model's engines on this machine instead.")] = False,
    engines: EnginesOption = None,
    batch: Annotated[int | None, typer.Option(help="With --golden: images that are trained at once [default: 256].")] = None,
    threads: Annotated[int | None, typer.Option(help="With --golden: of each engine [default: the processors].")] = None,
    as_json: JsonOption = False,
) -> int:
    """Cycles of a training sample and an inference on the virtual board, by phase, beside the bound of its lanes; and how
    busy each engine's lanes are.

    With --golden: training samples a second of each engine of the golden model, and that their updates are equal.
    """
    if golden:
        if samples is not None:
            raise UsageError(f"--samples {samples}: with --golden it is --batch that counts")
        for option, given in (("--engines", engines), ("--weights", weights), ("--data", data)):
            if given is not None:
                raise UsageError(f"{option} {given}: not with --golden")
        digits = datasets.load("embedded")
        speeds = golden_bench(preset(preset_name or "small"), digits, 256 if batch is None else batch, threads)
        emit(as_json, engine_values(speeds), engine_table(speeds))
        return ExitCode.OK
    for option, value in (("--batch", batch), ("--threads", threads)):
        if value is not None:
            raise UsageError(f"{option} {value}: only with --golden")
    spec, samples = preset(preset_name or "tiny"), 32 if samples is None else samples
    if samples < 2:
        raise UsageError(f"--samples must be at least 2, not {samples}: one alone doesn't show what the next one hides")
    parameters = None if weights is None else checkpoint.load(weights, spec)[1]
    images = datasets.load(data or "embedded", data_dir)
    first_samples(samples, len(images.train_images), data or "embedded")
    with virtual_board(spec, engines or ENGINES[0]) as virtual, SerialBoard(virtual.url, spec) as device:
        result = run_bench(device, virtual.config, images, samples, seed=0, parameters=parameters)
    values = asdict(result) | {
        "cycles_per_training_sample": result.cycles_per_training_sample,
        "cycles_per_inference": result.cycles_per_inference,
        "bound_cycles_per_training_sample": result.bound_cycles_per_training_sample,
        "samples_per_second": result.samples_per_second,
        "simulated_cycles_per_second": virtual.statistics.cycles / virtual.statistics.seconds,
        "parts": [asdict(part) | {"occupancy": result.occupancy(part)} for part in result.parts],
    }
    table = Table("phase", title=f"{spec.name}, batch {result.batch}: simulated cycles a sample")
    for column in ("training", "bound", "inference"):
        table.add_column(column, justify="right")
    for phase in PHASES:
        table.add_row(phase, *(f"{part[phase]:.1f}" for part in (result.phases, result.bound, result.inference)))
    totals = (result.cycles_per_training_sample, result.bound_cycles_per_training_sample, result.cycles_per_inference)
    table.add_row("sum", *(f"{total:.1f}" for total in totals))
    busy = Table("part", title="lanes: cycles of a training sample at full occupancy, and the share of its cycles")
    for column in ("lanes", "cycles", "occupancy"):
        busy.add_column(column, justify="right")
    for part in result.parts:
        busy.add_row(part.name, str(part.lanes), f"{part.cycles:.0f}", f"{result.occupancy(part):.0%}")
    quiet = ", ".join(f"{share:.1%} in bundle {index}" for index, share in result.silent.items())
    silent = f"dense tiles without a spike on either side: {quiet}"
    speed = "virtual board: {samples_per_second:.1f} training samples/s, {simulated_cycles_per_second:.3g} clock cycles/s"
    emit(as_json, values, f"{rendered(table)}\n{rendered(busy)}\n{silent}\n{speed.format(**values)}")
    return ExitCode.OK


@app.command()
def repro(
    name: Annotated[str, typer.Argument(help=f"{', '.join(STUDIES)}.")],
    budget: Annotated[str, typer.Option(help="quick: within 2 minutes, on what ships; cpu: 2 cores, in hours.")] = "quick",
    seeds: Annotated[int | None, typer.Option(help="Runs of each cell [default: the budget's].")] = None,
    out: Annotated[Path, typer.Option(help="Directory for table and picture; a study in it is continued.")] = Path("results"),
    data_dir: DirOption = None,
    force: Annotated[bool, typer.Option("--force", help="Begin anew.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda, for the studies of the paper.")] = "cpu",
    only: Annotated[str | None, typer.Option(help="Measure rows with this label, or all of LABEL,LABEL.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Make a study's table and picture again: CSV, Markdown and PNG."""
    if name not in STUDIES:
        raise UsageError(f"unknown study {name!r}: choose one of {', '.join(STUDIES)}")
    table, files = carry_out(STUDIES[name], budget, out, seeds=seeds, data_dir=data_dir, force=force, device=device, only=only)
    emit(as_json, {"study": name, "budget": budget, "files": list(map(str, files))}, f"{table}\n\n{', '.join(map(str, files))}")
    return ExitCode.OK


FpgaArgument = Annotated[str, typer.Argument(metavar="BOARD", help="icebreaker, orangecrab, ulx3s, ulx3s-45f or ulx3s-25f.")]
ToolsOption = Annotated[str, typer.Option("--tools", help="yowasp (pinned Python packages) or native (on the PATH).")]
PlaceOption = Annotated[
    int | None, typer.Option("--seed", help="Of placement; the bitstream is this seed's [default: one known to be routed].")
]


@app.command()
def build(
    board: FpgaArgument,
    preset_name: Annotated[str | None, typer.Option("--preset", help="Network [default: the board's largest].")] = None,
    seed: PlaceOption = None,
    seeds: Annotated[int, typer.Option(help="Place and route so many seeds, for the spread of fmax.")] = 1,
    kind: ToolsOption = "yowasp",
    as_json: JsonOption = False,
) -> int:
    """Make a bitstream: elaborate, synthesise, place and route, pack. Fails if timing isn't met."""
    result = run_build(board, preset_name, seed, seeds, kind)
    routes = ", ".join(f"{route.fmax_hz / 1e6:.2f} MHz (seed {route.seed})" for route in result.routes)
    routes += "".join(f", not routed (seed {number})" for number in result.unrouted)
    text = f"{result.bitstream}\n{result.what}, {result.preset}: {result.clock_hz / 1e6:g} MHz asked for; {routes}"
    emit(as_json, result.values(), text)
    return ExitCode.OK


@app.command()
def flash(
    board: FpgaArgument,
    preset_name: Annotated[str | None, typer.Option("--preset", help="Network [default: the board's largest].")] = None,
    seed: PlaceOption = None,
    port: Annotated[str | None, typer.Option(help="Serial port to check it by [default: the board's own adapter].")] = None,
    kind: ToolsOption = "yowasp",
    as_json: JsonOption = False,
) -> int:
    """Load a bitstream, built if need be, and ask the board whether it runs that one."""
    made, found = run_flash(board, preset_name, seed, kind, port)
    text = f"{made.what} at {found} runs build {made.build:08x}, seed {made.seed}"
    emit(as_json, {"port": found} | made.values(), text)
    return ExitCode.OK


@app.command()
def report(
    board: FpgaArgument,
    preset_name: Annotated[str | None, typer.Option("--preset", help="Network [default: the board's largest].")] = None,
    kind: ToolsOption = "yowasp",
    samples: Annotated[int | None, typer.Option(help="Simulate so many for cycles [default: the committed figure].")] = None,
    save: Annotated[bool, typer.Option("--save", help="Make it the committed report.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail if it is worse than the committed report.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Area, fmax and samples a second of the newest build here or, without one, of the committed report."""
    source, values, worse = run_report(board, preset_name, kind, samples, save)
    table = Table("", title=f"{values['what']}, {values['preset']}: {source}")
    table.add_column("used", justify="right")
    table.add_column("of the part", justify="right")
    for name, count in values["utilization"].items():
        table.add_row(name, str(count["used"]), f"{count['percent']:.1f} % of {count['available']}")
    if values.get("spacers"):
        table.add_row("LUTs as spacers", str(values["spacers"]), "not counted above")
    table.add_section()
    spread = ", ".join(f"{hz / 1e6:.2f} (seed {seed})" for seed, hz in values["fmax_hz"].items())
    spread += "".join(f", not routed (seed {seed})" for seed in values["unrouted"])
    asked = f"{values['clock_hz'] / 1e6:g} MHz {'met' if values['timing_met'] else 'missed'}"
    table.add_row("fmax, median", f"{values['fmax_hz_median'] / 1e6:.2f} MHz", f"{asked}: {spread}")
    for what in ("training", "inference"):
        if values["cycles"]:
            at = f"{values['cycles'][what]:.0f} simulated cycles each"
            table.add_row(f"{what} samples/s of the core", f"{values[f'{what}_samples_per_second']:.0f}", at)
    table.add_row("digits/s of the serial line", f"{values['link_samples_per_second']:.0f}", f"{values['baud']:.0f} baud")
    tools = "; ".join(values["tools"].values())
    emit(as_json, {"source": source, "worse": worse} | values, "\n".join([rendered(table), tools, *worse]))
    if check and worse:
        raise TimingError(f"worse than the committed report: {'; '.join(worse)}")
    return ExitCode.OK


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    return run_together(app, "nudge", arguments)


if __name__ == "__main__":
    sys.exit(main())
