"""If threads can't be started, the engine continues with fewer, and no bit changes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nudge.golden.contract.presets import preset
from nudge.golden.model import batch, native
from nudge.golden.model.parameters import zeros
from nudge.golden.model.settings import Settings
from nudge.plumbing import compiler
from nudge.plumbing.errors import ModelError, NativeError

from .random_nets import random_images

pytestmark = pytest.mark.skipif(not compiler.available(), reason="no C++ compiler")

#: Run in a process of its own: train with 1 thread, then limit the address space to `stacks` further thread
#: stacks, and train with 16. Prints how many threads took part each time, and whether all results are equal.
#: A stack is so large here that a thread's other allocations don't count.
SCRIPT = """
import json, resource, sys, threading
import numpy as np, torch
from pathlib import Path
from nudge.golden.contract.presets import preset
from nudge.golden.model import native
from nudge.golden.model.batch import train_batch
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from tests.golden.model.random_nets import random_images, same_parameters

stacks = float(sys.argv[1])
spec, random = preset("tiny"), np.random.default_rng(3)
parameters, (images, labels) = initial(spec, 1), random_images(16 * 20, random)
library, worked = native.library(), []
true = library.nudge_run

def recorded(*arguments):
    worked.append(true(*arguments))
    return worked[-1]

library.nudge_run = recorded

def train(threads):
    return train_batch(spec, Settings.of(spec), parameters, images, labels, engine="native", threads=threads)

one = train(1)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
resource.setrlimit(resource.RLIMIT_AS, (size + int(stacks * stack),) * 2)
if stacks < 1:
    try:
        threading.Thread(target=print).start()
        raise SystemExit("a thread could be started")
    except RuntimeError:
        pass
many = train(16)
equal = one.spikes == many.spikes and torch.equal(one.predictions, many.predictions)
print(json.dumps([worked, equal and same_parameters(one.updates, many.updates)]))
"""

STACK_BYTES = 1 << 29


def limited(stacks):
    """Return the output of the script, run with thread stacks of `STACK_BYTES`."""
    resource = pytest.importorskip("resource")

    def large_stacks():
        hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
        soft = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))

    # one thread in each library, so that the limit affects the engine's alone
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(stacks)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, preexec_fn=large_stacks, timeout=600
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return json.loads(done.stdout)


def test_no_thread_can_be_started():
    assert limited(0.5) == [[1, 1], True]


def test_some_threads_can_be_started():
    (one, some), equal = limited(4.5)
    assert one == 1
    assert 1 < some < 16
    assert equal


SPEC = preset("tiny")
IMAGES, _ = random_images(3, np.random.default_rng(0))


def infer(threads):
    batch.infer(SPEC, Settings.of(SPEC), zeros(SPEC), IMAGES, engine="native", threads=threads)


def test_out_of_memory_is_an_error_not_an_abort(monkeypatch):
    monkeypatch.setattr(native.library(), "nudge_run", lambda *arguments: -1)
    with pytest.raises(
        NativeError, match="out of memory for 3 images of tiny: take fewer threads or a smaller batch"
    ):
        infer(1)


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread(threads):
    with pytest.raises(ModelError, match=f"threads must be at least 1, not {threads}"):
        infer(threads)


def test_no_more_threads_than_samples(monkeypatch):
    worked, true = [], native.library().nudge_run

    def recorded(*arguments):
        worked.append(true(*arguments))
        return worked[-1]

    monkeypatch.setattr(native.library(), "nudge_run", recorded)
    for threads in (1, 2, 1 << 40):
        infer(threads)
    assert worked == [1, 2, 3]
