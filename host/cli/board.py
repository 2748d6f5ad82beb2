"""`nudge board ...`: serve a virtual board, ask a board what it is, or attack one."""

import random
import signal
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from golden.contract.config import ENGINES
from golden.contract.errors import ExitCode, UsageError
from golden.contract.presets import preset
from golden.contract.protocol import ADDRESS_COUNTERS, ADDRESS_SPIKES, registers
from golden.progress import note
from golden.training import checkpoint
from golden.training import data as datasets
from golden.training.plan import Plan, first_samples
from host.boards.open import open_unknown, virtual_board
from host.harness.compare import verify
from host.harness.soak import Attack
from host.harness.soak import soak as run_soak
from host.harness.sweep import Sweep, case_name
from host.harness.sweep import cases as every_case
from host.harness.sweep import run as run_sweep
from host.harness.throughput import ADAPTER_DELAY, BAUD, cost, measured, occupied

from .options import EnginesOption, JsonOption, PresetOption
from .terminal import emit, rendered, reported

app = typer.Typer(rich_markup_mode=None)


@app.command("serve")
def serve(
    preset_name: PresetOption = "tiny",
    port: Annotated[int, typer.Option(help="TCP port on the loopback interface; 0: any free one.")] = 0,
    pty: Annotated[bool, typer.Option("--pty", help="A pseudo-terminal instead of a TCP port.")] = False,
    engines: EnginesOption = None,
) -> int:
    """Start a virtual board and keep it until Ctrl-C; its address is the first line on standard output."""
    with virtual_board(preset(preset_name), engines or ENGINES[0], **({"pty": True} if pty else {"port": port})) as virtual:
        print(virtual.url, flush=True)
        note("use it as --board URL; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            signal.pause()
    return ExitCode.OK


@app.command("info")
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
    return ExitCode.OK


@app.command("status")
def status(
    board: Annotated[str, typer.Option("--board", help="A device path or a pyserial URL.")],
    weights: Annotated[Path | None, typer.Option(help="Weight file that the board's weights must equal.")] = None,
    as_json: JsonOption = False,
) -> int:
    """What a board counted and the digests of its weights, and what this host's end of the link had to do to ask.

    With --weights the digests are compared with a file's; the first weight that differs is named.
    """
    with open_unknown(board) as device:
        found = {r.name: r for r in registers(device.spec) if ADDRESS_COUNTERS <= r.address < ADDRESS_SPIKES}
        values = {name: value for name, value in device.registers().items() if name in found}
        # while samples are pending, the board's weights are not defined
        digests = [] if values["pending"] else [f"{digest:08x}" for digest in device.digest()]
        link = asdict(device.link.counters) | {"damaged": device.link.damaged}
        result: dict[str, Any] = {"board": values, "host": link, "digests": digests}
        if weights is not None:
            with reported(as_json, result):
                verify(device, checkpoint.load(weights, device.spec)[1])
            result["equal"] = True
    table = Table("counter", title=f"{board}: preset {device.spec.name}")
    table.add_column("value", justify="right")
    table.add_column("what")
    for name, value in values.items():
        table.add_row(name, str(value), found[name].what)
    table.add_section()
    for number, digest in enumerate(digests, 1):
        table.add_row(f"bundle {number}", digest, "digest: CRC-32 of its weights and biases")
    table.add_section()
    for name, value in link.items():
        table.add_row(f"host: {name}", str(value), "")
    equal = [] if weights is None else [f"bit-identical: board == {weights} ({device.spec.parameters} weights)"]
    emit(as_json, result, "\n".join([rendered(table), *equal]))
    return ExitCode.OK


@app.command("soak")
def soak_command(
    preset_name: PresetOption = "tiny",
    board: Annotated[str, typer.Option("--board", help="sim (virtual board), or golden (a model of it).")] = "sim",
    samples: Annotated[int, typer.Option(help="Train the first so many images.")] = 200,
    faults: Annotated[float, typer.Option(help="Of each byte, both ways: the probability that it is hit.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of weights, order and faults.")] = 0,
    batch: Annotated[int, typer.Option(help="Samples between two commits.")] = 8,
    resets: Annotated[int, typer.Option(help="So many times the board is reset.")] = 0,
    flips: Annotated[int, typer.Option(help="So many bits of its memories are flipped; a twin finds out.")] = 0,
    disconnects: Annotated[int, typer.Option(help="So many times the connection is cut.")] = 0,
    stalls: Annotated[int, typer.Option(help="So many times nothing gets through for a while.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Train through faults, drawn from the seed; succeed only if every weight is that of a run without any."""
    if not 0 <= faults < 1:
        raise UsageError(f"--faults must be 0 or more and below 1, not {faults:g}")
    for option, count in (("--resets", resets), ("--flips", flips), ("--disconnects", disconnects), ("--stalls", stalls)):
        if count < 0:
            raise UsageError(f"{option} must be 0 or more, not {count}")
    spec, images = preset(preset_name), datasets.load("embedded")
    plan = Plan.of(spec, "embedded", first_samples(samples, len(images.train_images), "embedded"), seed=seed, batch=batch)
    attack = Attack(faults, seed, resets, flips, disconnects, stalls)
    report = run_soak(spec, board, plan, images, attack)
    emit(as_json, asdict(report) | {"equal": not report.differing}, report.text())
    return ExitCode.DIFFERENT if report.differing else ExitCode.OK


@app.command("sweep")
def sweep_command(
    preset_name: PresetOption = "tiny",
    samples: Annotated[int | None, typer.Option(help="So many faults, drawn from the seed [default: every one].")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    fault: Annotated[
        str | None, typer.Option(metavar="WAY:BYTE:KIND:VALUE", help="This one alone, as it is printed: up:9000:drop:0.")
    ] = None,
    processes: Annotated[int, typer.Option(help="So many sessions at once.", min=1)] = 1,
    as_json: JsonOption = False,
) -> int:
    """One session again and again, each time with one byte damaged: which endings there are. Hung or wrong ones fail."""
    sweep = Sweep.record(preset(preset_name))
    chosen = every_case(sweep)
    if fault is not None:
        chosen = [case for case in chosen if case_name(case) == fault]
        if not chosen:
            raise UsageError(f"--fault must be WAY:BYTE:KIND:VALUE, such as up:{sweep.up - 1}:flip:7, not {fault!r}")
    elif samples is not None:
        chosen = random.Random(seed).sample(chosen, first_samples(samples, len(chosen), "a session"))
    endings, others = run_sweep(sweep, chosen, processes)
    bad = endings["wrong"] + endings["hang"]
    lines = [f"--fault {case_name(case)}: {ending}" for case, ending in others[:20]]
    size = f"{sweep.up} bytes to the board, {sweep.down} back"
    lines.append(f"{len(chosen)} single faults in a session of {size}: {', '.join(f'{n} {end}' for end, n in endings.items())}")
    emit(as_json, {"faults": len(chosen), "endings": dict(endings), "up": sweep.up, "down": sweep.down}, "\n".join(lines))
    return ExitCode.DIFFERENT if bad else ExitCode.OK


@app.command("throughput")
def throughput_command(
    baud: Annotated[float, typer.Option(help="Bits a second of the modelled line.", min=1)] = BAUD,
    delay: Annotated[float, typer.Option(help="Seconds that an adapter adds to a round trip.", min=0)] = ADAPTER_DELAY,
    samples: Annotated[int, typer.Option(help="Train the first so many images.")] = 512,
    rounds: Annotated[int, typer.Option(help="Measure `tiny` on the virtual board as well, so many times.", min=0)] = 0,
    as_json: JsonOption = False,
) -> int:
    """What the protocol costs on a good line, and how busy a board is kept, by its speed and the requests in flight."""
    spec, digits = preset("tiny"), datasets.load("embedded")
    images = digits.train_images[: first_samples(samples, len(digits.train_images), "embedded")].numpy()
    noise = np.random.default_rng(1).integers(1, 256, images.shape, np.uint8)
    costs = {"digits": cost(spec, images, baud=baud), "noise": cost(spec, noise, baud=baud)}
    windows = (1, 8, 16, 32)
    busy = {
        milliseconds: {w: occupied(spec, images, milliseconds / 1e3, window=w, baud=baud, delay=delay) for w in windows}
        for milliseconds in (0.5, 1, 2, 3, 6)
    }
    title = f"% of the time that a board is busy: {baud:g} baud, {delay * 1e3:g} ms of delay, digits (modelled)"
    table = Table("ms a sample", title=title)
    for window in windows:
        table.add_column(f"{window} in flight", justify="right")
    for milliseconds, shares in busy.items():
        table.add_row(f"{milliseconds:g}", *(f"{100 * share:.1f}" for share in shares.values()))
    lines = [f"protocol: {100 * share:.2f} % of the line on {name} (modelled)" for name, share in costs.items()]
    runs = measured(spec, digits, delay, baud, rounds=rounds) if rounds else []
    for run in runs:
        where = f"virtual board, {run.delay * 1e3:.0f} ms of delay, {run.window} in flight"
        lines.append(f"{where}: {run.samples_per_second:.1f} training samples/s, {100 * run.share:.1f} % of the undelayed")
    result = {"cost": costs, "busy": busy, "measured": [asdict(run) for run in runs]}
    emit(as_json, result, "\n".join([rendered(table), *lines]))
    return ExitCode.OK
