"""The documentation site builds without a warning, and its snippets run (notebooks: tests/nudge/)."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import nudge
from nudge.boards.catalog import BOARDS, board_of_file
from nudge.boards.toolchain.netlist import commands as commands_of
from nudge.boards.toolchain.netlist import plan
from nudge.golden.contract.protocol import BuildFacts
from nudge.host.cli import main as cli
from nudge.plumbing.errors import ExitCode

ROOT = Path(__file__).parents[1]
SECONDS = 600


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The HTML site, built without executing its notebooks; warnings are errors."""
    out = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-D",
        "nb_execution_mode=off",
        "-b",
        "html",
    ]
    done = subprocess.run(
        [*command, ROOT / "docs", out], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return out


def text_of(page: Path) -> str:
    return html.unescape(re.sub("<[^>]+>", "", page.read_text()))


def cells(page: Path) -> list[list[str]]:
    """Return the cells of each table row, without rows of headings."""
    rows = re.findall("<tr class.*?</tr>", page.read_text(), re.S)
    found = [re.findall("<td[^>]*>(.*?)</td>", row, re.S) for row in rows]
    return [[html.unescape(re.sub("<[^>]+>", "", each)).strip() for each in row] for row in found if row]


def test_pages_are_made_of_the_code(site):
    for name in ("words", "commands", "first-board", "waves", "extending", "notebooks/own-network"):
        assert (site / f"{name}.html").exists()
    widths = cells(site / "generated/widths.html")
    assert len(widths) > 60
    assert not [row[0] for row in widths if not row[-1]], "no proof"
    for name in (
        "Spec.bias_step_bound",
        "Spec.drive_bound",
        "hw.core.centred_commit",
        "hw.update.correlator",
    ):
        assert name in text_of(site / "generated/widths.html")
    assert "checksum mismatch" in text_of(site / "messages.html")
    assert "Train from initial weights" in text_of(site / "api.html")


def test_the_home_page_is_readme_and_manual_and_repeats_neither(site):
    home = text_of(site / "index.html")
    wanted = [
        "by equilibrium propagation",
        "make setup",
        "make demo",
        "nudge view runs/demo --save report.html",
    ]
    wanted += ["You study learning.", "You design FPGAs.", "You have a board."]
    assert [home.find(each) for each in wanted] == sorted(home.find(each) for each in wanted)
    assert min(home.find(each) for each in wanted) > 0
    own = re.sub("```.*?```", "", (ROOT / "docs/index.md").read_text(), flags=re.S)
    assert [line for line in own.splitlines() if line] == ["# nudge", "## Read on"], "a text of its own"
    targets = re.findall(r'href="([^"#:?]+)["#?]|src="([^":?]+)["?]', (site / "index.html").read_text())
    missing = {place for pair in targets for place in pair if place and not (site / place).exists()}
    assert not missing


def test_the_sidebar_has_groups_and_the_diary_is_not_searched(site):
    home = (site / "index.html").read_text()
    captions = re.findall(r'<p class="caption"[^>]*><span class="caption-text">([^<]+)', home)
    assert captions == ["Learning", "Your own networks", "Gateware", "Boards", "Project"]
    assert 'href="log/README.html"' in home
    assert "log/2" not in home
    notes = {f"log/{note.stem}" for note in (ROOT / "docs/log").glob("2*.md")}
    linked = set(re.findall(r'href="(2[^"#]+).html"', (site / "log/README.html").read_text()))
    assert {f"log/{name}" for name in linked} == notes
    index = json.loads(
        (site / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")")
    )
    numbers = {number for number, name in enumerate(index["docnames"]) if name in notes}
    assert len(numbers) == len(notes) > 40
    for kind in ("terms", "titleterms"):
        found = {
            number
            for where in index[kind].values()
            for number in (where if isinstance(where, list) else [where])
        }
        assert not found & numbers, f"{kind} of the diary are found"
        assert len(found) > 20


def test_code_has_a_copy_button(site):
    assert "_static/copybutton.js" in (site / "index.html").read_text()
    assert (site / "_static/copybutton.js").stat().st_size


def test_options_keep_their_hyphens(site):
    for name, top, command in commands(typer.main.get_command(cli.app)):
        named = re.findall("--[a-z-]+", command.help)
        assert set(named) <= set(re.findall("--[a-z-]+", text_of(site / f"generated/{top}.html"))), name
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 70
    dashed = {page.name: re.findall("[–—][a-z]+", text_of(page)) for page in pages}
    assert not {name: found for name, found in dashed.items() if found}


def commands(command, name="nudge", top=None):
    """Yield each command without subcommands: its full name, its page, and itself."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, top, command
        return
    for word, each in inner.items():
        yield from commands(each, f"{name} {word}", top or word)


def test_each_command_and_option_is_on_its_page(site):
    every = list(commands(typer.main.get_command(cli.app)))
    assert len(every) > 15
    for name, top, command in every:
        page = text_of(site / f"generated/{top}.html")
        heading = re.search(rf"^{name}¶?$|{name}#?\n", page, re.M)
        assert heading, name
        part = page[heading.end() :].partition(f"$ {name} ")[2].partition("\n$ nudge ")[0]
        for parameter in command.params:
            record = parameter.get_help_record(typer.Context(command))
            for shown in (
                ()
                if record is None
                else (record[0], *(each for each in parameter.opts if each.startswith("-")))
            ):
                assert shown in part, f"{name}: {shown}"


def test_the_list_of_commands_is_whole_and_exit_codes_are_a_table(site):
    rows = cells(site / "generated/cli.html")
    top = typer.main.get_group(cli.app).commands
    assert [row[0] for row in rows if len(row) == 2] == [f"nudge {name}" for name in top]
    assert not [row for row in rows if row[-1].endswith("...") or not row[-1]], "cut off"
    codes = [row for row in rows if len(row) == 3]
    assert codes == [[str(code.value), code.name, code.what.replace("`", "")] for code in ExitCode]


def test_a_notebook_has_one_thread():
    """docs/conf.py sets one thread: with more, two kernels beside other processes took ten times as long."""
    code = "import os, runpy; runpy.run_path('docs/conf.py'); print(os.environ['OMP_NUM_THREADS'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.stdout == "1\n", done.stderr


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch.onnx.export copies graphs of torch
def test_the_snippets_about_python_run(tmp_path, monkeypatch):
    """The snippets run one after the other in one namespace, with 40 digits for "images of your own"."""
    monkeypatch.chdir(tmp_path)
    digits = nudge.data("embedded")
    names = dict(
        zip(
            ("train_images", "train_labels", "test_images", "test_labels"),
            (each[:40] for each in digits),
            strict=True,
        )
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
    board = ["bare", "--target-file", str(tmp_path / "bare.py")]
    assert cli.main(["estimate", *board, "--preset", "tiny", "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["part"], found["fits"], found["clock_hz"]) == ("LFE5U-85F", True, 24_000_000)


def test_the_first_board_page_is_of_the_boards_there_are(tmp_path):
    """Its udev rules and parts fit the boards; its file for the smallest ULX3S is built with `--12k`."""
    text = (ROOT / "docs/first-board.md").read_text()
    rules = re.findall(r'ATTRS{idVendor}=="(\w+)", ATTRS{idProduct}=="(\w+)", GROUP="dialout"', text)
    assert {":".join(ids) for ids in rules} == {fpga.usb for fpga in BOARDS.values()}
    rows = re.findall(r"^\| (LFE5U-\w+) \| `(0x\w+)` \| (.+) \| (.+) \|$", text, re.M)
    assert len(rows) == 4
    (block,) = blocks("first-board.md")
    (tmp_path / "my12f.py").write_text(block)
    smallest = board_of_file(tmp_path / "my12f.py", "ulx3s-12f")
    for part, _, name, presets in rows:
        fpga = BOARDS[name.strip("`")] if name.startswith("`") else smallest
        assert fpga.platform().device == part
        assert presets == ", ".join(f"`{preset}`" for preset in fpga.designs)
    assert "--12k" in commands_of(plan(smallest, "tiny", BuildFacts()))[1]


def test_every_board_has_a_row_in_the_manual():
    table = (ROOT / "docs/boards.md").read_text().partition("| board | part |")[2].partition("\n\n")[0]
    named = set(
        re.findall(r"`([a-z0-9-]+)`", "\n".join(line.split("|")[1] for line in table.splitlines()[1:]))
    )
    assert named == set(BOARDS)


def test_the_errors_of_the_guide_are_those_of_the_code():
    """The code contains each message of the guide's table, in pieces between names and numbers."""
    code = "\n".join(
        path.read_text() for room in ("host", "golden", "plumbing") for path in (ROOT / room).rglob("*.py")
    )
    text = (ROOT / "docs/first-board.md").read_text()
    messages = re.findall(r"^\| `([^`]+)`", text[text.index("| message |") :], re.M)
    assert len(messages) >= 8
    for message in messages:
        pieces = re.split(r"\.\.\.|: |, |(?<=preset) small|build|openFPGALoader|openfpgaloader|tiny", message)
        assert not [piece for piece in map(str.strip, pieces) if piece not in code], message
