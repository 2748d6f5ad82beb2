"""The `nudge` command: registers all commands, runs the command line. `python -m nudge` is the same."""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from nudge.golden.training.ranks import Ranks
from nudge.plumbing import DISTRIBUTION
from nudge.plumbing.errors import ExitCode, UsageError

from . import (
    bench,
    bitstream,
    board,
    data,
    design,
    inference,
    lists,
    network,
    repro,
    sweep,
    training,
    view,
)
from .app import App
from .run import run_together

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:3}  {code.what}" for code in ExitCode)

app = App(epilog=EPILOG)

#: Commands that may run in several processes of torchrun.
SHARED = ("train", "resume")


def print_version(asked: bool) -> None:
    """Print the installed version, and end the command."""
    if asked:
        try:
            print(f"nudge {version(DISTRIBUTION)}")
        except PackageNotFoundError:
            print("nudge, not installed: run from a checkout")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def callback(
    context: typer.Context,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Spiking convolutional networks, trained on an FPGA by equilibrium propagation."""
    name, processes = context.invoked_subcommand, Ranks.of_environment().size
    if name is None:
        print(context.get_help())
    elif name not in SHARED and processes > 1:
        raise UsageError(f"{name}: {processes} processes can only {' or '.join(SHARED)}, with --board golden")


app.command("train")(training.train)
app.command("resume")(training.resume)
app.command("sweep")(sweep.sweep)
app.command("view")(view.view)
app.command("eval")(inference.evaluate_weights)
app.command("predict")(inference.predict)
app.command("compare")(training.compare)
app.command("bench")(bench.bench)
app.command("repro")(repro.repro)
app.command("presets")(lists.presets)
app.command("boards")(lists.boards)
app.command("estimate")(design.estimate)
app.command("build")(bitstream.build)
app.command("flash")(bitstream.flash)
app.command("report")(bitstream.report)
app.command("verilog")(design.verilog)
app.add_typer(board.app, name="board")
app.add_typer(network.app, name="network")
app.add_typer(data.app, name="data")
app.command("doctor")(lists.doctor)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    app.rich_markup_mode = "rich" if sys.stdout.isatty() else None
    return run_together(app, "nudge", arguments)


if __name__ == "__main__":
    sys.exit(main())
