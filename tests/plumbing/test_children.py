"""Programs, and those that they started, end with the process that started them, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nudge.plumbing import children

#: A program that starts another one, prints that one's process number, and waits.
PARENT = "sleep 600 & echo $!; wait"


def gone(process: int) -> bool:
    """Return whether the process ends within 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_what_is_left_at_the_end_is_killed():
    with children.started(["sh", "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        assert Path(f"/proc/{grandchild}").exists()
    assert process.returncode == -signal.SIGKILL
    assert gone(grandchild)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_they_end_with_their_parent(number):
    code = (
        "import subprocess; from nudge.plumbing import children\n"
        f"with children.started(['sh', '-c', 'echo $$; ' + {PARENT!r}]) as process: process.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        numbers = [int(parent.stdout.readline()) for _ in range(2)]
        os.kill(parent.pid, number)
        parent.wait(30)
        assert all(map(gone, numbers))


def test_a_deadline_ends_all():
    started = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        children.run(["sh", "-c", "sleep 600 & sleep 600"], 0.2, stdout=subprocess.PIPE)
    assert time.monotonic() - started < 60


def test_a_program_that_is_none_leaves_nothing():
    with pytest.raises(FileNotFoundError):
        children.run(["/proc/nowhere"], 1)
    done = children.run(
        ["sh", "-c", "echo out; echo err >&2; exit 3"], 60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert (done.returncode, done.stdout) == (3, b"out\nerr\n")
