"""`nudge board ...`: serves a virtual board, reads a board's identity and counters, models its link."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nudge.golden.contract import network_file
from nudge.golden.contract.config import ENGINES
from nudge.golden.contract.presets import chosen
from nudge.golden.contract.protocol import COUNTERS, STORED
from nudge.plumbing.errors import ComparisonError
from nudge.plumbing.progress import note

from . import completion
from .app import App
from .options import (
    EnginesOption,
    JsonOption,
    NetworkOption,
    PortOption,
    PresetOption,
    TargetFileOption,
)
from .run import importing
from .terminal import emit, rendered, reported

app = App()


@app.callback(invoke_without_command=True)
def callback(context: typer.Context) -> None:
    """Serve a virtual board, read a board's identity and counters, or check it."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("serve")
def serve(
    preset_name: PresetOption = None,
    network: NetworkOption = None,
    port: Annotated[
        int, typer.Option(help="Serve at this TCP port of the loopback interface; 0: any free one.")
    ] = 0,
    pty: Annotated[
        bool, typer.Option("--pty", help="Serve a pseudo-terminal instead of a TCP port.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Give the board a memory for samples, an SDRAM of 32 MB.")
    ] = False,
    engines: EnginesOption = None,
) -> None:
    """Serve a virtual board until Ctrl-C; its address is the first line on standard output."""
    with importing():
        from nudge.host.devices.open import virtual_board
    with virtual_board(
        chosen(preset_name, network),
        engines or ENGINES[0],
        memory=memory,
        **({"pty": True} if pty else {"port": port}),
    ) as virtual:
        print(virtual.url, flush=True)
        note("use it as --board URL; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            virtual.wait()


@app.command("info")
def info(
    board: PortOption,
    network: NetworkOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the identity, registers and counters of the board at a port.

    For a board whose network is not a preset, give its file with --network.
    """
    with importing():
        from rich.table import Table

        from nudge.host.devices import open as opening
    others = [] if network is None else [network_file.read(network)]
    with opening.open_unknown(board, others) as device:
        identity, values = asdict(device.identity), device.registers()
        what = {register.name: register.what for register in device.map}
    table = Table(title=f"{board}: preset {identity['preset']}, spec {identity['spec']:08x}")
    table.add_column("name")
    table.add_column("value", justify="right")
    table.add_column("what")
    for name in ("clock_hz", "uart_divisor", "lanes", "version", "window", "capacity"):
        table.add_row(name, str(identity[name]), "fixed when the board was built")
    table.add_section()
    for name, value in values.items():
        table.add_row(name, str(value), what[name])
    emit(as_json, {"identity": identity, "registers": values}, rendered(table))


@app.command("status")
def status(
    board: PortOption,
    network: NetworkOption = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Compare the board's weights with these, a RUN as for `nudge eval`.",
            autocompletion=completion.weights,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a board's counters, the digests of its weights, and the link's counters.

    With --weights: compare the board's weights with a file's, and name the first that differs.
    """
    with importing():
        from rich.table import Table

        from nudge.golden.training import checkpoint
        from nudge.host.devices import open as opening
        from nudge.host.training.compare import verify
    others = [] if network is None else [network_file.read(network)]
    file = None if weights is None else checkpoint.find(weights)
    loaded = None if file is None else checkpoint.load(file)
    with opening.open_unknown(board, [*others, *([] if loaded is None else loaded[:1])]) as device:
        found = {r.name: r for r in device.map if r.address in (*COUNTERS, *STORED)}
        values = {name: value for name, value in device.registers().items() if name in found}
        # while samples are pending, the board's weights are not defined
        digests = [] if values["pending"] else [f"{digest:08x}" for digest in device.digest()]
        link = asdict(device.link.counters) | {"damaged": device.link.damaged}
        result: dict[str, Any] = {"board": values, "host": link, "digests": digests}
        if file is not None and loaded is not None:
            checkpoint.check(file, loaded[0], device.spec)
            with reported(as_json, result):
                verify(device, loaded[1])
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
    equal = (
        [] if weights is None else [f"bit-identical: board == {weights} ({device.spec.parameters} weights)"]
    )
    emit(as_json, result, "\n".join([rendered(table), *equal]))


@app.command("check")
def check(
    board: PortOption,
    target: Annotated[
        str | None,
        typer.Option(
            help="The kind of board, such as ulx3s [default: a virtual one].",
            autocompletion=completion.targets,
        ),
    ] = None,
    preset_name: PresetOption = None,
    network: NetworkOption = None,
    target_file: TargetFileOption = None,
    out: Annotated[Path, typer.Option(help="Write the record to this folder.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Check a board beside model and simulation, and write a record of it: a JSON file and a page.

    Identity, link, memory, comparisons with the model, cycles, rate, errors. It succeeds if all that applies
    to the board held. The board's weights and stored samples are overwritten.
    """
    with importing():
        from rich.table import Table

        from nudge.host.training.record import shown

        from .work.builds import Target
        from .work.checking import check_board
    asked = None if target is None else Target(target, preset_name, network, target_file)
    record, file = check_board(board, asked, preset_name, network, out)
    table = Table("line", title=f"{record.board}, {record.preset}: {record.kind}")
    for column in ("outcome", "finding", "figures"):
        table.add_column(column)
    for line in record.lines:
        table.add_row(line.name, line.outcome, line.says, shown(line.figures))
    emit(as_json, record.values(), f"{rendered(table)}\n{file}")
    if record.failed:
        raise ComparisonError(f"{board}: did not hold: {', '.join(record.failed)}: {file}")


@app.command("throughput")
def throughput(
    baud: Annotated[
        float | None,
        typer.Option(help="Model a line of this baud rate [default: 3e6].", min=1, max=1e9),
    ] = None,
    delay: Annotated[
        float | None,
        typer.Option(
            help="Add this many seconds to each round trip, as adapters do [default: 0.016].", min=0, max=60
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Train the first N images [default: 512, with --stored 60000]."),
    ] = None,
    stored: Annotated[
        bool,
        typer.Option("--stored", help="Model a whole run from the board's memory, beside its core's rate."),
    ] = False,
    preset_name: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="With --stored: train this network [default: small].",
            autocompletion=completion.presets,
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            help="With --stored: model this target's clock and line.", autocompletion=completion.targets
        ),
    ] = "ulx3s",
    epochs: Annotated[int, typer.Option(help="With --stored: train N epochs.", min=1)] = 2,
    as_json: JsonOption = False,
) -> None:
    """Model the link's overhead on an undamaged line, and how busy requests in flight keep a board.

    With --stored: model the rate of a whole run with its samples in the board's memory.
    """
    with importing():
        from .work import rates
        from .work.builds import Target
    if stored:
        whole = 60_000 if samples is None else samples
        rates.stored_throughput(Target(target, preset_name or "small"), whole, epochs, as_json)
    else:
        rates.streamed_throughput(baud, delay, samples, as_json)
