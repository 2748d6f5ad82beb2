"""The import contracts in pyproject.toml hold, and each one notices an import that breaks it."""

import re
import tomllib
from copy import deepcopy
from pathlib import Path

import pytest
from importlinter.application.app_config import settings
from importlinter.application.use_cases import lint_imports
from importlinter.configuration import configure

ROOT = Path(__file__).parents[1]
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract for contract in TABLE["contracts"]}

#: For each contract, an importing and an imported module that it must refuse.
BROKEN = {
    "plumbing knows nothing of networks": ("nudge.plumbing.files", "nudge.golden.contract.shapes"),
    "golden: from the contract up to training": ("nudge.golden.model.ops", "nudge.golden.training.plan"),
    "golden imports nothing else of ours": ("nudge.golden.training.plan", "nudge.hw.top"),
    "paper: from its systems up to its studies": ("nudge.paper.systems.network", "nudge.paper.floating"),
    "paper knows golden and nothing else of ours": ("nudge.paper.floating", "nudge.host.link.frame"),
    "the contract is plain data: the standard library alone": ("nudge.golden.contract.spec", "numpy"),
    "gateware knows the contract and nothing else of ours": ("nudge.hw.lib.flow", "nudge.golden.model.ops"),
    "gateware: from the library up to the top": ("nudge.hw.lib.flow", "nudge.hw.core.core"),
    "gateware: the link knows a core's interface, not its parts": (
        "nudge.hw.link.registers",
        "nudge.hw.core.sequencer",
    ),
    "boards know gateware and contract": ("nudge.boards.virtual.board", "nudge.host.link.frame"),
    "boards: facts don't need the toolchain": ("nudge.boards.catalog", "nudge.boards.toolchain.report"),
    "host: from the link up to the command line": ("nudge.host.link.frame", "nudge.host.devices.open"),
    "with a board at hand, the host needs neither Amaranth nor a toolchain": (
        "nudge.host.link.frame",
        "amaranth",
    ),
    "the model has no command line of its own": ("nudge.golden.model.ops", "typer"),
    "nothing imports the command line": ("nudge.host.training.fit", "nudge.host.cli.main"),
    "nudge is a page over golden and host": ("nudge.network", "nudge.hw.top"),
    "nothing of ours imports the public page": ("nudge.host.link.frame", "nudge"),
    "internals are imported by their whole names": ("nudge.host.link.frame", "golden"),
    "nothing that ships imports tests, benches or rigs": (
        "nudge.host.link.frame",
        "sim.rigs.modelled.faults",
    ),
    "no files or folders import each other in a circle": (
        "nudge.golden.model.native",
        "nudge.golden.model.batch",
    ),
}


@pytest.fixture(scope="module")
def graph():
    """The import graph, built once as `lint-imports` builds it."""
    configure()
    return settings.GRAPH_BUILDER.build(
        root_package_names=TABLE["root_packages"],
        include_external_packages=TABLE["include_external_packages"],
        exclude_type_checking_imports=TABLE.get("exclude_type_checking_imports", False),
        cache_dir=None,
    )


@pytest.fixture
def lint(graph, monkeypatch, capsys):
    """A function that checks all contracts on that graph plus an import, and returns the linter's output."""

    def check(importer="", imported="", config=ROOT / "pyproject.toml"):
        changed = deepcopy(graph)
        if importer:
            changed.add_import(importer=importer, imported=imported)
        monkeypatch.setattr(settings.GRAPH_BUILDER, "build", lambda *_, **__: changed)
        holds = lint_imports(str(config), cache_dir=None)
        text = " ".join(capsys.readouterr().out.split())
        assert holds == ("BROKEN" not in text)
        return text

    return check


def test_every_contract_has_an_import_that_breaks_it():
    assert set(BROKEN) == set(CONTRACTS)


def test_the_contracts_hold(lint):
    assert all(f"{name} KEPT" in lint() for name in CONTRACTS)


@pytest.mark.parametrize("name", BROKEN)
def test_a_contract_notices(lint, name):
    assert f"{name} BROKEN" in lint(*BROKEN[name])


def test_an_exception_that_is_taken_away_is_missed(lint, tmp_path):
    text = (ROOT / "pyproject.toml").read_text()
    line = '    "nudge.host.devices.open -> nudge.boards.virtual.board", # --board sim\n'
    assert line in text
    (tmp_path / "pyproject.toml").write_text(text.replace(line, ""))
    name = "with a board at hand, the host needs neither Amaranth nor a toolchain"
    assert f"{name} BROKEN" in lint(config=tmp_path / "pyproject.toml")


def test_interfaces_of_the_gateware_import_no_implementation(graph):
    """No type of contract can express this: of hw, an interface imports only interfaces and `hw.lib`."""
    interfaces = sorted(name for name in graph.modules if re.fullmatch(r"nudge\.hw\..*\.interface", name))
    assert {f"nudge.hw.{part}.interface" for part in ("core", "link", "synapse", "update")} <= set(interfaces)
    for interface in interfaces:
        others = graph.find_modules_directly_imported_by(interface)
        ours = {name for name in others if re.match(r"nudge\.hw\.(?!lib\.)", name)}
        wrong = {name for name in ours if not name.endswith(".interface")}
        assert not wrong, f"{interface} imports {wrong}"
