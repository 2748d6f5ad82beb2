"""Benches that fail, in a simulator of their own and in a forked one: their messages, and the next test."""

import signal

import pytest

from . import testbench
from .forks import Forks
from .test_harness import UNITS

FAILING, PASSING = "sim.harness.failing", ("sim.harness.test_harness", "monitor_counts_latency")


@pytest.fixture(scope="module")
def bench():
    """A build of the units of `test_harness`."""
    return testbench.compile_bench(testbench.Testbench(UNITS), "units_harness")


@pytest.fixture(scope="module")
def forks(bench):
    made = Forks(bench)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("wrong_value", r"assert 5 == 6"),
        ("no_such_port", r"sum__nothing"),
        ("nothing_comes", r"queue__o: 0 of 1 words, then none for 50 cycles"),
        ("absent", r"0 tests ran instead of 1|the simulator stopped|not enough values to unpack"),
    ],
)
def test_a_failing_bench_fails(bench, forks, test, message):
    for run_test in (forks.run_test, lambda *names: testbench.run_test(bench, *names)):
        with pytest.raises(testbench.CocotbError, match=message) as error:
            run_test(FAILING, test)
        assert f"{FAILING}.{test}, seed {testbench.seed()}: " in str(error.value)
    forks.run_test(*PASSING)


def test_a_test_that_is_interrupted_has_no_effect_on_the_next(forks):
    """After a test that was interrupted, as by pytest-timeout, the next one must pass."""

    def interrupt(number, frame):
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 3)
        with pytest.raises(InterruptedError):
            forks.run_test(FAILING, "no_end")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    forks.run_test(*PASSING)


def test_a_simulator_that_ended_is_told(bench):
    ended = Forks(bench)
    ended.close()
    with pytest.raises(testbench.CocotbError, match=r"the simulator ended"):
        ended.run_test(*PASSING)
