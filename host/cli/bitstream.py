"""`nudge build`, `flash` and `report`: make, load and report bitstreams of real boards."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nudge.plumbing.errors import TimingError

from . import completion
from .options import (
    JsonOption,
    LargestOption,
    NetworkOption,
    PlaceOption,
    TargetArgument,
    TargetFileOption,
    ToolsOption,
)
from .run import importing
from .terminal import emit, rendered

if TYPE_CHECKING:
    from rich.table import Table


def build(
    target: TargetArgument,
    preset_name: LargestOption = None,
    network: NetworkOption = None,
    target_file: TargetFileOption = None,
    seed: PlaceOption = None,
    seeds: Annotated[int, typer.Option(help="Place and route with N seeds, for the spread of fmax.")] = 1,
    kind: ToolsOption = "yowasp",
    verify: Annotated[
        bool, typer.Option("--verify", help="Unpack the bitstream, and compare it with the design.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a bitstream: elaborate, synthesise, place and route, pack; fail if it misses timing."""
    with importing():
        from .work.builds import Target, run_build
    result = run_build(Target(target, preset_name, network, target_file), seed, seeds, kind, verify)
    routes = ", ".join(f"{route.fmax_hz / 1e6:.2f} MHz (seed {route.seed})" for route in result.routes)
    routes += "".join(f", not routed (seed {number})" for number in result.unrouted)
    asked = f"{result.clock_hz / 1e6:g} MHz asked for"
    text = f"{result.bitstream}\n{result.what}, {result.preset}: {asked}; {routes}"
    emit(as_json, result.values(), text)


def flash(
    target: TargetArgument,
    preset_name: LargestOption = None,
    network: NetworkOption = None,
    target_file: TargetFileOption = None,
    seed: PlaceOption = None,
    board: Annotated[
        str | None,
        typer.Option(
            help="Check the board at this device path or URL [default: its own serial adapter].",
            autocompletion=completion.boards,
        ),
    ] = None,
    kind: ToolsOption = "yowasp",
    as_json: JsonOption = False,
) -> None:
    """Load a bitstream, built if needed, and check that the board runs it."""
    with importing():
        from .work.builds import Target, run_flash
    made, found = run_flash(Target(target, preset_name, network, target_file), seed, kind, board)
    text = f"{made.what} at {found} runs build {made.build:08x}, seed {made.seed}"
    emit(as_json, {"board": found} | made.values(), text)


def report(
    target: TargetArgument,
    preset_name: LargestOption = None,
    network: NetworkOption = None,
    target_file: TargetFileOption = None,
    kind: ToolsOption = "yowasp",
    samples: Annotated[
        int | None,
        typer.Option(help="Simulate N samples for the cycles [default: the committed figure]."),
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Make this the committed report.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Fail if this is worse than the committed report.")
    ] = False,
    power: Annotated[
        bool, typer.Option("--power", help="Estimate the FPGA's power and the energy of an image, as ranges.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show area, fmax and samples a second of the newest build here, or of the committed report."""
    with importing():
        from rich.table import Table

        from .work.builds import Target, estimated_power, run_report
    asked = Target(target, preset_name, network, target_file)
    source, values, worse = run_report(asked, kind, samples, save)
    if power:
        values = values | {"power": estimated_power(asked)}
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
    clock = f"{values['clock_hz'] / 1e6:g} MHz {'met' if values['timing_met'] else 'missed'}"
    table.add_row("fmax, median", f"{values['fmax_hz_median'] / 1e6:.2f} MHz", f"{clock}: {spread}")
    for what in ("training", "inference"):
        if values["cycles"]:
            at = f"{values['cycles'][what]:.0f} simulated cycles each"
            table.add_row(f"{what} samples/s of the core", f"{values[f'{what}_samples_per_second']:.0f}", at)
    table.add_row(
        "samples/s of the serial line",
        f"{values['link_samples_per_second']:.0f}",
        f"{values['baud']:.0f} baud, embedded digits",
    )
    for found in values["measured"]:
        rate = found["training_samples_per_second"]
        verdict = f"did not hold: {', '.join(found['failed'])}" if found["failed"] else "all held"
        text = "" if rate is None else f"{rate:.0f}"
        table.add_row("training samples/s, on a board", text, f"check of {found['date']}, {verdict}")
    notes = ["; ".join(values["tools"].values()), *worse]
    if power:
        add_power(table, values["power"])
        notes.append(
            f"power: {values['power']['kind']}, of {values['power']['build']}; docs/boards.md has the method"
        )
    emit(as_json, {"source": source, "worse": worse} | values, "\n".join([rendered(table), *notes]))
    if check and worse:
        raise TimingError(f"worse than the committed report: {'; '.join(worse)}")


def add_power(table: "Table", power: Mapping[str, Any]) -> None:
    """Add the rows of a power estimate to a table, each as a range from lowest to highest."""
    table.add_section()
    for name, (low, high) in power["mw"].items():
        table.add_row(
            f"estimate: {name}",
            f"{low:.0f} to {high:.0f} mW",
            f"{power['clock_hz'] / 1e6:g} MHz, the FPGA alone",
        )
    for what, (low, high) in power["mj"].items():
        table.add_row(
            f"estimate: {what}",
            f"{low:.3f} to {high:.3f} mJ",
            f"an image of {power['cycles'][what]:.0f} cycles",
        )
