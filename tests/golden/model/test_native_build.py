"""The library of the compiled engine is compiled once, with a note, before anything is timed."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nudge.golden.contract.presets import preset
from nudge.golden.model import native, native_check
from nudge.golden.model.batch import engine_here
from nudge.golden.model.fixed import FixedModel
from nudge.golden.training import run as training
from nudge.golden.training.data import load
from nudge.golden.training.loop import train
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.plumbing import children, progress
from nudge.plumbing import compiler as compilers
from nudge.plumbing.errors import NativeError

pytestmark = pytest.mark.skipif(not compilers.available(), reason="no C++ compiler")

NOTE = f"compiling the native engine, once: about {compilers.TYPICAL_SECONDS} s\n"

#: Seconds that compiling takes on the clock of these tests, which nothing else moves.
COMPILING = 1000.0


class Compiler:
    """Replaces `plumbing.children` in the compiler: copies the library compiled before, and counts copies."""

    def __init__(self):
        self.made = Path(native.library()._name)
        self.runs = 0

    def run(self, command, seconds, **options):
        if "-o" not in command:
            return children.run(command, seconds, **options)
        self.runs += 1
        shutil.copy(self.made, command[command.index("-o") + 1])
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """A fake compiler with an empty build cache, before the library is loaded."""
    fake = Compiler()
    monkeypatch.setattr(compilers, "children", fake)
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path / "build"))
    native.library.cache_clear()
    yield fake
    native.library.cache_clear()


def test_compiling_is_said_and_done_once(compiler, capsys):
    FixedModel(preset("tiny"))
    assert capsys.readouterr().err == NOTE
    native.library.cache_clear()
    FixedModel(preset("tiny"))
    assert capsys.readouterr().err == ""
    assert compiler.runs == 1


def test_an_engine_that_computes_wrongly_is_not_taken(compiler, monkeypatch, capsys):
    """If the compiler gets a comparison wrong, the model continues with torch alone, and prints a note."""
    source = (native.MAIN.parent / "neuron.h").read_text()
    wrong = source.replace("> threshold", ">= threshold")
    assert wrong != source
    made = Path(os.environ["NUDGE_BUILD"]).parent / "cpp"
    shutil.copytree(native.MAIN.parent, made)
    (made / "neuron.h").write_text(wrong)
    monkeypatch.setattr(native, "MAIN", made / native.MAIN.name)
    monkeypatch.setattr(compilers, "children", children)
    native_check.usable.cache_clear()
    try:
        assert engine_here("auto", torch.device("cpu"), preset("tiny")) == "folded"
        assert "computes wrongly here, please report it: taking the slower engine" in capsys.readouterr().err
        assert engine_here("auto", torch.device("cpu"), preset("tiny")) == "folded"
        assert capsys.readouterr().err == ""
    finally:
        native_check.usable.cache_clear()


def test_a_compiler_that_fails_is_no_end(compiler, monkeypatch, capsys):
    monkeypatch.setattr(compilers, "children", children)
    monkeypatch.setattr(compilers, "FLAGS", ("--no-such-flag",))
    native_check.usable.cache_clear()
    try:
        model = FixedModel(preset("tiny"))
        assert model.infer(load("embedded").train_images[:2]).shape == (2,)
        assert ": taking the slower engine\n" in capsys.readouterr().err
    finally:
        native_check.usable.cache_clear()


#: A compiler that succeeds, but writes a damaged library.
DAMAGING = r"""test "$1" = --version || echo damaged > "$(echo "$*" | sed "s/.*-o \([^ ]*\).*/\1/")" """


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", "failed on .*: exit status 0"),
        ("echo busy >&2; kill -SEGV $$", "failed on .*: ended by SIGSEGV"),
        ("", "can't be started: Exec format error"),
        (DAMAGING, "can't be kept or loaded: .*file too short"),
    ],
)
def test_a_broken_compiler_is_no_end(script, words, monkeypatch, capsys, tmp_path):
    file = tmp_path / "c++"
    file.write_text(f"#!/bin/sh\n{script}\n" if script else "\0")
    file.chmod(0o755)
    monkeypatch.setenv("CXX", str(file))
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path / "build"))
    native.library.cache_clear()
    native_check.usable.cache_clear()
    try:
        assert engine_here("auto", torch.device("cpu"), preset("tiny")) == "folded"
        assert re.search(f"{words}.*: taking the slower engine\n$", capsys.readouterr().err)
    finally:
        native.library.cache_clear()
        native_check.usable.cache_clear()


def test_without_a_compiler_a_line_says_why_it_is_slow(monkeypatch, capsys):
    monkeypatch.setenv("CXX", "/none")
    native.library.cache_clear()
    native_check.usable.cache_clear()
    try:
        for _ in range(2):
            assert engine_here("auto", torch.device("cpu"), preset("tiny")) == "folded"
        assert capsys.readouterr().err.splitlines() == [
            "no C++ compiler found: apt-get install g++, or set CXX: taking the slower engine"
        ]
    finally:
        native.library.cache_clear()
        native_check.usable.cache_clear()


def test_a_place_that_can_not_be_written_is_no_end(monkeypatch, capsys, tmp_path):
    (tmp_path / "build").write_text("")
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path / "build"))
    native.library.cache_clear()
    native_check.usable.cache_clear()
    try:
        assert engine_here("auto", torch.device("cpu"), preset("tiny")) == "folded"
        said = capsys.readouterr().err
        assert (
            f"builds can't be kept in {tmp_path / 'build'}, which NUDGE_BUILD can change: [Errno 17] File "
            f"exists" in said
        )
    finally:
        native.library.cache_clear()
        native_check.usable.cache_clear()


def test_another_engine_needs_no_library(compiler):
    FixedModel(preset("tiny"), engine="folded")
    assert compiler.runs == 0


FILES = [file.name for file in compilers.sources(native.MAIN.parent)]


@pytest.mark.parametrize("what", [*FILES, "compiler", "version", "processor", "flags"])
def test_the_library_is_of_these_inputs(what, compiler, monkeypatch, tmp_path):
    before = native.library()._name
    native.library.cache_clear()
    if what.endswith((".cpp", ".h")):
        sources = tmp_path / "cpp"
        shutil.copytree(native.MAIN.parent, sources)
        (sources / what).write_text((sources / what).read_text() + "// changed\n")
        monkeypatch.setattr(native, "MAIN", sources / native.MAIN.name)
    elif what == "compiler":
        other = tmp_path / "c++"
        other.symlink_to(compilers.compiler())
        monkeypatch.setenv("CXX", str(other))
    elif what == "version":
        true = compiler.run
        monkeypatch.setattr(
            compiler,
            "run",
            lambda c, s, **o: SimpleNamespace(stdout="another") if "--version" in c else true(c, s, **o),
        )
    elif what == "processor":
        monkeypatch.setattr(compilers, "_processor", lambda: "another")
    else:
        monkeypatch.setattr(compilers, "FLAGS", (*compilers.FLAGS, "-g"))
    assert native.library()._name != before
    assert compiler.runs == 2


def test_all_sources_are_in_one_folder():
    """All included headers of ours are in this folder, where a change is noticed; none there is unused."""
    included = set()
    sources = compilers.sources(native.MAIN.parent)
    for file in sources:
        included |= set(re.findall(r'#include "(.*)"', file.read_text()))
    assert included == {file.name for file in sources} - {"native.cpp"}


def test_what_does_not_compile_is_said_in_one_line(monkeypatch, tmp_path):
    sources = tmp_path / "cpp"
    sources.mkdir()
    (sources / "native.cpp").write_text("int wrong = ;\nint again = ;\n")
    monkeypatch.setattr(native, "MAIN", sources / "native.cpp")
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path / "build"))
    native.library.cache_clear()
    try:
        with pytest.raises(
            NativeError, match=r"failed on .*native.cpp: .*:1:.*error: .* \(all of it: (.*)\)$"
        ) as caught:
            native.library()
    finally:
        native.library.cache_clear()
    message = str(caught.value)
    assert "\n" not in message
    log = Path(message.rpartition("all of it: ")[2].rstrip(")"))
    assert "again" in log.read_text()
    assert [path.suffix for path in (tmp_path / "build").iterdir() if path.is_dir()] == []


def test_compiling_does_not_count_into_the_rate(compiler, monkeypatch, tmp_path):
    """On a clock that only compiling moves, training takes no time at all."""
    clock = SimpleNamespace(monotonic=lambda: COMPILING * compiler.runs)
    monkeypatch.setattr(training, "time", clock)
    monkeypatch.setattr(progress, "time", clock)
    spec, images = preset("tiny"), load("embedded")
    run = Run.begin(Plan.of(spec, "embedded", 20), spec, tmp_path / "run")
    rate = train(run, FixedModel(spec), images, Stop())
    assert compiler.runs == 1
    assert run.seconds == 0
    assert rate > COMPILING
