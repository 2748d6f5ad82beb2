"""A finished run, for the tests of commands that need one."""

from pathlib import Path

import pytest

from nudge.host.cli import main as cli
from nudge.plumbing.errors import ExitCode

from .command import TRAIN


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert cli.main([*TRAIN, "--seed", "3", "--out", str(out)]) == ExitCode.OK
    return out
