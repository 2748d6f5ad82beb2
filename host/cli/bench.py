"""`nudge bench`: measures cycles of the virtual board, or the speed of the model's engines."""

from typing import Annotated

import typer

from nudge.golden.contract.presets import NAMES, chosen
from nudge.golden.training.options import DATA, NETWORK
from nudge.plumbing.errors import UsageError

from . import completion
from .options import WHERE, DataOption, DirOption, EnginesOption, JsonOption, NetworkOption, StartOption
from .run import importing


def bench(
    preset_name: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help=f"Take this network: {', '.join(NAMES)} [default: tiny, with --board golden small].",
            rich_help_panel=NETWORK,
            autocompletion=completion.presets,
        ),
    ] = None,
    network: NetworkOption = None,
    board: Annotated[
        str,
        typer.Option(
            "--board",
            help="Measure sim (cycles of a virtual board) or golden (speed of the model's engines on this "
            "machine).",
            rich_help_panel=WHERE,
        ),
    ] = "sim",
    samples: Annotated[
        int | None,
        typer.Option(help="Train and infer N samples, 2 or more [default: a batch].", rich_help_panel=DATA),
    ] = None,
    weights: StartOption = None,
    data: DataOption = None,
    data_dir: DirOption = None,
    engines: EnginesOption = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="With --board golden: train N images at once [default: 256].", rich_help_panel=WHERE
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="With --board golden: give each engine N threads [default: one a processor].",
            rich_help_panel=WHERE,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the cycles of a training sample and an inference on the virtual board.

    It shows the cycles of each phase, their lower bound from the lanes, and the occupancy of each
    engine's lanes. With --board golden: measure the training samples a second of each engine of the
    golden model, whose results must be equal.
    """
    simulated = {"--engines": engines, "--weights": weights, "--data": data, "--data-dir": data_dir}
    modelled = {"--batch": batch, "--threads": threads}
    if board not in ("sim", "golden"):
        raise UsageError(f"--board must be sim or golden, not {board!r}")
    if board == "golden" and samples is not None:
        raise UsageError(f"--samples {samples}: with --board golden it is --batch that counts")
    for option, given in (simulated if board == "golden" else modelled).items():
        if given is not None:
            raise UsageError(
                f"{option} {given}: {'not' if board == 'golden' else 'only'} with --board golden"
            )
    with importing():
        from .work import measures
    if board == "golden":
        measures.of_model(chosen(preset_name, network, "small"), batch, threads, as_json)
    else:
        spec = chosen(preset_name, network)
        measures.of_simulation(spec, samples, weights, data or "embedded", data_dir, engines, as_json)
