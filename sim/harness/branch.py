"""In the simulator: a test's process splits off a child for each mutant, as soon as the test begins.

All that is before that, some seconds of imports, is done once. A child is the very simulation, with one mutant chosen; it
goes on with the test, writes cocotb's report and ends. Then the parent, healthy, goes on too.
"""

import atexit
import json
import os
import resource
import signal
import time
from pathlib import Path

from .testbench import problem

#: Path of a JSON file: "choosers", all inputs that choose mutants, and "mutants", pairs of such an input and its value. How
#: they end is written beside it, the healthy one first.
VARIABLE = "NUDGE_MUTANTS"

#: Where cocotb writes its report.
REPORT = "COCOTB_RESULTS_FILE"

#: How a test ends that notices a mutant, and one that doesn't.
FAILED, SURVIVED = "failed", "survived"

#: Seconds of processor time that the healthy one may take.
LONGEST = 3600

#: A child may take this many times the processor time of the healthy one, and seconds more, before it counts as hung.
TIMES, SECONDS = 10, 5

#: Seconds that pass before a child that takes no processor time counts as hung too.
ASLEEP = 600.0


def branch(dut) -> None:
    """Nothing, unless `VARIABLE` is set."""
    path = os.environ.pop(VARIABLE, None)
    if path is None:
        return
    job, report = Path(path), Path(path).with_suffix(".report")
    told, endings, limit = json.loads(job.read_text()), [], LONGEST
    for chooser in told["choosers"]:
        getattr(dut, chooser).value = 0
    # the first is healthy: it says how long the test takes
    for mutant in [None, *told["mutants"]]:
        report.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            _become(dut, mutant, report, limit)
            return
        ending, seconds = _wait(child, report)
        endings.append(ending)
        if mutant is None:
            limit = TIMES * int(seconds + 1) + SECONDS
            if ending != SURVIVED:
                break
    job.with_suffix(".endings").write_text(json.dumps(endings))


def _become(dut, mutant: tuple[str, int] | None, report: Path, limit: int) -> None:
    """From here on this process is that mutant."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    os.environ[REPORT] = str(report)
    # the simulator would wait for its other threads at the end, which only the parent has
    atexit.register(os._exit, 0)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if mutant is not None:
        getattr(dut, mutant[0]).value = mutant[1]


def _wait(child: int, report: Path) -> tuple[str, float]:
    """How a child ends, and its processor time."""
    end = time.monotonic() + ASLEEP
    while not (ended := os.wait4(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    _, status, used = ended
    seconds = used.ru_utime + used.ru_stime
    if os.WIFSIGNALED(status):
        return ("hung" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else "stopped"), seconds
    if not report.exists():
        return "stopped", seconds
    return (FAILED if problem(report) else SURVIVED), seconds
