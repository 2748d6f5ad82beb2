"""The `nudge` command: options in, one result out. What it does lives in the modules that it calls."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from typer.exceptions import TyperException

from golden import data as datasets
from golden.fixed import FixedError
from golden.plan import Plan, PlanError
from golden.spec import PRESETS, Spec, SpecError, preset
from hw.config import ConfigError
from hw.protocol import PHASES, registers

from . import checkpoint
from .bench import bench as run_bench
from .board import SerialBoard
from .boards import ToolsError, open_board, open_unknown, virtual_board
from .compare import ComparisonError, Fault, Twin
from .compare import compare as run_compare
from .errors import BoardError, IdentityError, LinkError, UsageError
from .evaluate import evaluate
from .progress import note
from .train import Run, Stop
from .train import train as run_train

OK, DIFFERENT, USAGE, DATA, LINK, BOARD, WEIGHTS, TOOLS, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 7, 130

#: What each exit code says; --help and README.md show it.
EXIT_CODES = {
    OK: "done",
    DIFFERENT: "a comparison failed: board and golden model differ",
    USAGE: "options that can't be obeyed, such as an unknown preset",
    DATA: "data set not found or not readable",
    LINK: "no such port, port busy, or no answer in time",
    BOARD: "board built for another preset, or a request that it refused",
    WEIGHTS: "weight file missing, damaged, or of another network",
    TOOLS: "a tool that simulation needs is missing or failed",
    INTERRUPTED: "interrupted (Ctrl-C or SIGTERM); `train` has saved a checkpoint",
}

ERRORS: dict[type[Exception], int] = {
    ComparisonError: DIFFERENT,
    UsageError: USAGE,
    PlanError: USAGE,
    SpecError: USAGE,
    FixedError: USAGE,
    ConfigError: USAGE,
    datasets.DataError: DATA,
    LinkError: LINK,
    IdentityError: BOARD,
    BoardError: BOARD,
    checkpoint.WeightsError: WEIGHTS,
    ToolsError: TOOLS,
}

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:3}  {what}" for code, what in EXIT_CODES.items())

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, epilog=EPILOG)
board_app = typer.Typer(rich_markup_mode=None)
app.add_typer(board_app, name="board", help="Serve a virtual board, or ask a board what it is.")

PresetOption = Annotated[str, typer.Option("--preset", help=f"Network: {', '.join(PRESETS)}.")]
BoardOption = Annotated[
    str, typer.Option("--board", help="sim (virtual board), golden (the model), a device path or a pyserial URL.")
]
DataOption = Annotated[str, typer.Option("--data", help=f"{', '.join(datasets.NAMES)}.")]
DirOption = Annotated[
    Path | None, typer.Option("--data-dir", help=f"Folder that holds MNIST/raw and so on [default: ${datasets.VARIABLE}].")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


@app.callback()
def callback() -> None:
    """Spiking convolutional networks, trained on an FPGA by equilibrium propagation."""


def emit(as_json: bool, result: dict[str, Any], text: str) -> None:
    """The result, on standard output."""
    print(json.dumps(result) if as_json else text, flush=True)


def rendered(table: Table) -> str:
    """A table as text, as wide as the terminal."""
    console = Console()
    with console.capture() as text:
        console.print(table)
    return text.get().rstrip()


@contextmanager
def reported(as_json: bool, result: dict[str, Any]) -> Iterator[None]:
    """A failed comparison is a result too: with --json, say so before it ends the command."""
    try:
        yield
    except ComparisonError as error:
        if as_json:
            emit(True, result | {"equal": False, "difference": str(error)}, "")
        raise


def first_samples(wanted: int | None, available: int, name: str) -> int:
    """`wanted`, or all that there are."""
    if wanted is not None and not 1 <= wanted <= available:
        raise UsageError(f"--samples must be 1..{available} ({name} has no more), not {wanted}")
    return available if wanted is None else wanted


def make_plan(spec: Spec, data: str, samples: int, **options: Any) -> Plan:
    """A plan with the preset's value for each option that is None."""
    values: dict[str, Any] = {"epochs": 1, "batch": spec.learning.batch, "seed": 0, "lr_scale": 1.0, "beta": spec.learning.beta}
    values |= {"free_steps": spec.schedule.free, "nudged_steps": spec.schedule.nudged, "decay": spec.learning.decay}
    values |= {name: value for name, value in options.items() if value is not None}
    plan = Plan(spec.name, data, samples, **values)
    plan.settings(spec)  # raises what is wrong before anything is started
    return plan


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Directory for weights, metrics and learning curve.")],
    preset_name: Annotated[str | None, typer.Option("--preset", help=f"Network: {', '.join(PRESETS)} [default: tiny].")] = None,
    board: BoardOption = "sim",
    data: Annotated[str | None, typer.Option(help=f"{', '.join(datasets.NAMES)} [default: embedded].")] = None,
    data_dir: DirOption = None,
    samples: Annotated[int | None, typer.Option(help="Train on the first so many images [default: all].")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the samples [default: 1].")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples between two commits [default: the preset's].")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the initial weights and of each epoch's order [default: 0].")] = None,
    lr_scale: Annotated[float | None, typer.Option(help="Multiplies all learning rates [default: 1].")] = None,
    decay: Annotated[float | None, typer.Option(help="Factor on the rates after each epoch [default: the preset's].")] = None,
    shift: Annotated[int | None, typer.Option(help="Move training images by up to so many pixels [default: 0].")] = None,
    beta: Annotated[float | None, typer.Option(help="Strength of the nudge [default: the preset's].")] = None,
    free_steps: Annotated[int | None, typer.Option(help="Steps of the free phase [default: the preset's].")] = None,
    nudged_steps: Annotated[int | None, typer.Option(help="Steps of each nudged phase [default: the preset's].")] = None,
    twin: Annotated[bool, typer.Option("--twin", help="Step the golden model in lockstep; a difference ends it.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out; its options are kept.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the weights in --out.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Train, then evaluate once on the test set. Ctrl-C finishes the batch and saves; --resume goes on from there."""
    options = {"epochs": epochs, "batch": batch, "seed": seed, "lr_scale": lr_scale, "beta": beta}
    options |= {"free_steps": free_steps, "nudged_steps": nudged_steps, "decay": decay, "shift": shift}
    if resume:
        run = Run.resume(out, options | {"preset": preset_name, "data": data, "samples": samples})
        images = datasets.load(run.plan.data, data_dir)
        first_samples(run.plan.samples, len(images.train_images), run.plan.data)
    else:
        spec, data = preset(preset_name or "tiny"), data or "embedded"
        images = datasets.load(data, data_dir)
        plan = make_plan(spec, data, first_samples(samples, len(images.train_images), data), **options)
        run = Run.begin(plan, spec, out, force=force)
    result: dict[str, Any] = {"weights": str(run.weights), "epochs": run.plan.epochs}
    comparison = None
    with open_board(board, run.spec) as device:
        with Stop() as stop, reported(as_json, result):
            target = Twin(device) if twin else device
            rate = run_train(run, target, images, stop)
            result |= {"samples": run.done, "samples_per_second": rate}
            if isinstance(target, Twin):
                comparison = target.finish()
                result |= {"equal": True, "compared": comparison.compared}
        if run.epoch < run.plan.epochs:
            done = f"interrupted after {run.done} of {run.plan.epochs * run.plan.samples} samples"
            emit(as_json, result | {"interrupted": True}, f"{done}: {run.weights} is usable, --resume continues it")
            return INTERRUPTED
        found = evaluate(device, images.test_images, images.test_labels)
    run.plot(found.error_percent)
    lines = [
        f"test error {found.error_percent:.2f} % ({found.errors} of {found.samples})",
        f"{rate:.1f} training samples/s on board {board!r}; weights, metrics and learning curve in {out}",
    ]
    if comparison is not None:
        lines.append(f"bit-identical: board == golden ({comparison.weights} weights)")
    emit(as_json, result | {"error_percent": found.error_percent, "test_samples": found.samples}, "\n".join(lines))
    return OK


@app.command("eval")
def eval_command(
    weights: Annotated[Path, typer.Option(help="Weight file of `nudge train`.")],
    board: BoardOption = "sim",
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
    with open_board(board, spec) as device:
        device.load(parameters)
        device.write_settings(found.registers())
        result = evaluate(device, images.test_images[:count], images.test_labels[:count])
    emit(
        as_json,
        {"error_percent": result.error_percent, "samples": result.samples, "confusion": result.confusion.tolist()},
        f"test error {result.error_percent:.2f} % ({result.errors} of {result.samples})\n{result.table()}",
    )
    return OK


@app.command()
def compare(
    preset_name: PresetOption = "tiny",
    board: BoardOption = "sim",
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
    plan = make_plan(spec, data, first_samples(samples, len(images.train_images), data), seed=seed, batch=batch)
    with open_board(board, spec) as device:
        with reported(as_json, {"samples": samples}):
            result = run_compare(device, plan, images, fault)
    emit(
        as_json,
        {"equal": True, "compared": result.compared, "samples": samples} | asdict(result),
        f"equal: {result.weights} weights and biases, {result.predictions} predictions, {result.counters} spike counters "
        f"(board {board!r} == golden)",
    )
    return OK


@app.command()
def bench(
    preset_name: PresetOption = "tiny",
    samples: Annotated[int, typer.Option(help="Training samples, and as many inferences.")] = 32,
    as_json: JsonOption = False,
) -> int:
    """Cycles of a training sample and an inference on the virtual board, by phase, beside the bound of its lanes."""
    spec = preset(preset_name)
    images = datasets.load("embedded")
    first_samples(samples, len(images.train_images), "embedded")
    with virtual_board(spec) as virtual, SerialBoard(virtual.url, spec) as device:
        result = run_bench(device, images, samples, seed=0)
    values = asdict(result) | {
        "cycles_per_training_sample": result.cycles_per_training_sample,
        "cycles_per_inference": result.cycles_per_inference,
        "bound_cycles_per_training_sample": result.bound_cycles_per_training_sample,
        "samples_per_second": result.samples_per_second,
        "simulated_cycles_per_second": virtual.statistics.cycles / virtual.statistics.seconds,
    }
    table = Table("phase", title=f"{spec.name}, batch {result.batch}: simulated cycles a sample")
    for column in ("training", "bound", "inference"):
        table.add_column(column, justify="right")
    for phase in PHASES:
        table.add_row(phase, *(f"{part[phase]:.1f}" for part in (result.phases, result.bound, result.inference)))
    totals = (result.cycles_per_training_sample, result.bound_cycles_per_training_sample, result.cycles_per_inference)
    table.add_row("sum", *(f"{total:.1f}" for total in totals))
    speed = "virtual board: {samples_per_second:.1f} training samples/s, {simulated_cycles_per_second:.3g} clock cycles/s"
    emit(as_json, values, f"{rendered(table)}\n{speed.format(**values)}")
    return OK


@board_app.command("serve")
def serve(
    preset_name: PresetOption = "tiny",
    port: Annotated[int, typer.Option(help="TCP port on the loopback interface; 0: any free one.")] = 0,
    pty: Annotated[bool, typer.Option("--pty", help="A pseudo-terminal instead of a TCP port.")] = False,
) -> int:
    """Start a virtual board and keep it until Ctrl-C; its address is the first line on standard output."""
    with virtual_board(preset(preset_name), **({"pty": True} if pty else {"port": port})) as virtual:
        print(virtual.url, flush=True)
        note("use it as --board URL; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            signal.pause()
    return OK


@board_app.command("info")
def info(
    board: Annotated[str, typer.Option("--board", help="A device path or a pyserial URL.")],
    as_json: JsonOption = False,
) -> int:
    """What the board at a port is, with its registers and counters."""
    with open_unknown(board) as device:
        identity, values = asdict(device.identity), device.registers()
        what = {register.name: register.what for register in registers(device.spec)}
    table = Table(title=f"{board}: preset {identity['preset']}, spec {identity['spec']:08x}")
    table.add_column("name")
    table.add_column("value", justify="right")
    table.add_column("what")
    for name in ("clock_hz", "uart_divisor", "lanes", "version", "window"):
        table.add_row(name, str(identity[name]), "fixed when the board was built")
    table.add_section()
    for name, value in values.items():
        table.add_row(name, str(value), what[name])
    emit(as_json, {"identity": identity, "registers": values}, rendered(table))
    return OK


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM ends the command as Ctrl-C does: what was started is stopped."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code. The one place that turns errors into a line and a code."""
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        return app(args=arguments, prog_name="nudge", standalone_mode=False) or OK
    except TyperException as error:
        code, message = USAGE, error.format_message()
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except tuple(ERRORS) as error:
        code, message = next(code for kind, code in ERRORS.items() if isinstance(error, kind)), str(error)
    except OSError as error:  # such as a full disk
        code, message = USAGE, str(error)
    finally:
        signal.signal(signal.SIGTERM, before)
    note(f"nudge: {' '.join(message.split())}")
    return code


if __name__ == "__main__":
    sys.exit(main())
