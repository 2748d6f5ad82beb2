"""One simulator for all tests of a build: it imports the benches once and forks for each test, as at power-up.

To import torch takes two seconds. `Forks` is on pytest's side; `serve` is a cocotb test which, at time 0, becomes any other
test in a child of its process. `sim.rigs.mutants.trial` does the same for each mutant.
"""

import atexit
import importlib
import json
import os
import random
import signal
import socket
import tempfile
import threading
from contextlib import suppress
from hashlib import sha1
from pathlib import Path
from types import ModuleType
from typing import Any

import cocotb

from .testbench import LOG, REPORT, CocotbError, CompiledBench, complain, problem, scratch, seed, simulate

#: Path of the socket to pytest.
SOCKET = "NUDGE_BENCH_SOCKET"

#: Path that cocotb writes its report to.
REPORT_VARIABLE = "COCOTB_RESULTS_FILE"

#: Seconds for the simulator to begin, and to end.
SECONDS = 120


class Forks:
    """The simulator of a build. Its tests run one after the other."""

    def __init__(self, bench: CompiledBench):
        self._ended: str | None = None
        # a path of 108 characters at most
        with tempfile.TemporaryDirectory(prefix="nudge-") as short, socket.socket(socket.AF_UNIX) as listener:
            path = Path(short) / "socket"
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(SECONDS)
            self._thread = threading.Thread(target=self._simulate, args=(bench, listener, str(path)), daemon=True)
            self._thread.start()
            try:
                connection, _ = listener.accept()
            except OSError:
                raise CocotbError(self._ended or f"no simulator of {bench.top} after {SECONDS} s") from None
        connection.settimeout(None)  # pytest-timeout ends a test
        self._connection, self._answers = connection, connection.makefile()

    def _simulate(self, bench: CompiledBench, listener: socket.socket, path: str) -> None:
        with scratch(f"forks-{bench.top}") as folder:
            # torch must not begin threads that a child doesn't have
            variables = {SOCKET: path, "OMP_NUM_THREADS": "1"}
            stopped = simulate(bench, folder, __name__, serve.name, variables)
            self._ended = stopped or problem(folder / REPORT) or "the simulator ended"
        with suppress(OSError):  # wakes the constructor, if it still waits
            listener.shutdown(socket.SHUT_RDWR)

    def run_test(self, module: str, test: str) -> None:
        """`CocotbError` with the test's log if it doesn't pass."""
        with scratch(module) as folder:
            try:
                self._connection.sendall(json.dumps([module, test, str(folder)]).encode() + b"\n")
            except OSError:
                raise CocotbError(self._ended or "the simulator doesn't answer") from None
            child = int(self._line())
            try:
                stopped = self._line()
            except BaseException:  # such as pytest-timeout's
                if child:
                    os.kill(child, signal.SIGKILL)
                    self._line()
                raise
            complain(folder, module, test, stopped)

    def _line(self) -> str:
        if line := self._answers.readline():
            return line.strip()
        self._thread.join(SECONDS)
        raise CocotbError(self._ended)

    def close(self) -> None:
        """Ends the simulator."""
        # both have the socket open
        self._answers.close()
        self._connection.close()
        self._thread.join(SECONDS)


@cocotb.test()
async def serve(dut):
    """Answers each request with two lines: the child, and why it stopped early, nothing if it came to its end."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[SOCKET])
        with connection.makefile("rw", buffering=1) as stream:
            for line in stream:
                module, name, folder = json.loads(line)
                random.seed(seed())
                try:
                    test = find(module, name)
                except (ImportError, ValueError) as error:
                    print(f"0\n{module}.{name}: {error}", file=stream, flush=True)
                    continue
                child = os.fork()
                if not child:
                    become(Path(folder) / REPORT, Path(folder) / LOG)
                    await run(dut, test)
                    return
                print(child, file=stream, flush=True)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                print(f"the simulator stopped: exit status {code}" if code else "", file=stream, flush=True)


def tests_of(module: ModuleType) -> list[Any]:
    """A module's cocotb tests, one for each set of parameters."""
    return [test for value in vars(module).values() if hasattr(value, "generate_tests") for test in value.generate_tests()]


def find(module: str, name: str) -> Any:
    """A cocotb test. ValueError if there isn't exactly one of that name."""
    (test,) = (test for test in tests_of(importlib.import_module(module)) if test.name == name)
    return test


def become(report: Path, log: Path) -> None:
    """From here on this process is one test, whose output and report go to these files."""
    os.environ[REPORT_VARIABLE] = str(report)
    # the simulator would wait for its other threads at the end, which only the parent has
    atexit.register(os._exit, 0)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)


async def run(dut, test: Any) -> None:
    """Runs a test with `random` seeded as cocotb seeds it."""
    random.seed(seed() + int(sha1(f"{test.module}.{test.name}".encode()).hexdigest(), 16))
    await test.func(dut, *test.args, **test.kwargs)
