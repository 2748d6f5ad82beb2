"""A fit doesn't depend on the process's state: not on an earlier fork, nor on torch's default device."""

import sys

import pytest
import torch

import nudge
from nudge.golden.model import native_check
from nudge.plumbing import children

#: Trains with torch's threads, then in a forked child; exits with 0 if that has one thread and equal weights.
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
    """A child lacks the threads that torch started in its parent, and must not wait for them."""
    assert children.run([sys.executable, "-c", FORK], 60).returncode == 0


@pytest.fixture
def meta():
    torch.set_default_device("meta")
    native_check.usable.cache_clear()
    yield
    torch.set_default_device(None)


def test_torchs_default_device_is_not_asked(meta):
    """Tensors on the device `meta` have no memory that compiled code could write to."""
    net = nudge.Network.preset("tiny")
    net.fit(seed=1, samples=16, batch=8, free_steps=4, nudged_steps=4)
    digit = nudge.data("embedded").test_images[0]
    net.predict(digit[None])
    net.trace(digit, label=1)
    assert {weights.device.type for weights in net.parameters.weights} == {"cpu"}
