"""Sweep files of any content are refused in one line, or their runs can be trained: nothing else happens."""

import contextlib
import json
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.host.sweep import sweep_file
from nudge.host.sweep.search import Tree
from nudge.host.sweep.sweep import Display, Sweep, sweep
from nudge.host.sweep.table import State
from nudge.plumbing.errors import NudgeError, PlanError
from tests.fuzz import ends, examples

#: Options of a training, and keys of a search and of a network, each with a value, in TOML.
OPTIONS = {
    "preset": "'tiny'",
    "data": "'embedded'",
    "samples": "100",
    "epochs": "2",
    "batch": "8",
    "seed": "7",
    "lr-scale": "0.5",
    "beta": "0.5",
    "decay": "0.5",
    "shift": "1",
    "flip": "true",
    "free-steps": "8",
    "board": "'golden'",
    "engines": "'line'",
    "recover": "1",
}
SEARCH = {"seed": "1", "prune": "true", "storage": "'sqlite:///search.db'"}
KEYS = {
    "learning.gain": "0.5",
    "learning.batch": "8",
    "schedule.free": "12",
    "schedule.order": "'all'",
    "stage.1.conv": "4",
    "stage.1": "{conv = 4}",
    "learning.rates.2": "0.1",
    "lanes.event.lanes.1": "1",
    "input.height": "28",
    "formats.weight_bits": "8",
}
#: Keys that lead nowhere.
NOWHERE = {
    "name.x": "1",
    f"{'a.' * 300}a": "1",
    "network": "'none.toml'",
    **{f"stage.'{n}'.conv": "4" for n in ("²", "٣", "0", "01", "-1", "", "9" * 5000)},
    r'"a\nb\u001b"': "1",
    r'"seed.\u0000"': "1",
}
ODD = [
    *["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "nan", "inf", "-inf", "1e308", "-1e308", "1e999"],
    *["5e-324", "0.1", "0", "-1", "true", "{}", "[]", "9" * 400, "9" * 5000],
    *[str(sign * ((1 << bits) + more)) for bits in (32, 53, 63) for sign in (-1, 1) for more in (-1, 0)],
    *[
        "''",
        "'/'",
        f"'{'x' * 5000}.npz'",
        r'"a\nb"',
        r'"\u0000"',
        "'redis://x'",
        "'x://y'",
        "'mysql://a:b:c@d:e/f'",
    ],
    *["'postgresql://h/x'", "'sqlite://'", "'sqlite:///'", "'sqlite:////none/x.db'", r'"sqlite:///\u0000"'],
]

text = st.text(st.characters(codec="utf-8"), max_size=8).map(lambda of: json.dumps(of, ensure_ascii=False))
number = st.integers().map(str) | st.floats().map(repr) | st.integers(1, 9).map(str)


def listed(of: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[str]:
    return st.lists(of, min_size=least, max_size=3).map(lambda each: f"[{', '.join(each)}]")


def pairs(of: dict[str, str]) -> list[str]:
    return [f"{key} = {value}" for key, value in of.items()]


value = st.recursive(
    st.sampled_from(ODD) | number | text,
    lambda of: listed(of) | st.dictionaries(text, of, max_size=3).map(lambda x: f"{{{', '.join(pairs(x))}}}"),
    max_leaves=5,
)
end, step = (
    st.sampled_from(["1", "2.5", "8"]) | number,
    st.sampled_from(["1", "0.5", "true"]) | number | value,
)
span = st.fixed_dictionaries(
    {"low": end, "high": end | value}, optional={"log": st.just("true") | value, "step": step}
).map(lambda of: f"{{{', '.join(pairs(of))}}}")


@st.composite
def tables(draw, known: dict[str, str], other: st.SearchStrategy[str], least: int = 0) -> list[str]:
    """Draw the lines of a table: few values are odd, and few keys lead nowhere."""
    rare = st.sampled_from([False] * 11 + [True])
    found: dict[str, str] = {}
    for _ in range(draw(st.integers(least, 3))):
        key = draw(st.sampled_from(list(NOWHERE)) | text if draw(rare) else st.sampled_from(list(known)))
        found[key] = draw(other) if draw(rare) else (known | NOWHERE).get(key, "1")
    return pairs(found)


@st.composite
def documents(draw) -> str:
    """Draw the text of a sweep's file."""
    search = draw(st.sampled_from([False, False, False, True]))  # searches are slow
    lists = {key: f"[{good}, {good}]" for key, good in (OPTIONS | KEYS).items()}
    spans = {key: draw(span) for key in ("lr-scale", "learning.gain", "seed") if search}
    lines = ["[vary]", *draw(tables(lists | spans, listed(value, 1) | span | value, 1))]
    if search:
        lines += ["[search]", "trials = 3", *draw(tables(SEARCH, value))]
    return "\n".join(["[train]", "held-out = 50", *draw(tables(OPTIONS, value)), *lines])


def prepare(path: Path, out: Path) -> None:
    """Do what a sweep does before it trains: of a grid all, of a search the first three trials."""
    wanted = Sweep(sweep_file.read(path), out)

    def train(found: dict[str, Any]) -> None:
        wanted._task(wanted.file.run(found))

    if wanted.file.search is None:
        for found in islice(wanted.file.grid(), 3):
            train(found)
        return
    tree = Tree(wanted.file, path.parent)
    for number, _, found in islice(tree.trials(), 3):
        ends(partial(train, found), NudgeError)
        tree.ended(number, State.DONE, 50.0)


@examples(25)
@given(documents())
def test_a_sweep_is_refused_in_one_line_or_can_be_trained(document):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        path = Path(folder) / "sweep.toml"
        path.write_text(document)
        ends(lambda: prepare(path, Path(folder) / "out"), NudgeError)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[vary]\nseed = [1979-05-27]", "seed can't have datetime.date.1979, 5, 27.: values are"),
        ("[vary]\nlr-scale = [1, inf]", "lr-scale can't have inf"),
        (f"[vary]\nseed = [{1 << 63}]", f"seed can't have {1 << 63}"),
        ('[vary]\n"a\\nb" = [1]', r"vary can't have 'a\\nb'"),
        (
            "[search]\ntrials = 1\nseed = 4294967296\n[vary]\nseed = [1]",
            "seed in .search. must be 0..4294967295",
        ),
        *(
            (f"[search]\ntrials = 1\n[vary]\nbeta = {{low = 0, high = 1, {key}}}", message)
            for key, message in [
                ("step = 0", "a step divides high - low"),
                ("step = 0.3", "a step divides high - low"),
                ("step = 1e-300", "a step divides high - low"),
                ("log = 1", "log of beta must be True or False, not 1"),
            ]
        ),
        (
            f"[search]\ntrials = 1\n[vary]\nseed = {{low = 0, high = {1 << 60}}}",
            "to a larger high, both within 2.53",
        ),
        (
            "[search]\ntrials = 1\nstorage = 'sqlite://'\n[vary]\nseed = [1]",
            "storage sqlite:// can't serve workers: 'Record does not exist",
        ),
        ("[vary]\nstage.'²'.conv = [4]", "stage.².conv: ² must be 1..2"),
    ],
)
def test_what_no_run_can_have_is_named(tmp_path, line, message):
    path = tmp_path / "sweep.toml"
    path.write_text(f"[train]\nheld-out = 50\n{line}")
    with pytest.raises(PlanError, match=message):
        prepare(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_paths_that_no_disk_has_are_named(tmp_path, cluster):
    file, long = tmp_path / "sweep.toml", tmp_path / ("x" * 5000)
    with pytest.raises(PlanError, match="File name too long"):
        sweep(long)
    file.write_text("[vary]\nseed = [1]")
    for out, why in ((long, "File name too long"), (Path("a\0b"), "must be a path")):
        with pytest.raises(PlanError, match=f"--out .*{why}"):
            Sweep(sweep_file.read(file), out).carry_out(cluster, Display())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[search]\ntrials = 1\nstorage = 'x://y'\n[vary]\nseed = [1]", "storage x://y can't serve workers"),
        ("[vary]\nseed = [1, 1]", "1 of 2 combinations are the same run"),
        ("[vary]\ndata = ['./none.npz']", "none.npz: No such file"),
    ],
)
def test_a_sweep_that_can_t_begin_leaves_no_folder(tmp_path, cluster, text, message):
    file = tmp_path / "sweep.toml"
    file.write_text(f"[train]\nheld-out = 50\n{text}")
    with pytest.raises(NudgeError, match=message):
        Sweep(sweep_file.read(file), tmp_path / "out").carry_out(cluster, Display())
    assert not (tmp_path / "out").exists()
