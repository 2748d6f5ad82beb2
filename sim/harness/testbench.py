"""Runs cocotb tests of Amaranth components on Verilator; pytest shows each cocotb test as a test of its own.

A bench is a module `sim/<folder of hw>/test_<unit>.py`::

    # amaranth: UnusedElaboratable=no
    import cocotb
    from nudge.hw.synapse.average_pool import AveragePool
    from sim.harness.streams import FlowSource, Monitor, start

    UNITS = {"pool": AveragePool(lanes=2, bits=6, height=5, width=4)}

    @cocotb.test()
    async def sums_squares(dut):
        await start(dut)
        source, monitor = FlowSource(dut, "pool__i"), Monitor(dut, "pool__o")
        ...

All `UNITS` of a folder share one Verilator build, so their names must differ. (With a build for each module
there would be more to compile; with one build for all folders each test would simulate every unit.) Port
`i.valid` of unit `pool` is `dut.pool__i__valid`. A module with `TOP = SomeComponent(...)` instead of UNITS
gets a build of its own, whose ports keep their names; modules that import the same component as their TOP
share its build. A unit written in Verilog has its texts by name in the attribute `verilog`; texts of the same
name are included once. Each test runs in a fresh simulator, in the state at power-up, with random values
where there is no initial value. Marks go below the decorator: `@cocotb.test()`, then `@pytest.mark.slow`; or,
for a whole module, `pytestmark`.

Environment: COCOTB_RANDOM_SEED (default 1), WAVES=1 (a VCD file for each test in build/waves/, and a GTKWave
setup beside it), SIM=icarus (if installed).
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cocotb_tools.config
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb_tools.runner import get_runner

from nudge.boards.virtual import verilator
from nudge.plumbing.cache import build_root, cached
from nudge.plumbing.errors import ToolError

from .waves import write_setup

#: Environment variable with the names of the inputs, for `streams.start`: VPI has no directions.
INPUTS_VARIABLE = "NUDGE_BENCH_INPUTS"

#: Files that a simulator writes into the folder of a test.
LOG, REPORT = "log", "results.xml"

#: Amaranth's names of the clock and reset ports of the domain `sync`.
CLOCK, RESET = "clk", "rst"


class CocotbError(AssertionError):
    """A cocotb test failed; the message has the end of its log."""


def seed() -> int:
    """Seed of all random stimuli; cocotb derives a test's seed from it and the test's name."""
    return int(os.environ.get("COCOTB_RANDOM_SEED", "1"))


def waves() -> bool:
    """Whether to write wave files."""
    return os.environ.get("WAVES", "0") not in ("", "0")


class Testbench(wiring.Component):
    """A top level with several units; each unit's interface is a member with the unit's name."""

    #: Tells pytest that this isn't a class of tests.
    __test__ = False

    def __init__(self, units: dict[str, wiring.Component]):
        self.units = units
        super().__init__({name: Out(unit.signature) for name, unit in units.items()})

    def elaborate(self, platform):
        m = Module()
        for name, unit in self.units.items():
            m.submodules[name] = unit
            wiring.connect(m, wiring.flipped(getattr(self, name)), unit)
        return m


@dataclass(frozen=True)
class CompiledBench:
    """A component compiled for a simulator."""

    #: The simulator's build.
    folder: Path
    #: Name of its top module.
    top: str
    #: cocotb's name of the simulator.
    simulator: str
    #: Names of its input ports.
    inputs: tuple[str, ...]


def compile_bench(component: wiring.Component, top: str) -> CompiledBench:
    """Compiles a component for the simulator in the variable `SIM`; `ToolError` if that fails."""
    simulator = os.environ.get("SIM", "verilator")
    units = component.units.values() if isinstance(component, Testbench) else (component,)
    netlists = verilog_of(units)
    text = verilator.to_verilog(component, top) + netlists
    if simulator == "verilator":
        # -O1: a third less to compile than the default -Os, and benches, which wait for Python, run as fast
        # (-O0: half as fast); a netlist takes two minutes at -O1 and is simulated for seconds
        folder = build_verilator(text, top, "-O0" if netlists else "-O1")
    elif simulator == "icarus":
        folder = _build_icarus(text, top)
    else:
        raise ToolError(f"SIM must be verilator or icarus, not {simulator!r}")
    return CompiledBench(folder, top, simulator, inputs(component))


def verilog_of(units: Iterable[wiring.Component]) -> str:
    """The Verilog texts of units, one for each name."""
    texts: dict[str, str] = {}
    for unit in units:
        texts |= getattr(unit, "verilog", {})
    return "".join(texts.values())


def inputs(component: wiring.Component) -> tuple[str, ...]:
    """Names of a component's input ports."""
    ports = component.signature.flatten(component)
    return tuple("__".join(map(str, path)) for path, member, _ in ports if member.flow == In)


