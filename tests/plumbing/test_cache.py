"""The build cache: the sources of a module, damaged builds, and the folder of builds."""

import os
import pwd
import re
from pathlib import Path

import pytest

from nudge.plumbing import cache, files
from nudge.plumbing.cache import cached, source_files, source_texts
from nudge.plumbing.errors import ToolError

#: Texts of a tree, below its folder `nudge`.
FILES = {
    "__init__.py": "import nudge.host\n",
    "hw/__init__.py": "",
    "hw/top.py": "import os\nimport amaranth.hdl\nfrom nudge.hw.lib import adder, CONSTANT\nfrom . import "
    "uart as u\n",
    "hw/uart.py": "def elaborate():\n    from nudge.golden.contract.formats import THRESHOLD\n    return "
    "THRESHOLD\n",
    "hw/unused.py": "",
    "hw/lib/__init__.py": "from .constant import CONSTANT\n",
    "hw/lib/adder.py": "from ..link.frame import FRAME\nif True:\n    import nudge.hw.lib.tree as tree\n",
    "hw/lib/constant.py": "import nudge.hw.top\n",
    "hw/lib/tree.py": "",
    "hw/link/__init__.py": "",
    "hw/link/frame.py": "",
    "golden/__init__.py": "",
    "golden/contract/formats.py": "THRESHOLD = 1\n",
    "host/__init__.py": "",
    "../amaranth/hdl.py": "import nudge.hw.unused\n",
}


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "nudge"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_sources_are_all_that_is_imported_and_nothing_else(tree):
    names = [str(file.relative_to(tree)) for file in source_files("nudge.hw.top", tree.parent)]
    others = {"__init__.py", "host/__init__.py", "hw/unused.py", "../amaranth/hdl.py"}
    assert names == sorted(set(FILES) - others)


@pytest.mark.parametrize("changed", ["hw/top.py", "hw/lib/__init__.py", "golden/contract/formats.py"])
def test_a_changed_source_changes_the_inputs(tree, changed):
    before = source_texts("nudge.hw.top", tree.parent)
    assert source_texts("nudge.hw.top", tree.parent) == before
    (tree / changed).write_text(FILES[changed] + "# changed\n")
    assert source_texts("nudge.hw.top", tree.parent) != before
    (tree / changed).write_text(FILES[changed])
    assert source_texts("nudge.hw.top", tree.parent) == before


def test_what_is_not_a_source_changes_nothing(tree):
    before = source_texts("nudge.hw.top", tree.parent)
    (tree / "hw/unused.py").write_text("# changed\n")
    assert source_texts("nudge.hw.top", tree.parent) == before


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def instead(folder):
    files.remove(folder)
    folder.write_text("")


DAMAGE = {
    "a bit": lambda folder: (folder / "made").write_text("nade"),
    "gone": lambda folder: (folder / "made").unlink(),
    "a pipe": lambda folder: pipe(folder / "made"),
    "a sparse terabyte": lambda folder: os.truncate(folder / "made", 1 << 40),
    "no manifest": lambda folder: (folder / cache.MANIFEST).unlink(),
    "a pipe of a manifest": lambda folder: pipe(folder / cache.MANIFEST),
    "a manifest of nothing": lambda folder: (folder / cache.MANIFEST).write_text("{}"),
    "no object": lambda folder: (folder / cache.MANIFEST).write_text('["made"]'),
    "nested": lambda folder: (folder / cache.MANIFEST).write_text("[" * 100_000),
    "a file in its place": lambda folder: instead(folder),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_made_again(damage, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    made = []

    def make(folder, log):
        made.append(folder)
        (folder / "made").write_text("made")

    folder = cached("x", ["a"], make)
    assert (cached("x", ["a"], make), len(made)) == (folder, 1)
    DAMAGE[damage](folder)
    monkeypatch.setattr(cache, "_whole", set())  # as in a new process
    assert (cached("x", ["a"], make), len(made)) == (folder, 2)
    assert (folder / "made").read_text() == "made"
    assert re.fullmatch(r"\S+ is damaged: it is made again\n", capsys.readouterr().err)


def test_a_place_that_cannot_be_written_is_a_tool_that_is_missing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path / "file" / "builds"))
    with pytest.raises(
        ToolError, match=rf"^builds can't be kept in {tmp_path}/file/builds, which NUDGE_BUILD can change: "
    ):
        cached("x", ["a"], lambda folder, log: None)


def test_a_user_without_a_home_is_asked_for_a_place(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROOT", tmp_path)  # as in an installed package
    monkeypatch.setenv("HOME", "/home/some")
    assert cache.build_root() == Path("/home/some/.cache/nudge")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(
        ToolError, match=r"^no home directory to keep builds in: set NUDGE_BUILD to a folder, or HOME$"
    ):
        cached("x", ["a"], lambda folder, log: None)


def test_an_empty_place_for_builds_is_not_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NUDGE_BUILD", "")
    assert cache.build_root() == cache.ROOT / "build"
    monkeypatch.setenv("NUDGE_BUILD", "here")
    assert cache.build_root() == tmp_path / "here"
