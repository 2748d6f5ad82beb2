"""In the simulator: one cocotb test that becomes any other test, for any mutant.

Its process imports the benches' modules, which takes seconds, and then splits off a child for each test of each mutant. A
child is the simulation as at power-up, with that mutant chosen; it runs the test itself, seeded as cocotb would have seeded it,
writes cocotb's report and ends.
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

#: Path of a JSON file: "choosers", all inputs that choose mutants; "mutants", each with its "key", such an "input" and its
#: "number", its "unit", which alone is simulated where a test asks several side by side, and its "tests", pairs of module and
#: name; "out", the CSV file that a line is added to for each mutant as it ends; "healthy", a file for what a test says of the
#: healthy design if it doesn't pass.
VARIABLE = "NUDGE_MUTANTS"

#: End of the name of a file beside the job's for the simulated time that a test took.
TIME = ".time"

#: How a test ends that doesn't notice a mutant, and how one that is made to end, because it doesn't by itself.
SURVIVED, HUNG = "survived", "hung"

#: A child may take this many times the simulated time of the healthy one, before it counts as hung.
TIMES = 3

#: So many times the processor time, and seconds more, for loops that take no simulated time; and of the healthy one itself.
OVERTIME, SECONDS, LONGEST = 10, 5, 3600

#: Seconds without processor time after which a child counts as hung too.
ASLEEP = 60.0


class Limit(NamedTuple):
    """What a trial may take: processor time in seconds, and simulated time in nanoseconds, 0 for any."""

    seconds: int
    nanoseconds: int


@cocotb.test()
async def any_test(dut):
    """The parent's passes once all children have ended; a child's is the test that it was made for."""
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
    """Ends a test that takes too long."""
    await Timer(nanoseconds, unit="ns")
    raise AssertionError(HUNG)


def _branch(dut, told: dict, job: Path):
    """A child returns with its test and limit, the parent at the end of all, with nothing."""
    report, time_taken = job.with_suffix(".report"), job.with_suffix(TIME)
    limits: dict[tuple[str, str, str], Limit] = {}
    for mutant in told["mutants"]:
        ending, unit = SURVIVED, mutant["unit"]
        units.chosen = {unit} if unit else None
        for module, name in mutant["tests"]:
            which, test = (module, name, unit), _find(module, name)
            if test.kwargs.get("unit", unit) != unit:
                continue
            # the first trial of each is the healthy one, which says how long it takes
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
                cocotb.log.info("%s %s: %s, %.1f s", unit, "healthy" if healthy else mutant["number"], ending, seconds)
                if healthy:
                    if ending != SURVIVED:
                        Path(told["healthy"]).write_text(f"{module}.{name} of the healthy design: {ending}, {why}")
                        return None
                    limits[which] = Limit(math.ceil(OVERTIME * seconds) + SECONDS, TIMES * int(time_taken.read_text()))
            if ending != SURVIVED:
                ending = f"{module}.{name}: {ending}"
                break
        with Path(told["out"]).open("a", newline="") as stream:
            csv.writer(stream).writerow([*mutant["key"], ending])
    return None


_find = functools.cache(forks.find)


def _become(report: Path, limit: int) -> None:
    """From here on this process is one trial."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    forks.become(report, Path(os.devnull))


def _processor_time(child: int) -> str:
    """Of the program and of the system for it, in the kernel's ticks."""
    return " ".join(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13])


def _wait(child: int, report: Path) -> tuple[str, float, str]:
    """How a child ends, its processor time, and what its report complains about."""
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
        return (HUNG if number in (signal.SIGXCPU, signal.SIGKILL) else "stopped"), seconds, f"signal {number}"
    if not report.exists():
        return "stopped", seconds, "no report"
    found = problem(report)
    return (SURVIVED if not found else HUNG if found.endswith(HUNG) else "failed"), seconds, found or ""
