from pathlib import Path

import pytest

from nudge.golden.contract import network_file
from nudge.host.sweep import sweep_file
from nudge.host.sweep.sweep_file import Range, Search
from nudge.plumbing.errors import PlanError, SpecError


def read(tmp_path: Path, text: str) -> sweep_file.SweepFile:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return sweep_file.read(path)


def test_a_grid_has_every_combination_in_order(tmp_path):
    found = read(tmp_path, "[vary]\nlr-scale = [1, 2]\nlearning.gain = [0.5, 1.0]\nseed = [3]")
    keys = ("lr-scale", "learning.gain", "seed")
    combinations = [(1, 0.5, 3), (1, 1.0, 3), (2, 0.5, 3), (2, 1.0, 3)]
    assert list(found.grid()) == [dict(zip(keys, each, strict=True)) for each in combinations]


def test_options_and_network_keys_reach_the_run(tmp_path):
    text = (
        "[train]\npreset = 'small'\nepochs = 3\nboard = 'sim'\nengines = 'line'\n[vary]\nseed = "
        "[5]\nbatch = [8]\n"
    )
    text += "stage.1.conv = [4]\nlearning.rates.2 = [0.25]\nschedule.free = [20]"
    found = read(tmp_path, text)
    (values,) = found.grid()
    run = found.run(values)
    assert (run.options.epochs, run.options.seed, run.options.batch) == (3, 5, 8)
    assert run.board == {"board": "sim", "engines": "line", "twin": False, "recover": 0, "stream": False}
    assert run.network is not None
    (tmp_path / "network.toml").write_text(run.network)
    spec = network_file.read(tmp_path / "network.toml")
    assert [layer.channels for layer in spec.layers][:3] == [1, 4, 16]
    assert (spec.learning.rates[1], spec.schedule.free) == (0.25, 20)


def test_a_run_without_network_keys_takes_the_preset_as_it_is(tmp_path):
    found = read(tmp_path, "[vary]\nseed = [1, 2]")
    run = found.run({"seed": 2})
    assert (run.network, run.options.seed, run.board["board"]) == (None, 2, "golden")


def test_a_search_has_ranges_and_lists(tmp_path):
    text = "[train]\nheld-out = 100\n[search]\ntrials = 5\nprune = true\n[vary]\nbatch = [8, 16]\n"
    text += "lr-scale = {low = 0.1, high = 10, log = true}\nschedule.free = {low = 8, high = 32, step = 8}"
    found = read(tmp_path, text)
    assert found.search == Search(5, prune=True)
    assert found.vary["lr-scale"] == Range(0.1, 10, log=True)
    assert found.vary["schedule.free"] == Range(8, 32, step=8)
    assert found.vary["batch"] == [8, 16]


def test_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read(
        tmp_path, "[train]\nnetwork = 'mine.toml'\ndata-dir = 'sets'\n[vary]\ndata = ['a.npz', 'mnist']"
    )
    assert (found.train["network"], found.train["data-dir"]) == (
        str(tmp_path / "mine.toml"),
        str(tmp_path / "sets"),
    )
    assert found.vary["data"] == [str(tmp_path / "a.npz"), "mnist"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "is no TOML"),
        ("[train]\nepochs = 1", "must vary something"),
        ("[vary]\nseed = 1", "seed must be a list of values, not 1"),
        ("[vary]\nseed = []", r"seed must be a list of values, not \[\]"),
        ("[vary]\nseeds = [1]", "unknown option in .vary.: 'seeds'; did you mean seed"),
        ("[train]\nepoch = 1\n[vary]\nseed = [1]", "did you mean epochs"),
        ("[train]\nseed = 1\n[vary]\nseed = [1]", "seed is in .train. and in .vary."),
        ("[tarin]\n[vary]\nseed = [1]", "unknown table: 'tarin'; did you mean train"),
        ("[search]\ntrials = 3\n[vary]\nseed = [1]", "give held-out"),
        ("[train]\nheld-out = 9\n[search]\n[vary]\nseed = [1]", "needs trials"),
        ("[train]\nheld-out = 9\n[search]\ntrials = 0\n[vary]\nseed = [1]", "trials must be 1..10000, not 0"),
        (
            "[train]\nheld-out = 9\n[search]\ntrials = 'a'\n[vary]\nseed = [1]",
            "trials must be a whole number, not 'a'",
        ),
        (
            "[train]\nheld-out = 9\n[search]\ntrials = 3\n[vary]\nbeta = {low = 1, high = 0}",
            "beta must range from low to a l",
        ),
        (
            "[train]\nheld-out = 9\n[search]\ntrials = 3\n[vary]\nbeta = {low = 0, high = 1, log = true}",
            "begins above 0",
        ),
        (
            "[train]\nheld-out = 9\n[search]\ntrials = 3\n[vary]\nbeta = {low = 0, high = 1, lg = 1}",
            "the range beta: .lg",
        ),
        (
            "[vary]\nseed = [" + ", ".join(map(str, range(101))) + "]\nepochs = [" + "1, " * 100 + "]",
            "the grid has 10100 runs",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    with pytest.raises(PlanError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("learning.rates.3 = [1]", "3 must be 1..2"),
        ("learning.gain.x = [1]", "nothing below a number"),
        ("stage.x.conv = [1]", "x must be 1..2"),
    ],
)
def test_keys_that_lead_nowhere_are_named(tmp_path, key, message):
    found = read(tmp_path, f"[vary]\n{key}")
    with pytest.raises(PlanError, match=message):
        found.run(next(found.grid()))


def test_a_network_that_cannot_be_built_is_named_with_the_values(tmp_path):
    found = read(tmp_path, "[vary]\nstage.1.kernel = [99]")
    with pytest.raises(SpecError, match=r"stage.1.kernel = 99: stage 1: kernel must be a whole number 1..64"):
        found.run(next(found.grid()))
