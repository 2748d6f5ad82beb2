"""Records of board checks: written whole or not at all, read strictly, shown by `nudge report`."""

import json
from dataclasses import replace

import pytest

from nudge.golden.contract.presets import preset
from nudge.host.cli import main as cli
from nudge.host.cli.work import checking
from nudge.host.training import record
from nudge.host.training.record import CORE, END_TO_END, FAILED, HELD, ON_A_BOARD, SIMULATED, Line, Record
from nudge.plumbing import files
from nudge.plumbing.errors import DesignError, ExitCode

SPEC = preset("tiny")
LINES = (
    Line("link", HELD, "a | b", 1.5, {}),
    Line("rate", HELD, "streamed", 2.0, {END_TO_END: 321.25, CORE: 654.5}),
)
#: No measurement: invented numbers.
RECORD = Record("ulx3s", "tiny", SPEC.identity, ON_A_BOARD, "2000-01-02-030405", {"seed": 0}, LINES)
BROKEN = replace(RECORD, date="2000-01-03-030405", lines=(replace(LINES[0], outcome=FAILED), LINES[1]))


def test_a_record_reads_back_and_its_page_marks_the_figures(tmp_path):
    file = record.write(RECORD, tmp_path)
    assert record.read(file) == RECORD
    page = file.with_suffix(".md").read_text()
    assert "All figures are *on a board*" in page
    assert "| link | held | a \\| b |" in page
    with pytest.raises(DesignError, match="isn't replaced"):
        record.write(RECORD, tmp_path)


def test_a_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    whole = files.write

    def full(path, content):
        if path.suffix == ".json":
            raise OSError("disk full")
        whole(path, content)

    monkeypatch.setattr(record.files, "write", full)
    with pytest.raises(OSError, match="disk full"):
        record.write(RECORD, tmp_path)
    assert not list(tmp_path.iterdir())


CHANGES: tuple[dict[str, object], ...] = (
    {"lines": 3},
    {"format": 2},
    {"kind": "guessed"},
    {"held": False},
    {"date": "x"},
    {"facts": {"a": []}},
)


@pytest.mark.parametrize("change", CHANGES)
def test_damaged_records_are_refused(tmp_path, change):
    file = record.write(RECORD, tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DesignError, match="is no record"):
        record.read(file)


def test_a_report_shows_what_was_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record, "MEASURED", tmp_path)
    others = (replace(RECORD, board="icebreaker"), replace(RECORD, kind=SIMULATED, date="1999-01-01-000000"))
    for each in (RECORD, BROKEN, *others):
        record.write(each, tmp_path)
    assert cli.main(["report", "ulx3s", "--preset", "tiny", "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)["measured"]
    assert [(each["date"], each["failed"], each[END_TO_END]) for each in found] == [
        (RECORD.date, [], 321.25),
        (BROKEN.date, ["link"], 321.25),
    ]
    assert cli.main(["report", "ulx3s", "--preset", "tiny"]) == ExitCode.OK
    assert "on a board" in capsys.readouterr().out
    assert f"[{RECORD.date}](check-ulx3s-{RECORD.date}.md)" in record.overview(record.records())


@pytest.mark.parametrize(("made", "code"), [(RECORD, ExitCode.OK), (BROKEN, ExitCode.DIFFERENT)])
def test_the_exit_code_of_a_check_is_that_of_its_record(tmp_path, monkeypatch, capsys, made, code):
    monkeypatch.setattr(checking, "check_board", lambda *_: (made, tmp_path / "check.json"))
    assert cli.main(["board", "check", "--board", "sim", "--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["held"] == (code == ExitCode.OK)
    assert ("did not hold: link" in err) == (code == ExitCode.DIFFERENT)


def test_a_check_makes_its_folder(tmp_path):
    folder = tmp_path / "new" / "records"
    assert cli.main(["board", "check", "--board", "/none", "--out", str(folder)]) == ExitCode.LINK
    assert folder.is_dir()
