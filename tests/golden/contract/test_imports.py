"""The contract imports only the standard library, itself, and modules of plumbing that need no package."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nudge.golden import contract

FOLDER = Path(contract.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")

OTHERS = {"nudge", "nudge.plumbing", *(f"nudge.plumbing.{name}" for name in ("described", "errors", "files"))}

#: Prints all modules that an import loads; run with -S, so that it finds no installed package.
SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import nudge.golden.contract.{}
print(json.dumps(list(sys.modules)))
"""


@pytest.mark.parametrize("module", MODULES)
def test_only_the_standard_library_and_the_contract(module):
    command = [sys.executable, "-I", "-S", "-c", SCRIPT.format(module), str(FOLDER.parents[2])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert f"nudge.golden.contract.{module}" in loaded
    others = {name for name in loaded if name.partition(".")[0] not in {*sys.stdlib_module_names, "__main__"}}
    contracts = {f"nudge.golden.contract.{name}" for name in MODULES}
    assert others <= {"nudge.golden", "nudge.golden.contract", *contracts, *OTHERS}
