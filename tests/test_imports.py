"""Who may import whom: the contracts in pyproject.toml hold, and each one notices an import that breaks it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract for contract in TABLE["contracts"]}

#: Each contract, with a module and an import that it must refuse.
BROKEN = {
    "golden: from the contract up to the paper's studies": ("golden/model/ops.py", "golden.training.plan"),
    "golden imports nothing else of ours": ("golden/training/plan.py", "hw.top"),
    "the contract is plain data: the standard library alone": ("golden/contract/spec.py", "numpy"),
    "gateware knows the contract and nothing else of ours": ("hw/lib/flow.py", "golden.model.ops"),
    "gateware: from the library up to the top": ("hw/lib/flow.py", "hw.core.core"),
    "gateware: the link knows a core's interface, not its parts": ("hw/link/registers.py", "hw.core.sequencer"),
    "boards know gateware and contract": ("boards/fpga.py", "golden.model.ops"),
    "boards: facts don't need the toolchain": ("boards/catalog.py", "boards.toolchain.report"),
    "the virtual board is below the host": ("sim/board/virtual.py", "host.link.frame"),
    "host: from the link up to the command line": ("host/link/frame.py", "host.boards.open"),
    "with a board at hand, the host needs neither Amaranth nor a toolchain": ("host/link/frame.py", "amaranth"),
    "the model has no command line of its own": ("golden/model/ops.py", "typer"),
    "nothing imports the command line": ("host/harness/faults.py", "host.cli.main"),
    "nudge is a page over golden and host": ("nudge/network.py", "hw.top"),
    "nothing of ours imports the public page": ("host/link/frame.py", "nudge"),
    "nothing that ships imports tests": ("host/link/frame.py", "tests.conftest"),
    "no files or folders import each other in a circle": ("golden/model/native.py", "golden.model.batch"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of all rooms, to break things in."""
    folder = tmp_path_factory.mktemp("tree")
    for room in TABLE["root_packages"]:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


def test_every_contract_has_an_import_that_breaks_it():
    assert set(BROKEN) == set(CONTRACTS)


def test_the_contracts_hold(tree):
    result = lint(tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", BROKEN)
def test_a_contract_notices(tree, name):
    file, imported = BROKEN[name]
    module = tree / file
    before = module.read_text()
    try:
        module.write_text(f"{before}\n\ndef late():\n    import {imported}\n    return {imported}\n")
        result = lint(tree)
    finally:
        module.write_text(before)
    assert result.returncode == 1, result.stdout
    assert f"{name} BROKEN" in " ".join(result.stdout.split())


def test_an_exception_that_is_taken_away_is_missed(tree):
    config = tree / "pyproject.toml"
    before = config.read_text()
    line = '    "host.boards.open -> sim.board.virtual", # --board sim\n'
    assert line in before
    try:
        config.write_text(before.replace(line, ""))
        result = lint(tree)
    finally:
        config.write_text(before)
    assert result.returncode == 1, result.stdout


def test_interfaces_of_the_gateware_import_no_implementation():
    """No kind of contract says this: beside its own folder's other modules, an interface may import what is below."""
    graph = grimp.build_graph("hw", cache_dir=None)
    interfaces = sorted(module for module in graph.modules if module.endswith(".interface"))
    assert {"hw.core.interface", "hw.link.interface", "hw.synapse.interface", "hw.update.interface"} <= set(interfaces)
    for interface in interfaces:
        others = graph.find_modules_directly_imported_by(interface)
        wrong = {name for name in others if not name.startswith("hw.lib.") and not name.endswith(".interface")}
        assert not wrong, f"{interface} imports {wrong}"
