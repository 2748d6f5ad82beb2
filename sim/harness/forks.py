"""One simulator for all tests of a build: it imports the benches once, and forks at power-up for each test.

This saves the import of torch, which takes two seconds, in each test. `Forks` runs in pytest; `serve` is a
cocotb test that forks at time 0 and runs any other test in the child. `sim.rigs.mutants.trial` does the same
for each mutant.
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

#: Environment variable with the path of the socket to pytest.
SOCKET = "NUDGE_BENCH_SOCKET"

#: Environment variable with the path of cocotb's report.
REPORT_VARIABLE = "COCOTB_RESULTS_FILE"

#: Timeout in seconds for the start and the end of the simulator.
SECONDS = 120


class Forks:
    """The simulator of a build, which runs tests one after the other."""

    def __init__(self, bench: CompiledBench):
        self._ended: str | None = None
        # the path of a socket may have at most 108 characters
        with tempfile.TemporaryDirectory(prefix="nudge-") as short, socket.socket(socket.AF_UNIX) as listener:
            path = Path(short) / "socket"
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(SECONDS)
            self._thread = threading.Thread(
                target=self._simulate, args=(bench, listener, str(path)), daemon=True
            )
            self._thread.start()
            try:
                connection, _ = listener.accept()
            except OSError:
                raise CocotbError(self._ended or f"no simulator of {bench.top} after {SECONDS} s") from None
        connection.settimeout(None)  # pytest-timeout ends a test
        self._connection, self._answers = connection, connection.makefile()

    def _simulate(self, bench: CompiledBench, listener: socket.socket, path: str) -> None:
        with scratch(f"forks-{bench.top}") as folder:
            # torch must not start threads, which a forked child wouldn't have
            variables = {SOCKET: path, "OMP_NUM_THREADS": "1"}
            stopped = simulate(bench, folder, __name__, serve.name, variables)
            self._ended = stopped or problem(folder / REPORT) or "the simulator ended"
        with suppress(OSError):  # wakes the constructor if it is waiting
            listener.shutdown(socket.SHUT_RDWR)

    def run_test(self, module: str, test: str) -> None:
        """Runs a test; `CocotbError` with its log if it doesn't pass."""
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
        # both objects keep the socket open
        self._answers.close()
        self._connection.close()
        self._thread.join(SECONDS)


@cocotb.test()
async def serve(dut):
    """Answers each request by two lines: the child's process id; why it stopped early, or an empty line."""
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
    """The cocotb tests of a module, one for each set of parameters."""
    return [
        test
        for value in vars(module).values()
        if hasattr(value, "generate_tests")
        for test in value.generate_tests()
    ]


def find(module: str, name: str) -> Any:
    """The cocotb test of this name; `ValueError` unless there is exactly one."""
    (test,) = (test for test in tests_of(importlib.import_module(module)) if test.name == name)
    return test


def become(report: Path, log: Path) -> None:
    """Redirects this process' output and report to these files, for the one test that it will run."""
    os.environ[REPORT_VARIABLE] = str(report)
    # at its end the simulator would wait for its other threads, which only the parent has
    atexit.register(os._exit, 0)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)


async def run(dut, test: Any) -> None:
    """Runs a test, with `random` seeded as by cocotb."""
    random.seed(seed() + int(sha1(f"{test.module}.{test.name}".encode()).hexdigest(), 16))
    await test.func(dut, *test.args, **test.kwargs)
