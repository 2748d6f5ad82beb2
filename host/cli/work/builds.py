"""Bitstreams and their reports for the command line; imports `boards` only where needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nudge.golden.contract.config import check_schedule, configuration
from nudge.golden.contract.presets import PRESETS, chosen
from nudge.golden.contract.protocol import PHASES, VERSION, Command
from nudge.golden.contract.shapes import Input
from nudge.golden.contract.spec import Spec
from nudge.golden.training import data
from nudge.host.devices import flash as loader
from nudge.host.devices.lanes import with_chosen
from nudge.host.devices.open import check_name
from nudge.host.devices.serial import SerialBoard
from nudge.host.link import frame
from nudge.host.training.bench import bench
from nudge.host.training.end_to_end import Core
from nudge.host.training.record import CORE, END_TO_END, measured
from nudge.plumbing import install
from nudge.plumbing.errors import DesignError, LinkError, ToolError, UsageError
from nudge.plumbing.progress import note


def boards_modules() -> Any:
    """Return the modules of the package `boards` that a build needs, by name."""
    try:
        # imported here, as other commands need no Amaranth
        from nudge.boards import catalog
        from nudge.boards.estimate import estimate, lanes, power
        from nudge.boards.toolchain import build, report, testbench, tools, verilog
    except ImportError as error:
        raise ToolError(f"a build needs the package {error.name}: {install('build')}") from None
    modules = {
        "estimate": estimate,
        "lanes": lanes,
        "power": power,
        "testbench": testbench,
        "verilog": verilog,
    }
    return SimpleNamespace(build=build, catalog=catalog, report=report, tools=tools, **modules)


def check_options(seed: int | None, seeds: int, kind: str) -> None:
    """Raise `UsageError` unless the options are in range."""
    from nudge.boards.toolchain.tools import KINDS

    if kind not in KINDS:
        raise UsageError(f"--tools must be {' or '.join(KINDS)}, not {kind!r}")
    if not 1 <= seeds <= 100:
        raise UsageError(f"--seeds must be 1..100, not {seeds}")
    if seed is not None and not 0 <= seed < 1 << 31:
        raise UsageError(f"--seed must be 0..{(1 << 31) - 1}, not {seed}")


@dataclass(frozen=True)
class Target:
    """The arguments of a command that choose a board and a network. name: the kind of board."""

    name: str
    preset: str | None = None
    #: File of the network.
    network: Path | None = None
    #: Python file that defines the board.
    file: Path | None = None

    def find(self, boards: Any) -> tuple[Any, str]:
        """Return the board, with a design for the network, and its name: by default the largest preset."""
        if self.file is None:
            fpga = boards.catalog.board(self.name)
        else:
            fpga = boards.catalog.board_of_file(self.file, self.name)
        if self.network is None:
            return fpga, self.preset or fpga.largest
        spec = with_lanes(fpga, chosen(self.preset, self.network))
        return fpga.with_network(spec), spec.name


def known_targets() -> list[dict[str, Any]]:
    """Return all kinds of boards with their designs, and the median fmax of each committed report or None."""
    boards = boards_modules()
    found = []
    for name, fpga in boards.catalog.BOARDS.items():
        designs = []
        for preset, design in fpga.designs.items():
            report = boards.report.committed(boards.report.baseline_file(name, preset, "yowasp")) or {}
            designs.append(
                {
                    "preset": preset,
                    "clock_hz": design.clock_hz,
                    "fmax_hz_median": report.get("fmax_hz_median"),
                }
            )
        found.append({"target": name, "what": fpga.what, "designs": designs})
    return found


def with_lanes(fpga: Any, spec: Spec) -> Spec:
    """Return the network with lanes for a board: its file's, else chosen by the estimate of area and cycles.

    It is unchanged, with one lane a layer, for an unknown part, and for a board with the compact core.
    """
    check_schedule(spec)
    known = dict(spec.lanes)
    if known.get(fpga.name) or known.get("event") or fpga.design(fpga.largest).config.compact:
        return spec
    return with_chosen(
        spec, fpga.name, fpga.name, fpga.platform().device, fpga.window, stores=fpga.stores(spec)
    )


def run_build(target: Target, seed: int | None, seeds: int, kind: str, verify: bool = False) -> Any:
    """Call `boards.toolchain.build.build_bitstream` for a target, and return the build."""
    check_options(seed, seeds, kind)
    boards = boards_modules()
    fpga, name = target.find(boards)
    return boards.build.build_bitstream(
        fpga, name, seed=seed, seeds=seeds, kind=kind, verify=verify, progress=note
    )


def run_flash(target: Target, seed: int | None, kind: str, board: str | None) -> Any:
    """Build if needed, load, and check; return the build and the port.

    Raises `LinkError` without a board, `ToolError` without its loader, and the errors of building, loading
    and `host.devices.flash.verify`.
    """
    check_options(seed, 1, kind)
    boards = boards_modules()
    fpga, name = target.find(boards)
    design = fpga.design(name)
    if board is not None:
        check_name(board)
    if not fpga.flash:
        raise UsageError(f"{fpga.name} has no command that loads a bitstream: give its Fpga a `flash`")
    loader.require_loader(fpga.flash)
    if fpga.usb is not None:
        if loader.plugged_in(fpga.usb) is False:
            raise LinkError(f"no {fpga.what} found (USB {fpga.usb}): plug it in{fpga.hint}")
        note(f"found {fpga.what} (USB {fpga.usb})")
    made = boards.build.build_bitstream(fpga, design.config.spec.name, seed=seed, kind=kind, progress=note)
    note(f"{fpga.flash[0]}: {made.bitstream}")
    loader.load(fpga.flash, made.bitstream)
    found = board or (loader.serial_port(fpga.usb) if fpga.usb else None)
    if found is None:
        raise LinkError(f"loaded, but {fpga.what} shows no serial port to check it by: give --board")
    loader.verify(found, design.config.spec, made.build, made.seed)
    return made, found


def simulated_cycles(config: Any, samples: int) -> dict[str, Any]:
    """Return the cycles of a training sample and an inference of a configuration, by the simulated RTL."""
    with simulated_board(config, False) as url, SerialBoard(url, config.spec) as board:
        result = bench(board, config, data.load("embedded", shown=config.spec.input), samples, seed=0)
    phases = {phase: round(result.phases[phase], 1) for phase in PHASES}
    sums = {"training": result.cycles_per_training_sample, "inference": result.cycles_per_inference}
    return {"samples": samples, "weights": "untrained, seed 0", "data": "embedded", **sums, "phases": phases}


@contextmanager
def simulated_board(config: Any, memory: bool) -> Iterator[str]:
    """Run a virtual board of a configuration; yield its URL. `ToolError` if nothing here simulates it."""
    try:
        from nudge.boards.virtual import VIRTUAL, VIRTUAL_SDRAM
        from nudge.boards.virtual.board import VirtualBoard
    except ImportError as error:
        raise ToolError(f"simulation needs the package {error.name}: {install('sim')}") from None
    with VirtualBoard(config, board=VIRTUAL_SDRAM if memory else VIRTUAL) as virtual:
        yield virtual.url


def committed_cycles(boards: Any, fpga: Any, name: str) -> dict[str, Any]:
    """Return the committed cycles of a training sample and an inference of a board's design.

    Raises `DesignError` if none are committed.
    """
    config, cycles = fpga.design(name).config, None
    report = boards.report.committed(boards.report.baseline_file(fpga.name, name, "yowasp")) or {}
    if (report.get("spec"), report.get("lanes")) == (config.spec.identity, list(config.lanes)):
        cycles = report["cycles"]
    elif name in PRESETS and config == configuration(PRESETS[name], "event"):
        cycles = boards.report.event_cycles(name)
    if not cycles:
        asked = f"nudge report {fpga.name} --preset {name} --samples 32 --save"
        raise DesignError(f"no committed cycles of {fpga.name} with {name}: {asked}")
    return dict(cycles)


def paced_core(target: Target) -> Core:
    """Return a board's parameters for `host.training.end_to_end`, with the committed cycles of its network.

    Raises the errors of `committed_cycles`.
    """
    boards = boards_modules()
    fpga, name = target.find(boards)
    design, facts = fpga.design(name), fpga.facts(name)
    training = committed_cycles(boards, fpga, name)["training"]
    return Core(design.config, design.clock_hz, facts.baud, facts.window, training, facts.uart_divisor)


def estimated_power(target: Target) -> dict[str, Any]:
    """Return the estimate of `boards.estimate.power` for a board that trains a network without pauses.

    Raises `DesignError` if the wires of such a build, or its cycles, aren't committed.
    """
    boards = boards_modules()
    fpga, name = target.find(boards)
    wired, clock_hz = boards.power.wired(fpga.name, name), fpga.design(name).clock_hz
    committed = committed_cycles(boards, fpga, name)
    cycles = {kind: committed[kind] for kind in ("training", "inference")}
    estimate = boards.power.Estimate.of(wired, boards.power.rates(), clock_hz, cycles)
    return {"build": wired.build, "clock_hz": clock_hz, "cycles": cycles} | dict(estimate.values())


def link_bits(shown: Input) -> float:
    """Return the mean bits on the serial line, 10 a byte, of a TRAIN request with an embedded digit."""
    images = data.load("embedded", shown=shown).train_images.numpy()
    requests = (frame.encode(bytes((VERSION, 0, Command.TRAIN, 0)) + image.tobytes()) for image in images)
    return 10 * sum(map(len, requests)) / len(images)


def link_rate(baud: float, shown: Input) -> float:
    """Return the embedded digits per second on the serial line, the upper bound of streamed training."""
    return float(round(baud / link_bits(shown), 1))


def run_report(
    target: Target, kind: str, samples: int | None, save: bool
) -> tuple[str, dict[str, Any], list[str]]:
    """Return the source of a report, the report, and a list of what is worse than in the committed one.

    samples: number to simulate for the cycles; None: the committed cycles. save: make it the committed
    report.
    """
    check_options(0, 1, kind)
    boards = boards_modules()
    fpga, preset = target.find(boards)
    config = fpga.design(preset).config
    source, report = boards.report.find_report(fpga, preset, kind)
    if samples is not None:
        if not 2 <= samples <= 1000:
            raise UsageError(f"--samples must be 2..1000, not {samples}")
        report = boards.report.with_cycles(report, simulated_cycles(config, samples))
    report["link_samples_per_second"] = link_rate(report["baud"], config.spec.input)
    report["measured"] = [
        {
            "date": found.date,
            "failed": found.failed,
            END_TO_END: found.figure(END_TO_END),
            CORE: found.figure(CORE),
        }
        for found in measured(fpga.name, preset, config.spec.identity)
    ]
    file: Path = boards.report.baseline_file(fpga.name, preset, kind)
    baseline = boards.report.committed(file)
    worse = boards.report.regressions(report, baseline) if baseline else []
    if save:
        boards.report.save(file, {name: value for name, value in report.items() if name != "measured"})
    return source, report, worse
