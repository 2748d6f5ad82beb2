"""Files: bad ones are refused in one line, writing is atomic, and a folder has one owner."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nudge.golden.training.checkpoint import WEIGHTS
from nudge.golden.training.folder import COUNTERS, CURVE, EPOCH, EPOCHS, METRICS
from nudge.plumbing import files
from nudge.plumbing.errors import UsageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


JSON = {
    "cut": b'{"a": 1',
    "a list": b"[1]",
    "not UTF-8": b'{"a": "\xff"}',
    "nan": b'{"a": NaN}',
    "too large": b'{"a": 1e999}',
    "too many digits": b'{"a": ' + b"9" * 5000 + b"}",
    "nested": b'{"a":' + b"[" * 100_000,
    "escape sequence": b'{"a": ["\\u001b[31m"]}',
    "escape sequence in a name": b'{"\\u001b": 0}',
    "nothing": b"",
}


@pytest.mark.parametrize("case", JSON)
def test_json_that_nobody_wrote(tmp_path, case):
    file = tmp_path / "file"
    file.write_bytes(JSON[case])
    with pytest.raises(UsageError, match=rf"^{re.escape(str(file))} is damaged: [^\n\x1b]+$"):
        files.read_json(file, 1 << 20, UsageError)


@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(bytes(101))
    for name, words in (
        ("pipe", "is no file"),
        ("loop", "Too many levels of symbolic links"),
        ("large", "has 101 bytes; at most 100 are read"),
        ("none", "No such file"),
        (".", "is no file"),
        ("/dev/zero", "is no file"),
        ("a\0b", "embedded null byte"),
        ("a" * 300, "File name too long"),
    ):
        with pytest.raises(UsageError, match=words):
            files.read(tmp_path / name, 100, UsageError)
    (tmp_path / "large").write_bytes(bytes(100))
    assert files.read(tmp_path / "large", 100, UsageError) == bytes(100)


def test_a_file_is_old_or_new(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")

    def interrupted():
        with files.atomic(file) as temporary:
            temporary.write_text("half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (file.read_text(), names(tmp_path)) == ("old", ["file"])
    files.write(file, "new")
    assert (file.read_text(), names(tmp_path)) == ("new", ["file"])
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_file_and_folder_are_synced_before_it_is_said_to_be_written(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, type(tmp_path).replace

    def synced(descriptor):
        done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def renamed(path, to):
        done.append("rename")
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(type(tmp_path), "replace", renamed)
    files.write(tmp_path / "file", b"x")
    assert done[0].startswith(f"{tmp_path}/.file.")
    assert done[1:] == ["rename", str(tmp_path)]


def test_only_what_atomic_left_is_removed(tmp_path):
    own = ".a.csv.0123abcd.unfinished"
    others = [
        ".a.csv.1234",
        ".a.csv.0123abcd",
        ".b.csv.0123abcd.unfinished",
        ".a.csv.nope.unfinished",
        "a.csv",
        "x" + own,
    ]
    for name in (own, *others):
        (tmp_path / name).write_text("")
    (tmp_path / ".a.csv.00000000.unfinished").mkdir()
    files.remove_unfinished(tmp_path, "a[.]csv")
    assert names(tmp_path) == sorted([*others, ".a.csv.00000000.unfinished"])


HOLD = """
import sys; from pathlib import Path
from nudge.plumbing import files
with files.owned(Path(sys.argv[1]), ValueError):
    print("held", flush=True); sys.stdin.read()
"""


def hold(lock):
    command = [sys.executable, "-c", HOLD, lock]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_has_one_owner_as_long_as_that_lives(tmp_path):
    lock = tmp_path / ".lock"
    with hold(lock) as other:
        whose = rf"^{tmp_path} is in use by process {other.pid} \(\S+ -c import sys; .*\): wait for it"
        with pytest.raises(UsageError, match=whose), files.owned(lock, UsageError):
            pass
        other.kill()
        other.wait()
    assert lock.exists(), "nobody removed it"
    with files.owned(lock, UsageError), files.owned(lock, UsageError):
        assert lock.exists()
    assert names(tmp_path) == []


def test_another_thread_is_another_owner(tmp_path):
    found = []

    def enter():
        try:
            with files.owned(tmp_path / ".lock", UsageError):
                found.append("entered")
        except UsageError as error:
            found.append(str(error))

    with files.owned(tmp_path / ".lock", UsageError):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert f"in use by process {os.getpid()}" in found[0]


def test_locks_are_handed_over_without_two_owners(tmp_path):
    """Each owner removes the lock file that the next one waits for."""
    inside, most, lock = 0, 0, tmp_path / ".lock"

    def work():
        nonlocal inside, most
        entered = 0
        while entered < 50:
            try:
                with files.owned(lock, UsageError):
                    inside += 1
                    most = max(most, inside)
                    time.sleep(0.001)  # for others to come in, if they can
                    entered += 1
                    inside -= 1
            except UsageError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def stood_in_the_way(folder: Path) -> dict[str, Path]:
    """Make a pipe, a folder, a link and a dangling link, which are never replaced; return them by name."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "file").write_text("kept")
    (folder / "link").symlink_to("file")
    (folder / "dangling").symlink_to("nowhere")
    return {name: folder / name for name in ("pipe", "folder", "link", "dangling")}


@pytest.mark.timeout(20)
def test_only_an_ordinary_file_is_replaced(tmp_path):
    before = {path: path.lstat() for path in stood_in_the_way(tmp_path).values()}
    for path, found in before.items():
        with pytest.raises(OSError, match="is no ordinary file, and isn't replaced"):
            files.write(path, "new")
        assert (path.lstat().st_ino, path.lstat().st_mode) == (found.st_ino, found.st_mode), path
    assert names(tmp_path) == ["dangling", "file", "folder", "link", "pipe"]
    with pytest.raises(OSError, match="is no ordinary file"):  # only checked: root could replace the device
        files.check_replaceable(Path("/dev/full"))
    assert (tmp_path / "file").read_text() == "kept"


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("my thesis")
    with pytest.raises(OSError, match=r"begins with b'my ', not with b'<ht': it isn't replaced"):
        files.write(file, "<html>", alike=3)
    assert file.read_text() == "my thesis"
    for old in ("", "<html>old"):
        file.write_text(old)
        files.write(file, "<html>", alike=3)
        assert file.read_text() == "<html>"


RUNS = [WEIGHTS, EPOCH.format(12), METRICS, EPOCHS, COUNTERS, CURVE]


@pytest.mark.parametrize("name", RUNS)
def test_a_runs_file_is_written_by_the_folders_owner_alone(tmp_path, name):
    for _ in range(2):
        with pytest.raises(OSError, match="is the name of a training run's own file"):
            files.write(tmp_path / name, "page")
        with files.owned(tmp_path / files.LOCK, UsageError):
            files.write(tmp_path / name, "run")
        assert (tmp_path / name).read_text() == "run"
