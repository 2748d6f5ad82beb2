"""The board that a value of --board opens, and the values that are refused before anything is built."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from nudge.boards.virtual import VIRTUAL_SDRAM
from nudge.boards.virtual import board as simulation
from nudge.golden.contract.config import ENGINES, configuration
from nudge.golden.contract.network_file import network
from nudge.golden.contract.presets import PRESETS, preset
from nudge.host.cli import main as cli
from nudge.host.devices import open as opening
from nudge.host.devices.open import open_board, open_unknown, virtual_board
from nudge.host.link.link import Link
from nudge.plumbing.errors import ConfigError, ExitCode, UsageError
from sim.rigs.modelled.modelled import Modelled


@pytest.fixture
def built(monkeypatch):
    """(preset, port) of each virtual board that is started; none is compiled."""
    started: list[tuple[str, int]] = []

    @contextmanager
    def start(config, *, port, **options):
        started.append((config.spec.name, port))
        yield SimpleNamespace(url="model", config=config)

    monkeypatch.setattr(simulation, "VirtualBoard", start)
    return started


@pytest.fixture
def modelled(monkeypatch, built):
    """Every link leads to the golden model of `tiny` behind the protocol."""
    board = Modelled(configuration(preset("tiny")))
    monkeypatch.setattr(Link, "open", lambda url, **options: board.connect(url))
    return built


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_ports_that_are_none_are_refused(capsys, built, port):
    with pytest.raises(UsageError, match=rf"^--port must be 0\.\.65535, not {port}$"):
        with virtual_board(preset("tiny"), port=port):
            pass
    assert cli.main(["board", "serve", f"--port={port}"]) == ExitCode.USAGE
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith(f"--port must be 0..65535, not {port}")
    assert not built
    with virtual_board(preset("tiny"), port=65535):
        assert built == [("tiny", 65535)]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("engines", ENGINES)
def test_networks_for_the_model_alone_are_not_built(built, name, engines):
    if name in ("tiny", "small", "medium", "garments", "cifar", "cifar-wide"):
        with virtual_board(preset(name), engines):
            assert built == [(name, 0)]
        return
    sizes = r"its \d+ weights and biases take \d+\.\d Mbit, and the largest part here has 3\.8 Mbit"
    message = rf"^{name}: {sizes}: this network is for the model, --board golden$"
    with pytest.raises(ConfigError, match=message):
        with open_board("sim", preset(name), engines):
            pass
    assert not built
    assert ConfigError.exit_code is ExitCode.USAGE
    with open_board("golden", preset(name)) as board:
        assert board.spec is preset(name)


@pytest.mark.parametrize("engines", ENGINES)
def test_lanes_are_chosen_where_a_network_has_none(monkeypatch, capsys, engines):
    configs = []

    @contextmanager
    def start(config, *, port):
        configs.append(config)
        yield SimpleNamespace(url="model", config=config)

    monkeypatch.setattr(simulation, "VirtualBoard", start)
    stages = [{"conv": 4}, {"conv": 4}, {"dense": 10}]
    own = {"lanes": {engines: {"lanes": [1, 2, 1, 5]}}, "schedule": {"free": 4, "nudged": 4}}
    plain, wide = (network({"name": "any", "stage": stages} | more, "test") for more in ({}, own))
    for spec in (plain, plain, wide):
        with virtual_board(spec, engines):
            pass
    chosen, again, given = configs
    assert chosen == again
    assert chosen.lanes != (1, 1, 1, 1)
    assert given == configuration(wide, engines)
    assert [bool(config.events) for config in configs] == [engines == "event"] * 3
    assert capsys.readouterr().err.count("any on sim: chosen lanes") == 2


def test_a_virtual_board_has_memory_where_it_is_asked_for(monkeypatch):
    boards = []

    @contextmanager
    def start(config, *, port, board=None):
        boards.append(board)
        yield SimpleNamespace(url="model", config=config)

    monkeypatch.setattr(simulation, "VirtualBoard", start)
    for memory in (False, True):
        with virtual_board(preset("tiny"), memory=memory):
            pass
    assert boards[0] is None
    assert boards[1] is VIRTUAL_SDRAM


def test_asking_sim_starts_a_virtual_board(modelled):
    with open_unknown("sim") as board:
        assert (board.identity.preset, board.name) == (opening.UNKNOWN_PRESET, "model")
    assert modelled == [(opening.UNKNOWN_PRESET, 0)]


def test_asking_the_model_is_refused(capsys, modelled):
    with pytest.raises(UsageError, match=r"^--board golden: the model has no port to ask"):
        with open_unknown("golden"):
            pass
    for command in ("info", "status"):
        assert cli.main(["board", command, "--board", "golden"]) == ExitCode.USAGE
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not modelled


def test_asking_a_port_starts_nothing(modelled):
    with open_unknown("/dev/ttyUSB0") as board:
        assert board.name == "/dev/ttyUSB0"
    assert not modelled
