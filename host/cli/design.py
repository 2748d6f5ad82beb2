"""`nudge estimate` and `nudge verilog`: what a network takes on a target, and its Verilog."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nudge.golden.contract import network_file
from nudge.plumbing import files
from nudge.plumbing.errors import UsageError
from nudge.plumbing.progress import note

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


#: Number of characters at the beginning of each file that don't depend on the network.
ALIKE = 8


def verilog(
    target: TargetArgument,
    out: Annotated[Path, typer.Option(metavar="FILE.v", help="Write this file, and others in its folder.")],
    preset_name: LargestOption = None,
    network: NetworkOption = None,
    target_file: TargetFileOption = None,
    link: Annotated[
        str, typer.Option(help="Use uart (a serial line), or bytes (the byte streams inside it).")
    ] = "uart",
    as_json: JsonOption = False,
) -> None:
    """Write a network's accelerator as one Verilog module, `top`, for another toolchain.

    It also writes FILE.json (ports, clock, identity), FILE.lpf, .pcf or .cst (pins of the target),
    FILE_tb.v and FILE.hex: a test bench that loads weights, trains a sample, and compares all
    weights with the model's.
    """
    if out.suffix != ".v":
        raise UsageError(f"--out must end with .v, not {out.name!r}")
    with importing():
        from nudge.host.training.script import Step, script

        from .work.builds import Target, boards_modules
    boards = boards_modules()
    if link not in boards.verilog.LINKS:
        raise UsageError(f"--link must be {' or '.join(boards.verilog.LINKS)}, not {link!r}")
    fpga, name = Target(target, preset_name, network, target_file).find(boards)
    config, facts = fpga.design(name).config, fpga.facts(name)
    suffix, pins = boards.verilog.constraints(fpga, name)
    identity = boards.verilog.identity(fpga, name)
    steps = script(config, identity)
    kinds = boards.testbench.Kinds(*(step >> 8 for step in (Step.SEND, Step.EXPECT, Step.SKIP, Step.END)))
    known = described(boards.verilog.PORTS[link])
    values = {
        "target": fpga.name,
        "part": fpga.what,
        "network": network_file.document(config.spec),
        "identity": f"{identity.spec:08x}",
        "lanes": list(config.lanes),
        "link": link,
        "clock_hz": facts.clock_hz,
        "uart_divisor": facts.uart_divisor,
        "baud": facts.baud,
        "window": identity.window,
        "stores_samples": identity.capacity > 0,
        "ports": known,
    }
    stem = out.with_suffix("")
    made = {
        out: header(values),
        stem.with_suffix(".json"): json.dumps(values, indent=1) + "\n",
        stem.with_suffix(f".{suffix}"): pins,
        stem.with_name(f"{stem.name}_tb.v"): boards.testbench.testbench(
            f"{stem.name}.hex", len(steps), kinds, link, facts.uart_divisor
        ),
        stem.with_suffix(".hex"): "".join(f"{step:03x}\n" for step in steps),
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}: {error.filename}") from None
    for path, content in made.items():
        files.check_replaceable(path, content[:ALIKE].encode())
    note(f"{fpga.name} {name}: elaborating ({config.spec.parameters} parameters)")
    made[out] += boards.verilog.synthesisable_verilog(fpga, name, link)
    for path, content in made.items():
        files.write(path, content, ALIKE)
    emit(as_json, values | {"files": [str(path) for path in made]}, "\n".join(map(str, made)))


def described(ports: Any) -> list[dict[str, Any]]:
    """Return the ports as plain data for FILE.json."""
    return [{"name": p.name, "direction": p.direction, "width": p.width, "what": p.what} for p in ports]


def header(values: dict[str, Any]) -> str:
    """Return the comment at the top of the Verilog file."""
    lines = [
        f"nudge: {values['network']['name']} ({values['identity']}) for {values['part']}",
        f"clk: {values['clock_hz']} Hz; serial line: {values['baud']:.0f} baud, {values['uart_divisor']} "
        "cycles a bit",
        "no memory for samples: each one comes over the line",
        "",
        *(f"{p['name']}: {p['direction']}, {p['width']} bit: {p['what']}" for p in values["ports"]),
    ]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n"
