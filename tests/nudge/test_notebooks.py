"""The notebooks of docs/ run from the first cell to the last; each of their claims is an assertion."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))

#: Time limit of a cell in seconds, on a machine that does other things too.
SECONDS = 600


def drawings(notebook) -> int:
    """Return the number of pictures that must appear: by pyplot, or as the value of a cell."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return sum("plt.show()" in source for source in code) + sum(source.endswith(".plot()") for source in code)


def test_all_are_here():
    names = ["beside-bptt", "equilibrium-propagation", "from-scikit-learn", "own-network"]
    assert [path.stem for path in NOTEBOOKS] == names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_claims_something(path):
    """Without outputs, changes of a notebook are readable."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert drawings(notebook) >= 4
    claims = [
        line for cell in code for line in cell.source.splitlines() if line.strip().startswith("assert ")
    ]
    assert len(claims) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    # the kernel, another process, must find this checkout, and `nudge` beside this Python
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) == drawings(notebook)
    complaints = [
        output.text for output in shown if output.output_type == "stream" and "Warning" in output.text
    ]
    assert not complaints
