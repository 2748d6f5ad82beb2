"""One thread: tensors are small, and test processes share the machine. The engine is there before the first test."""

import pytest
import torch

from golden.model import native
from plumbing import compiler


@pytest.fixture(autouse=True, scope="session")
def compiled_engine():
    """Compiling is said on standard error, which the first test of a process may be looking at."""
    if compiler.available():
        native.library()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
