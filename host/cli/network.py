"""`nudge network show`: prints the facts of a network, without a build or a training."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nudge.golden.contract import network_file
from nudge.golden.contract.presets import NAMES, PRESETS
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.spec import Spec

from . import completion
from .app import App
from .options import JsonOption, SpikesOption
from .run import importing
from .terminal import emit, rendered

if TYPE_CHECKING:
    from nudge.golden.model.parameters import Parameters

app = App()


@app.callback(invoke_without_command=True)
def callback(context: typer.Context) -> None:
    """Show a network."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("show")
def show(
    network: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help=f"A network's TOML file, or one of {', '.join(NAMES)}.",
            autocompletion=completion.presets,
        ),
    ],
    weights: SpikesOption = None,
    samples: Annotated[
        int, typer.Option(help="Count the spikes of the first N embedded digits.", min=1)
    ] = 32,
    target: Annotated[
        str | None,
        typer.Option(
            help="Show the network's lanes on this target, such as ulx3s.", autocompletion=completion.targets
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a network's layers, parameters, widths, memory and spike rates.

    The spikes are counted in inferences of the model, and equal the board's bit for bit.
    """
    with importing():
        from nudge.golden.model.parameters import initial
        from nudge.golden.training import checkpoint

        from .work.builds import boards_modules, with_lanes
    spec = PRESETS[network] if network in PRESETS else network_file.read(Path(network))
    parameters = initial(spec, 0)
    if weights is not None:
        parameters = checkpoint.load(checkpoint.find(weights), spec)[1]
    found = facts(spec, parameters, samples)
    shown = text(spec, found)
    if target is not None:
        modules = boards_modules()
        fpga = modules.catalog.board(target)
        design = fpga.with_network(with_lanes(fpga, spec)).design(spec.name)
        found["lanes"] = modules.lanes.as_table(modules.lanes.lanes_of(design.config))
        shown += f"\n\n[lanes.{target}]\n" + "\n".join(
            f"{key} = {json.dumps(x)}" for key, x in found["lanes"].items()
        )
    emit(as_json, found, shown)


def facts(spec: Spec, parameters: "Parameters", samples: int) -> dict[str, Any]:
    """Return all that is shown as plain data. samples: embedded digits whose spikes are counted."""
    from nudge.golden.model.fixed import FixedModel
    from nudge.golden.training import data as datasets
    from nudge.golden.training.plan import first_samples

    formats = spec.formats
    images = datasets.load("embedded", shown=spec.input).train_images
    model = FixedModel(spec, parameters=parameters)
    model.infer(images[: first_samples(samples, len(images), "embedded")])
    layers = [
        {
            "layer": bundle.index,
            "kind": bundle.kind,
            "kernel": bundle.kernel,
            "padding": bundle.padding,
            "shape": list(bundle.post.shape),
            "weights": bundle.weights,
            "phi_bits": bundle.post.phi_bits,
            "correlation_bits": spec.correlation_bits(bundle),
            "spikes_per_neuron_and_step": spikes / (samples * bundle.post.neurons * spec.schedule.free),
        }
        for bundle, spikes in zip(spec.bundles, model.spikes, strict=True)
    ]
    return {
        "network": network_file.document(spec),
        "identity": f"{spec.identity:08x}",
        "layers": layers,
        "parameters": spec.parameters,
        "memory_bits": {
            "masters": spec.parameters * formats.master_bits,
            "working": sum(b.weights for b in spec.bundles) * formats.weight_bits
            + sum(b.post.channels for b in spec.bundles) * formats.bias_bits,
        },
        "membrane_bits": spec.membrane_bits,
        "window_sum_bits": spec.sum_bits,
    }


def text(spec: Spec, found: dict[str, Any]) -> str:
    """Return the facts as a table and lines of text."""
    from rich.table import Table

    schedule, learning = spec.schedule, spec.learning
    table = Table("layer", title=f"{spec.name}, identity {found['identity']}")
    for column in ("what", "shape", "weights", "phi, bits", "update, bits", "rate", "spikes"):
        table.add_column(column, justify="right" if column != "what" else "left")
    table.add_row("0", "image", "x".join(map(str, spec.input.shape)))
    for layer, rate in zip(found["layers"], learning.rates, strict=True):
        kind, kernel, padding = layer["kind"], layer["kernel"], layer["padding"]
        what = "dense" if kind in ("dense", "pixels") else f"conv {kernel}x{kernel}"
        what += f", padding {padding}" if padding else ""
        table.add_row(
            str(layer["layer"]),
            what,
            "x".join(map(str, layer["shape"])),
            f"{layer['weights']:,}",
            str(layer["phi_bits"]),
            str(layer["correlation_bits"]),
            f"{rate:g}",
            f"{layer['spikes_per_neuron_and_step']:.1%}",
        )
    memory = found["memory_bits"]
    steps = "sweeps of odd, then even layers" if schedule.order == "odd-even" else "steps of all layers"
    lines = [
        f"{spec.parameters:,} weights and biases: {memory['masters'] / 1e3:,.1f} kbit of masters, "
        f"{memory['working'] / 1e3:,.1f} kbit of working copies",
        f"{schedule.free} + 2 x {schedule.nudged} {steps}, means over the last {schedule.window}; "
        f"lambda {_lambda(schedule)}, beta {learning.beta:g}, batch {learning.batch}, "
        f"initial weights x {learning.gain:g}, rates x {learning.decay:g} after each epoch",
        *(
            [f"from above comes 1/{1 << schedule.feedback_shift} of each drive"]
            if schedule.feedback_shift
            else []
        ),
        *(
            [f"nudged phases in spikes worth {', '.join(f'2^-{m}' for m in schedule.fine)}"]
            if schedule.fine
            else []
        ),
        *(
            ["commits centred: what all samples have in common moves biases alone"]
            if schedule.centred
            else []
        ),
        "spikes: of a neuron in a step of the free phase",
    ]
    return "\n".join([rendered(table), *lines])


def _lambda(schedule: Schedule) -> str:
    """Return lambda as text: `1/2`, or `1, from sweep 2 1/2, from sweep 5 1/4`, sweeps counted from 1."""

    def power(k: int) -> str:
        return f"1/{1 << k}" if k else "1"

    later = (
        f"from sweep {at + 1} {power(k)}"
        for at, k in zip(schedule.halvings, schedule.shifts[1:], strict=True)
    )
    return ", ".join([power(schedule.decay_shift), *later])
