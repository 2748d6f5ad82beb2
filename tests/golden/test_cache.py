"""The build cache: what the sources of a module are."""

import pytest

from golden.cache import source_files, source_texts

FILES = {
    "hw/__init__.py": "",
    "hw/top.py": "import os\nimport amaranth.hdl\nfrom hw.lib import adder, CONSTANT\nfrom . import uart as serial\n",
    "hw/uart.py": "def elaborate():\n    from golden.contract.formats import THRESHOLD\n    return THRESHOLD\n",
    "hw/unused.py": "",
    "hw/lib/__init__.py": "from .constant import CONSTANT\n",
    "hw/lib/adder.py": "from ..link.frame import FRAME\nif True:\n    import hw.lib.tree as tree\n",
    "hw/lib/constant.py": "import hw.top\n",
    "hw/lib/tree.py": "",
    "hw/link/__init__.py": "",
    "hw/link/frame.py": "",
    "golden/__init__.py": "",
    "golden/contract/formats.py": "THRESHOLD = 1\n",
    "amaranth/hdl.py": "import hw.unused\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_sources_are_all_that_is_imported_and_nothing_else(tree):
    names = [str(file.relative_to(tree)) for file in source_files("hw.top", tree)]
    assert names == sorted(set(FILES) - {"hw/unused.py", "amaranth/hdl.py"})


@pytest.mark.parametrize("changed", ["hw/top.py", "hw/lib/__init__.py", "golden/contract/formats.py"])
def test_a_changed_source_changes_the_inputs(tree, changed):
    before = source_texts("hw.top", tree)
    assert source_texts("hw.top", tree) == before
    (tree / changed).write_text(FILES[changed] + "# changed\n")
    assert source_texts("hw.top", tree) != before
    (tree / changed).write_text(FILES[changed])
    assert source_texts("hw.top", tree) == before


def test_what_is_not_a_source_changes_nothing(tree):
    before = source_texts("hw.top", tree)
    (tree / "hw/unused.py").write_text("# changed\n")
    assert source_texts("hw.top", tree) == before
