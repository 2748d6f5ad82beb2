"""Opens the board that --board names: `sim`, `golden`, a device path, or a URL for pyserial."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nudge.golden.contract.config import ENGINES, buildable, configuration
from nudge.golden.contract.presets import PRESETS, preset
from nudge.golden.contract.spec import Spec
from nudge.host.link.link import Link
from nudge.plumbing import install
from nudge.plumbing.errors import IdentityError, ToolError, UsageError, meant
from nudge.plumbing.progress import note

from .golden import GoldenBoard
from .interface import OpenBoard
from .lanes import with_chosen
from .serial import SerialBoard

#: Values of `--board` other than device paths and URLs.
WORDS = ("sim", "golden")

#: Network of the virtual board that `open_unknown` starts.
UNKNOWN_PRESET = "tiny"


def check_name(name: str) -> None:
    """Raise `UsageError` for a value of `--board` that is none of `WORDS`, no device path and no URL."""
    if name not in WORDS and "/" not in name and ":" not in name and not (name and Path(name).exists()):
        allowed = f"{', '.join(WORDS)}, a device path, or a URL of socket, rfc2217 or hwgrep"
        raise UsageError(f"--board must be {allowed}, not {name!r}{meant(name, WORDS)}")


@contextmanager
def virtual_board(
    spec: Spec, engines: str = ENGINES[0], *, port: int = 0, memory: bool = False, **options: Any
) -> Iterator[Any]:
    """Run the RTL, compiled by Verilator (minutes, the first time), behind the port `.url`.

    engines: one of `golden.contract.config.ENGINES`; if the network has no lanes for them, some are chosen.
    port: TCP port, 0 for any free one. memory: with an SDRAM for samples. options: those of
    `boards.virtual.board.VirtualBoard`. Raises `ToolError`, and `ConfigError` for a network that is too
    large for gateware.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be 0..65535, not {port}")
    buildable(spec, engines)
    try:
        # imported here, as real boards need neither Amaranth nor Verilator
        from nudge.boards.virtual import VIRTUAL_SDRAM
        from nudge.boards.virtual import board as simulation
    except ImportError as error:
        raise ToolError(f"simulation needs the package {error.name}: {install('sim')}") from None
    if engines not in dict(spec.lanes):
        spec = with_chosen(spec, engines, "sim", None, simulation.VIRTUAL.window, engines)
    config = buildable(spec, engines)
    if memory:
        options["board"] = VIRTUAL_SDRAM
    with simulation.VirtualBoard(config, port=port, **options) as virtual:
        yield virtual


@contextmanager
def open_board(
    name: str, spec: Spec, engines: str | None = None, *, memory: bool = False
) -> Iterator[OpenBoard]:
    """Open a board built for `spec`, without a pending batch; close it at the end.

    name: `sim` starts a virtual board, `golden` is the bit-exact model in this process, anything else is a
    device path or a pyserial URL. engines: those of the virtual board; `UsageError` if given for another.
    memory: the virtual board has an SDRAM for samples. Raises `ToolError`, and the errors of `SerialBoard`.
    """
    check_name(name)
    if engines is not None and name != "sim":
        raise UsageError(f"--engines {engines}: only a board in simulation can choose, not {name!r}")
    if name == "golden":
        with GoldenBoard(configuration(spec)) as golden:
            yield golden
    elif name == "sim":
        with (
            virtual_board(spec, engines or ENGINES[0], memory=memory) as virtual,
            SerialBoard(virtual.url, spec) as board,
        ):
            yield board
    else:
        with SerialBoard(name, spec) as board:
            board.settle()
            yield board


@contextmanager
def open_unknown(name: str, others: Iterable[Spec] = ()) -> Iterator[SerialBoard]:
    """Open the board behind a port, for the network in its HELLO answer: a preset or one of `others`.

    name: a device path, a pyserial URL, or `sim`, which starts a virtual board of `UNKNOWN_PRESET`.
    Raises `IdentityError` for any other network.
    """
    check_name(name)
    if name == "golden":
        raise UsageError(
            "--board golden: the model has no port to ask: give a device path, a pyserial URL, or sim"
        )
    with ExitStack() as stack:
        if name == "sim":
            name = stack.enter_context(virtual_board(preset(UNKNOWN_PRESET))).url
        link = stack.enter_context(Link.open(name, note=note))
        identity = link.hello()
        known = {spec.identity: spec for spec in (*PRESETS.values(), *others)}
        if identity.spec not in known:
            theirs = f"{identity.preset} (spec {identity.spec:08x})"
            ours = ", ".join(f"{spec.name} ({spec.identity:08x})" for spec in known.values())
            raise IdentityError(
                f"{name}: the board is built for {theirs}: known are {ours}: give its file, --network"
            )
        yield SerialBoard.over(link, known[identity.spec])
