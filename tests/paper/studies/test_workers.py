"""A study on workers, and in parts, has the table that one process makes."""

import pytest

from nudge.host.cli.main import main
from nudge.paper.studies import find
from nudge.paper.studies.carry_out import carry_out, merge
from nudge.plumbing.errors import StudyError, UsageError

STUDY = find("settling")
NAME = "settling-quick.csv"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the table that this process makes."""
    out = tmp_path_factory.mktemp("whole")
    carry_out(STUDY, "quick", out)
    return out


def test_workers_make_the_same_files(tmp_path, whole):
    carry_out(STUDY, "quick", tmp_path, workers=2)
    for path in whole.iterdir():
        if path.suffix in (".csv", ".md"):
            assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_parts_make_the_same_files(tmp_path, whole):
    parts = [tmp_path / str(n) for n in (1, 2, 3)]
    for n, part in enumerate(parts, start=1):
        carry_out(STUDY, "quick", part, part=f"{n}/3")
        assert [path.name for path in part.glob("[!.]*")] == [NAME]
    assert main(["repro", "merge", *map(str, parts), "--out", str(tmp_path / "all")]) == 0
    assert (tmp_path / "all" / NAME).read_bytes() == (whole / NAME).read_bytes()


def test_what_cannot_be_merged_is_named(tmp_path, whole):
    with pytest.raises(StudyError, match="no study's table"):
        merge([tmp_path], tmp_path / "out")
    for part in ("0/3", "4/3", "1", "a/b"):
        with pytest.raises(UsageError, match="--cells must be K/N with 1 <= K <= N"):
            carry_out(STUDY, "quick", tmp_path, part=part)
    assert main(["repro", "settling", str(tmp_path)]) == 2
