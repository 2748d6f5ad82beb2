"""Code inside the simulator: one cocotb test that becomes any other test, for any mutant.

Its process imports the benches' modules, which takes seconds, and then forks a child for each test of each
mutant. A child is the simulation at power-up with that mutant selected. It runs the test, seeded as by
cocotb, writes cocotb's report and ends.
"""

import csv
import functools
import json
import math
import os
import resource
import signal
import time
from pathlib import Path
from typing import NamedTuple

import cocotb
from cocotb.simtime import get_sim_time
from cocotb.triggers import Timer

from sim.harness import forks, units
from sim.harness.testbench import problem

#: Environment variable with the path of a JSON file. Its fields: "choosers", all inputs that select mutants;
#: "mutants", each with "key", "input" and "number" (value of that input), "unit" (the only unit that a test
#: checks), and "tests" (pairs of module and name); "out", the CSV file to which a line per mutant is
#: appended; "healthy", a file for the message if the healthy design fails a test.
VARIABLE = "NUDGE_MUTANTS"

#: Suffix of the file beside the job's that holds the simulated time of a test in ns.
TIME = ".time"

#: Endings of a test that doesn't notice a mutant, and of a test that exceeds its limits.
SURVIVED, HUNG = "survived", "hung"

#: Limit of a child's simulated time, as a multiple of the healthy child's.
TIMES = 3

#: Limit of a child's processor time, for loops that take no simulated time: `OVERTIME` times the healthy
#: child's plus `SECONDS`; the healthy child's own limit is `LONGEST` seconds.
OVERTIME, SECONDS, LONGEST = 10, 5, 3600

#: Seconds without any use of processor time after which a child also counts as hung.
ASLEEP = 60.0


class Limit(NamedTuple):
    """Limits of a trial: processor time in seconds, and simulated time in nanoseconds (0: no limit)."""

    seconds: int
    nanoseconds: int


@cocotb.test()
async def any_test(dut):
    """In the parent, pass once all children have ended; in a child, run the child's test."""
    job = Path(os.environ[VARIABLE])
    told = json.loads(job.read_text())
    for chooser in told["choosers"]:
        getattr(dut, chooser).value = 0
    if trial := _branch(dut, told, job):
        test, limit = trial
        if limit.nanoseconds:
            cocotb.start_soon(_end(limit.nanoseconds))
        await forks.run(dut, test)
        job.with_suffix(TIME).write_text(str(int(get_sim_time("ns"))))


async def _end(nanoseconds: int) -> None:
    """Fail the test after this simulated time."""
    await Timer(nanoseconds, unit="ns")
    raise AssertionError(HUNG)


def _branch(dut, told: dict, job: Path):
    """Fork a child per trial; return test and limit in a child, None in the parent after all trials."""
    report, time_taken = job.with_suffix(".report"), job.with_suffix(TIME)
    limits: dict[tuple[str, str, str], Limit] = {}
    for mutant in told["mutants"]:
        ending, unit = SURVIVED, mutant["unit"]
        units.chosen = {unit} if unit else None
        for module, name in mutant["tests"]:
            which, test = (module, name, unit), _find(module, name)
            if test.kwargs.get("unit", unit) != unit:
                continue
            # the first trial of each test is on the healthy design, and gives its limits
            for healthy in (False,) if which in limits else (True, False):
                report.unlink(missing_ok=True)
                limit = Limit(LONGEST, 0) if healthy else limits[which]
                child = os.fork()
                if not child:
                    _become(report, limit.seconds)
                    if not healthy:
                        getattr(dut, mutant["input"]).value = mutant["number"]
                    return test, limit
                ending, seconds, why = _wait(child, report)
                cocotb.log.info(
                    "%s %s: %s, %.1f s", unit, "healthy" if healthy else mutant["number"], ending, seconds
                )
                if healthy:
                    if ending != SURVIVED:
                        Path(told["healthy"]).write_text(
                            f"{module}.{name} of the healthy design: {ending}, {why}"
                        )
                        return None
                    limits[which] = Limit(
                        math.ceil(OVERTIME * seconds) + SECONDS, TIMES * int(time_taken.read_text())
                    )
            if ending != SURVIVED:
                ending = f"{module}.{name}: {ending}"
                break
        with Path(told["out"]).open("a", newline="") as stream:
            csv.writer(stream).writerow([*mutant["key"], ending])
    return None


_find = functools.cache(forks.find)


def _become(report: Path, limit: int) -> None:
    """Turn this process into one trial, with a limit of processor time in seconds."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    forks.become(report, Path(os.devnull))


def _processor_time(child: int) -> str:
    """Return a child's user and system time, in the kernel's ticks."""
    return " ".join(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13])


def _wait(child: int, report: Path) -> tuple[str, float, str]:
    """Wait for a child; return its ending, its processor time in seconds, and the complaint of its report."""
    worked, since = "", time.monotonic()
    while not (ended := os.wait4(child, os.WNOHANG))[0]:
        if (now := _processor_time(child)) != worked:
            worked, since = now, time.monotonic()
        elif time.monotonic() > since + ASLEEP:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    _, status, used = ended
    seconds = used.ru_utime + used.ru_stime
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return (
            (HUNG if number in (signal.SIGXCPU, signal.SIGKILL) else "stopped"),
            seconds,
            f"signal {number}",
        )
    if not report.exists():
        return "stopped", seconds, "no report"
    found = problem(report)
    return (SURVIVED if not found else HUNG if found.endswith(HUNG) else "failed"), seconds, found or ""
