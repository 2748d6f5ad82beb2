"""Runs the program of a virtual board, which a host opens like any serial board."""

import os
import re
import selectors
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from nudge.boards import BoardFacts
from nudge.boards.virtual import VIRTUAL
from nudge.golden.contract.config import Config
from nudge.golden.contract.layout import image_words
from nudge.golden.contract.protocol import MAX_DIGESTED
from nudge.golden.contract.stored import MAX_RECORD_WORDS
from nudge.plumbing.errors import ToolError

from .program import board_program
from .sdram_rules import Rule

#: Timeouts in seconds: from the start of the program to its address, and from SIGTERM to its end.
START_SECONDS = END_SECONDS = 10.0


def idle_cycles(config: Config, sdram: bool = False) -> int:
    """Number of cycles without activity on the serial line or `busy` after which the logic is certainly idle.

    The longest silence is the digest of a bundle, with a few cycles for each 16-bit weight, or of stored
    samples, with a cycle for each word and some for each sample; the rest is margin.
    """
    longest = max(image_words(config, bundle) * config.lanes[bundle.index] for bundle in config.spec.bundles)
    stored = 2 * MAX_DIGESTED * MAX_RECORD_WORDS if sdram else 0
    return max(32 * longest, stored) + 10_000


@dataclass(frozen=True)
class Statistics:
    """Simulated cycles and run time of a virtual board, at its end."""

    #: Clock cycles simulated.
    cycles: int
    #: Seconds that these took, without the time in which the clock stood still.
    seconds: float


class VirtualBoard:
    """Context in which a virtual board runs; it also ends with this process.

    On entry the board is compiled, unless cached, and started; `ToolError` if that fails, or on exit if it
    broke a rule of its SDRAM. `url` is for pyserial; `statistics` is set on exit.

    Parameters
    ----------
    config : Config
        Network and lanes.
    port : int
        TCP port on the loopback interface, 0 for any free one.
    pty : bool
        Use a pseudo-terminal instead of a TCP port.
    board : BoardFacts
        Clock frequency, which HELLO answers but which doesn't affect the simulation's speed, and clock cycles
        per bit.
    program : Path, optional
        Program to run instead of `board_program(config, board)`.
    """

    url: str
    statistics: Statistics | None = None

    def __init__(
        self,
        config: Config,
        *,
        port: int = 0,
        pty: bool = False,
        board: BoardFacts = VIRTUAL,
        program: Path | None = None,
    ):
        self.config, self.board, self._program = config, board, program
        self._address = ["--pty"] if pty else ["--port", str(port)]

    def __enter__(self) -> Self:
        numbers = (self.board.uart_divisor, idle_cycles(self.config, self.board.sdram), os.getpid())
        # In a session of its own: Ctrl-C must reach only the host, which may still read the weights.
        self._process = subprocess.Popen(
            [str(self.program), *map(str, numbers), *self._address],
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        said = self._stop()
        broken = re.search(r"^sdram: (\d+) (\d+) (\d+)$", said, re.MULTILINE)
        if broken:
            rule, cycle, bank = map(int, broken.groups())
            raise ToolError(
                f"the virtual board broke a rule of its SDRAM: {Rule(rule).what}, in cycle {cycle}, bank "
                f"{bank}"
            )
        words = said.split()
        if len(words) >= 2:
            self.statistics = Statistics(int(words[-2]), float(words[-1]))

    def wait(self) -> None:
        """Waits until interrupted; `ToolError` if the program ends by itself, which must not happen."""
        status = self._process.wait()
        raise ToolError(
            f"the virtual board ended by itself: {f'signal {-status}' if status < 0 else f'status {status}'}"
        )

    @property
    def program(self) -> Path:
        """Path of its program, which is compiled unless cached."""
        return self._program or board_program(self.config, self.board)

    @property
    def process(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def memories(self) -> dict[str, tuple[int, int]]:
        """(words, bits of a word) of each memory for `flip`, by name, as
        "core.weights_1.memory.master.words".
        """
        lines = (self.program.parent / "memories.inc").read_text().splitlines()
        fields = [re.findall(r"[\w.]+", line) for line in lines]
        return {name: (int(words), int(bits)) for _, name, _, words, bits in fields}

    @property
    def registers(self) -> dict[str, int]:
        """Width of each register for `flip` (as word 0); only in programs of `sim.rigs.upsets.registers`."""
        listed = self.program.parent / "registers.inc"
        found = re.findall(r'"(.+)", .*, (\d+)\)', listed.read_text()) if listed.exists() else []
        return {name: int(bits) for name, bits in found}

    def reset(self) -> None:
        """Puts the board into its state after power-up; clients stay connected."""
        self._order("reset")

    def flip(self, memory: str, word: int, bit: int, after: int = 0) -> None:
        """Inverts a bit of a memory or register; `ValueError` if there is no such bit.

        after: number of cycles in which the core is busy before that; 0: now.
        """
        self._order(f"flip {memory} {word} {bit} {after}")

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
        """Ends the program; returns its standard error."""
        self._process.terminate()
        try:
            return self._process.communicate(timeout=END_SECONDS)[1]
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.communicate()[1]
