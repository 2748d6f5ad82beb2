"""The documentation site is built without a warning, and its snippets run. Its notebooks: tests/nudge/test_notebooks.py."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nudge
from golden.contract.errors import ExitCode
from host.cli import main as cli

ROOT = Path(__file__).parents[1]
SECONDS = 600


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-D", "nb_execution_mode=off", "-b", "html"]
    done = subprocess.run([*command, ROOT / "docs", tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    found = ((page.relative_to(tmp_path).as_posix(), page.read_text()) for page in tmp_path.rglob("*.html"))
    pages = {name: re.sub("<[^>]+>", "", text) for name, text in found}
    for name in ("index", "words", "first-board", "waves", "extending", "api", "notebooks/own-network"):
        assert f"{name}.html" in pages
    for command_name in ("train", "view", "estimate"):
        assert f"nudge {command_name}" in pages["generated/cli.html"]
    rows = re.findall("<tr class.*?</tr>", (tmp_path / "generated/widths.html").read_text(), re.S)
    cells = [re.findall("<td>(.*?)</td>", row, re.S) for row in rows]
    assert len(cells) > 60
    assert not [row[0] for row in cells if row and not row[-1].strip()], "no proof"
    for name in ("Spec.bias_step_bound", "Spec.drive_bound", "hw.core.centred_memory", "hw.update.correlator"):
        assert name in pages["generated/widths.html"]
    assert "checksum mismatch" in pages["messages.html"]
    assert "Train from initial weights" in pages["api.html"]


def test_the_snippets_about_python_run(tmp_path, monkeypatch):
    """One after the other, as a reader would, with a few digits for "images of your own"."""
    monkeypatch.chdir(tmp_path)
    digits = nudge.data("embedded")
    names = dict(
        zip(("train_images", "train_labels", "test_images", "test_labels"), (each[:40] for each in digits), strict=True)
    )
    found = blocks("python.md")
    assert len(found) >= 4
    for block in found:
        exec(compile(block, "docs/python.md", "exec"), names)
    for picture in ("curve.png", "raster.png"):
        assert Path(picture).read_bytes().startswith(b"\x89PNG")
    assert "One image, sweep by sweep" in Path("report.html").read_text()


def test_the_board_of_the_guide_is_a_board(tmp_path, capsys):
    (block,) = blocks("extending.md")
    (tmp_path / "bare.py").write_text(block)
    board = ["--board", "bare", "--board-file", str(tmp_path / "bare.py")]
    assert cli.main(["estimate", *board, "--preset", "tiny", "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["part"], found["fits"], found["clock_hz"]) == ("LFE5U-85F", True, 24_000_000)


def test_the_errors_of_the_guide_are_those_of_the_code():
    """What its table explains is said somewhere, piece by piece: names and numbers stand between."""
    code = "\n".join(path.read_text() for room in ("host", "golden") for path in (ROOT / room).rglob("*.py"))
    text = (ROOT / "docs/first-board.md").read_text()
    messages = re.findall(r"^\| `([^`]+)`", text[text.index("| what it says |") :], re.M)
    assert len(messages) >= 8
    for message in messages:
        pieces = re.split(r"\.\.\.|: |, |(?<=preset) small|build|openFPGALoader|openfpgaloader|tiny", message)
        assert not [piece for piece in map(str.strip, pieces) if piece not in code], message
