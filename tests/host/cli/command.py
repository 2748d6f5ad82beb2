"""Helpers that run a command line in this process."""

import json

from nudge.golden.contract.presets import preset
from nudge.host.cli import main as cli

SPEC = preset("tiny")
#: Short phases and few samples: these tests are about control, not about learning.
STEPS = ["--free-steps", str(SPEC.schedule.window), "--nudged-steps", str(SPEC.schedule.window)]
TRAIN = ["train", "--board", "golden", "--samples", "40", "--batch", "16", "--epochs", "2", *STEPS]


def run(capsys, *arguments) -> tuple[int, str, str]:
    """Run a command; return exit code, standard output and standard error."""
    capsys.readouterr()
    code = cli.main([str(a) for a in arguments])
    return code, *capsys.readouterr()


def run_json(capsys, *arguments) -> tuple[int, dict]:
    """Run a command with --json, which must print one object on one line; return exit code and object."""
    code, out, _ = run(capsys, *arguments, "--json")
    assert out.count("\n") == 1
    return code, json.loads(out)
