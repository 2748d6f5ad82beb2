"""The work of `nudge board check`."""

import platform
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nudge.golden.contract.config import ENGINES, configuration
from nudge.golden.contract.presets import chosen
from nudge.golden.contract.protocol import BUILD
from nudge.golden.contract.stored import storable
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.host.devices.open import check_name, virtual_board
from nudge.host.devices.serial import SerialBoard
from nudge.host.training.board_check import SHORT, Cycles, Extent, Subject, phases, run_checks
from nudge.host.training.record import NOT_RUN, ON_A_BOARD, SIMULATED, Line, Record, write
from nudge.plumbing import cluster, files
from nudge.plumbing.errors import UsageError

from .builds import Target, boards_modules, link_rate, simulated_board


def check_board(
    name: str, target: Target | None, preset: str | None, network: Path | None, out: Path
) -> tuple[Record, Path]:
    """Check the board behind a port, and write its record; return the record and its JSON file.

    name: as `--board`. target: the kind of board; None for a virtual one.
    """
    check_name(name)
    if name == "golden":
        raise UsageError(
            "--board golden: the model has no link to check: give a device path, a pyserial URL, or sim"
        )
    out.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Any] = {}
    if target is None:
        spec = chosen(preset, network)
        config = configuration(spec, ENGINES[0])
    else:
        config, expected = of_target(target)
        spec = config.spec
    data = datasets.load("embedded", shown=spec.input)
    with ExitStack() as stack:
        if name == "sim":
            virtual = stack.enter_context(virtual_board(spec, memory=storable(spec.input)))
            name, config = virtual.url, virtual.config
        board = stack.enter_context(SerialBoard(name, spec))
        board.settle()
        simulated = board.read_register("build_yosys") == 0  # synthesis writes its version there
        if not simulated and target is None:
            raise UsageError(f"{name} is no virtual board: name its kind by --target, such as ulx3s")

        def simulate() -> Cycles:
            with simulated_board(config, board.identity.capacity > 0) as url, SerialBoard(url, spec) as twin:
                return phases(twin, data, subject.seed)

        subject = Subject(
            board,
            config,
            data,
            simulated,
            expected.pop("memory", board.identity.capacity > 0),
            link_rate((board.identity.clock_hz or 1) / board.identity.uart_divisor, spec.input),
            simulate,
            extent=SHORT if simulated else Extent(),
            **expected,
        )
        lines = tuple(run_checks(subject))
        record = recorded(subject, "sim" if target is None else target.name, lines)
    return record, write(record, out)


def of_target(target: Target) -> tuple[Any, dict[str, Any]]:
    """Return the configuration of a target's design, and what a `Subject` expects of its board."""
    boards = boards_modules()
    fpga, preset = target.find(boards)
    facts = fpga.facts(preset)
    expected = {"memory": facts.sdram, "clock": (facts.clock_hz, facts.uart_divisor)}
    return fpga.design(preset).config, expected | {"built": boards.report.latest(fpga, preset)}


def recorded(subject: Subject, name: str, lines: tuple[Line, ...]) -> Record:
    """Return the record of the lines, with versions, seeds and digests."""
    board, identity = subject.board, subject.board.identity
    facts: dict[str, int | float | str] = {"nudge": cluster.version(), **checkpoint.versions()}
    facts |= {
        "machine": f"{platform.system()} {platform.machine()}",
        "seed": subject.seed,
        "data": "embedded",
    }
    facts |= {"clock_hz": identity.clock_hz, "uart_divisor": identity.uart_divisor, "window": identity.window}
    facts |= {
        "lanes": " ".join(map(str, identity.lanes)),
        "memory_bytes": identity.capacity,
        "link_version": identity.version,
    }
    bitstream = None if subject.built is None else subject.built["bitstream"]
    if bitstream is not None and Path(bitstream).is_file():
        facts["bitstream_sha256"] = files.digest(Path(bitstream))
    if not any(line.outcome == NOT_RUN for line in lines):
        facts |= {name: board.read_register(name) for name in BUILD}
        facts["weights_at_the_end"] = " ".join(f"{digest:08x}" for digest in board.digest())
    date = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime())
    kind = SIMULATED if subject.simulated else ON_A_BOARD
    return Record(name, board.spec.name, board.spec.identity, kind, date, facts, lines)
