"""What a process has done before, or is set to, doesn't change a fit: children after a fork, torch's default device."""

import sys

import pytest
import torch

import nudge
from golden.model import native_check
from plumbing import children

#: Trains with torch's threads, then in a child of a fork; ends with 0 if that has the same weights.
FORK = """
import os, torch, nudge
torch.set_num_threads(4)
def weights():
    net = nudge.Network.preset("tiny")
    net.fit(seed=1, samples=16, batch=8, free_steps=4, nudged_steps=4)
    return net.weights
first = weights()
if (child := os.fork()) == 0:
    same = all((x == first[name]).all() for name, x in weights().items())
    os._exit(0 if same and torch.get_num_threads() == 1 else 3)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_of_a_fork_trains_as_its_parent_did():
    """Threads that torch has started in the parent aren't in the child, which would wait for them."""
    assert children.run([sys.executable, "-c", FORK], 60).returncode == 0


@pytest.fixture
def meta():
    torch.set_default_device("meta")
    native_check.usable.cache_clear()
    yield
    torch.set_default_device(None)


def test_torchs_default_device_is_not_asked(meta):
    """A tensor of another device has no memory that compiled code could write to."""
    net = nudge.Network.preset("tiny")
    net.fit(seed=1, samples=16, batch=8, free_steps=4, nudged_steps=4)
    digit = nudge.data("embedded").test_images[0]
    net.predict(digit[None])
    net.trace(digit, label=1)
    assert {weights.device.type for weights in net.parameters.weights} == {"cpu"}
