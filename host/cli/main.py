"""The `nudge` command: its commands by name, and how it ends. `python -m host.cli` is the same."""

import sys

import typer

from golden.contract.errors import ExitCode

from . import bench, bitstream, board, compare, evaluate, repro, training
from .run import run_together

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:3}  {code.what}" for code in ExitCode)

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, epilog=EPILOG
)


@app.callback()
def callback() -> None:
    """Spiking convolutional networks, trained on an FPGA by equilibrium propagation."""


app.command("train")(training.train)
app.command("eval")(evaluate.evaluate_weights)
app.command("compare")(compare.compare)
app.command("bench")(bench.bench)
app.command("repro")(repro.repro)
app.command("build")(bitstream.build)
app.command("flash")(bitstream.flash)
app.command("report")(bitstream.report)
app.add_typer(
    board.app, name="board", help="Serve a virtual board, ask a board what it is, or attack one."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    return run_together(app, "nudge", arguments)


if __name__ == "__main__":
    sys.exit(main())
