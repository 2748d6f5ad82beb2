"""`nudge verilog`: writes a network's accelerator as one Verilog file, with facts, pins and a test bench."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nudge.golden.contract import network_file
from nudge.plumbing import files
from nudge.plumbing.errors import UsageError
from nudge.plumbing.progress import note

from .options import JsonOption, LargestOption, NetworkOption, TargetArgument, TargetFileOption
from .run import importing
from .terminal import emit

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
