"""`nudge train`, `resume` and `compare`: train on a board or in the model, or on both and compare."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nudge.golden.contract.presets import chosen
from nudge.golden.training.options import NETWORK, OUTPUT, ResumeOptions, TrainingOptions

from . import completion
from .options import (
    BatchOption,
    BoardOption,
    DataOption,
    DirOption,
    EnginesOption,
    JsonOption,
    NetworkOption,
    PresetOption,
    SeedOption,
    TrainSamplesOption,
    Where,
    with_fields,
)
from .run import importing
from .terminal import emit, reported


@with_fields
def train(
    options: TrainingOptions = TrainingOptions(),  # noqa: B008 (frozen)
    where: Where = Where(),  # noqa: B008 (frozen)
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write weights, metrics and learning curve to this folder [default: runs/NETWORK-DATA-N, a "
            "new one].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Train, then evaluate once on the test set.

    If the board has memory for the samples, they are stored there first, then requested by index.

    Ctrl-C finishes the batch and saves; `nudge resume` continues from there.

    torchrun --nproc-per-node K -m nudge train --board golden ... trains the model on K processes, with the
    same bits.
    """
    with importing():
        from nudge.golden.training.run import Run

        from .work.session import carry_out
    return carry_out(
        lambda: Run.prepare(out, options), where.board or "sim", where, as_json, named=out is not None
    )


@with_fields
def resume(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run.", autocompletion=completion.weights)
    ],
    options: ResumeOptions = ResumeOptions(),  # noqa: B008 (frozen)
    where: Where = Where(),  # noqa: B008 (frozen)
    as_json: JsonOption = False,
) -> int:
    """Continue a saved run with its options, then evaluate once on the test set.

    On any board, and with any number of processes (torchrun, as for `nudge train`), the weights become those
    of an uninterrupted run.
    """
    with importing():
        from nudge.golden.training.run import Run

        from .work.session import carry_out
    return carry_out(lambda: Run.again(run, options), where.board, where, as_json)


def compare(
    preset_name: PresetOption = None,
    network: NetworkOption = None,
    board: BoardOption = "sim",
    engines: EnginesOption = None,
    samples: TrainSamplesOption = 64,
    data: DataOption = None,
    data_dir: DirOption = None,
    seed: SeedOption = 0,
    batch: BatchOption = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Start from a RUN's weights and network, RUN as for `nudge eval` [default: fresh weights].",
            rich_help_panel=NETWORK,
            autocompletion=completion.weights,
        ),
    ] = None,
    stored: Annotated[
        bool,
        typer.Option(
            "--stored",
            help="Train twice, from the board's memory and streamed, on images also moved and mirrored.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the same samples on a board and on the golden model; succeed only if all is equal.

    It compares every prediction, every weight and bias (by digest at each commit, by value at the
    end), and every layer's spike counter. A batch smaller than the preset's scales the learning
    rates down in proportion, so the board's rate registers keep their values, in range. With
    --stored the network's images must be 1x28x28 in 10 classes, as MNIST's; they are moved by up to
    one pixel and mirrored.
    """
    with importing():
        from nudge.golden.training import checkpoint
        from nudge.golden.training import data as datasets
        from nudge.golden.training.plan import Plan, first_samples
        from nudge.host.devices.open import open_board
        from nudge.host.training import compare as comparison

    if weights is None:
        spec, parameters = chosen(preset_name, network), None
    else:
        asked = None if preset_name is None and network is None else chosen(preset_name, network)
        spec, parameters, _ = checkpoint.load(checkpoint.find(weights), asked)
    data = data or "embedded"
    images = datasets.load(data, data_dir, spec.input)
    lr_scale = 1.0 if batch is None else min(1.0, batch / spec.learning.batch)
    count = first_samples(samples, len(images.train_images), data)
    moves = {"shift": 1, "flip": True} if stored else {}
    plan = Plan.of(spec, data, count, seed=seed, batch=batch, lr_scale=lr_scale, **moves)
    with open_board(board, spec, engines, memory=stored) as device:
        with reported(as_json, {"samples": samples}):
            result = comparison.compare(device, plan, images, stored=stored, parameters=parameters)
    how = ", from the board's memory and streamed" if stored else ""
    emit(
        as_json,
        {"equal": True, "compared": result.compared, "samples": samples} | asdict(result),
        f"equal: {result.weights} weights and biases, {result.predictions} predictions, {result.counters} "
        f"spike counters{how} (board {board!r} == golden)",
    )