def build_verilator(text: str, top: str, optimised: str) -> Path:
    """Builds like cocotb's runner, but VPI sees only the top's ports: `--public-flat-rw` halves the speed.

    optimised: the compiler's option.
    """
    libraries = cocotb_tools.config.libs_dir
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    link = f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"
    flags = ["--vpi", "--public-depth", "1", "--assert", "--timescale", "1ns/1ns", "-LDFLAGS", link]
    if waves():
        flags.append("--trace-vcd")
    return verilator.executable(text, top, [main], flags=flags, make_flags=[f"OPT_FAST={optimised}"]).parent


def _build_icarus(text: str, top: str) -> Path:
    if shutil.which("iverilog") is None:
        raise ToolError("SIM=icarus needs iverilog: apt-get install iverilog")

    def make(folder: Path, log: Path) -> None:
        source = folder / f"{top}.v"
        source.write_text(text)
        runner = get_runner("icarus")
        runner.build(
            sources=[source], hdl_toplevel=top, build_dir=folder, timescale=("1ns", "1ns"), log_file=log
        )

    return cached(f"{top}-icarus", [text, top, str(waves())], make)


def run_test(
    bench: CompiledBench, module: str, test: str, variables: Mapping[str, str] | None = None
) -> None:
    """Runs one cocotb test in a simulator of its own; `CocotbError` with its log if it doesn't pass.

    variables: added to the environment variables that every bench has.
    """
    with scratch(module) as folder:
        arguments = []
        wave_file = _wave_file(module, test) if waves() and bench.simulator == "verilator" else None
        if wave_file is not None:
            wave_file.unlink(missing_ok=True)
            arguments += ["--trace-file", str(wave_file)]
        stopped = simulate(bench, folder, module, test, variables or {}, arguments)
        if wave_file is not None and wave_file.exists():  # also after a failed test
            write_setup(wave_file)
        complain(folder, module, test, stopped)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Context with a folder for a simulator's log and report; it is kept after an exception."""
    root = build_root() / "runs"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=root))
    yield folder
    shutil.rmtree(folder)


def simulate(
    bench: CompiledBench,
    folder: Path,
    module: str,
    test: str,
    variables: Mapping[str, str],
    arguments: Sequence[str] = (),
) -> str | None:
    """Runs a simulator with one cocotb test, which writes `LOG` and `REPORT` into `folder`.

    Returns the reason if the simulator stopped early, else None.
    """
    plusargs = []
    if bench.simulator == "verilator":
        plusargs += ["+verilator+rand+reset+2", f"+verilator+seed+{seed()}"]
    try:
        get_runner(bench.simulator).test(
            hdl_toplevel=bench.top,
            hdl_toplevel_lang="verilog",
            test_module=module,
            test_filter=f"^{re.escape(f'{module}.{test}')}$",
            build_dir=bench.folder,
            test_dir=folder,
            results_xml=str(folder / REPORT),
            log_file=folder / LOG,
            seed=seed(),
            waves=waves(),
            test_args=list(arguments),
            plusargs=plusargs,
            extra_env={
                INPUTS_VARIABLE: ",".join(bench.inputs),
                # cocotb's default rewrites all modules that a bench imports, torch too: three seconds a test
                "COCOTB_REWRITE_ASSERTION_FILES": f"{Path(__file__).parents[1]}/*.py",
                "COCOTB_ANSI_OUTPUT": "0",
                **variables,
            },
        )
    except (RuntimeError, SystemExit) as error:
        return f"the simulator stopped: {error}"
    return None


def complain(folder: Path, module: str, test: str, stopped: str | None) -> None:
    """Raises `CocotbError` with the end of the log unless `folder` has a report of one passed test."""
    log = folder / LOG
    if found := problem(folder / REPORT) or stopped or (None if (folder / REPORT).exists() else "no report"):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-80:]) if log.exists() else "(no log)"
        raise CocotbError(f"{tail}\n\n{module}.{test}, seed {seed()}: {found}\nlog: {log}")


def _wave_file(module: str, test: str) -> Path:
    folder = build_root() / "waves"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / (re.sub(r"[^\w.=-]", "_", f"{module}.{test}") + ".vcd")


def problem(results: Path) -> str | None:
    """The first problem in cocotb's report, or None; exactly one test must have run."""
    if not results.exists():
        return None
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    if len(cases) != 1:
        return f"{len(cases)} tests ran instead of 1"
    for kind in ("failure", "error", "skipped"):
        for element in cases[0].iter(kind):
            return f"{element.get('type') or kind}: {element.get('message')}"
    return None
