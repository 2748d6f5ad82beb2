"""`nudge estimate`: estimates area, cycles and rate of a network on a board, without a build."""

from typing import Annotated, Any

import typer

from .options import JsonOption, LargestOption, NetworkOption, SpikesOption, TargetArgument, TargetFileOption
from .run import importing
from .terminal import emit, rendered


def estimate(
    target: TargetArgument,
    preset_name: LargestOption = None,
    network: NetworkOption = None,
    target_file: TargetFileOption = None,
    weights: SpikesOption = None,
    samples: Annotated[
        int, typer.Option(help="Count the spikes of the first N embedded digits.", min=1)
    ] = 16,
    as_json: JsonOption = False,
) -> None:
    """Estimate a network's area on a target and its samples a second, without a build.

    Nothing is synthesised or simulated: the area is from a model of the gateware's units, the
    cycles from spikes counted in the golden model (docs/networks.md has the errors of both).
    """
    with importing():
        from nudge.golden.training import checkpoint
        from nudge.golden.training import data as datasets
        from nudge.golden.training.plan import first_samples
        from nudge.host.devices.lanes import digits_activity

        from .work.builds import Target, boards_modules, link_bits
    boards = boards_modules()
    fpga, name = Target(target, preset_name, network, target_file).find(boards)
    spec = fpga.design(name).config.spec
    parameters = None
    if weights is not None:
        parameters = checkpoint.load(checkpoint.find(weights), spec)[1]
    images = datasets.load("embedded", shown=spec.input)
    first_samples(samples, len(images.train_images), "embedded")
    counted = digits_activity(spec, samples, parameters)
    # as in simulation: one clock cycle for each bit of the line
    made = boards.estimate.estimate(fpga, name, counted, link_bits(spec.input))
    found = boards.estimate.values(made)
    emit(as_json, found, text(fpga.what, name, found))


def text(what: str, name: str, found: dict[str, Any]) -> str:
    """Return the estimate as a table."""
    from rich.table import Table

    table = Table("", title=f"{name} on {what}: estimated")
    table.add_column("used", justify="right")
    table.add_column("of the part", justify="right")
    for resource, count in found["used"].items():
        share = count["used"] / count["available"]
        table.add_row(resource, f"{count['used']:,}", f"{share:.1%} of {count['available']:,}")
    table.add_section()
    for kind in ("training", "inference"):
        cycles, rate = found["cycles"][kind], found[f"{kind}_samples_per_second"]
        at = f"{cycles:,.0f} cycles each, at {found['clock_hz'] / 1e6:g} MHz"
        table.add_row(f"{kind} samples/s of the core", f"{rate:,.0f}", at)
    lanes = ", ".join(f"{name} {value}" for name, value in found["lanes"].items())
    verdict = "fits" if found["fits"] else f"doesn't fit: {'; '.join(found['lacking'])}"
    if found["fits"] and not found["routable"]:
        verdict += ", but so full that it may not be routed"
    return "\n".join([rendered(table), f"{verdict}; what a sample waits for: {found['limit']}", lanes])
