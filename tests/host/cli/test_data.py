"""`nudge data` fetches from a server on this machine; what a server or a disk does wrong is one line."""

import errno
import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from nudge.golden.contract.datasets import ARCHIVE
from nudge.golden.contract.shapes import Input
from nudge.golden.training import data
from nudge.golden.training.sets import cifar, idx, published
from nudge.plumbing import files
from nudge.plumbing.errors import DataError, ExitCode
from tests.golden.training.sets.test_cifar import published as batches
from tests.sets import write_set

from .command import run, run_json

RAW = Path("MNIST", "raw")
IMAGES = RAW / "train-images-idx3-ubyte.gz"


class Server(http.server.ThreadingHTTPServer):
    """Serves files, each with the faults that are left in `faults`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.waiting, self.go = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        self.server.asked.append(self.path)
        path = self.path.removeprefix("/moved")
        content = self.server.content.get(path)
        fault = (self.server.faults.get(self.path) or [""]).pop(0)
        if fault == "slow":
            self.server.waiting.set()
            assert self.server.go.wait(30)
        if content is None or fault == "missing":
            self.send_error(404)
        elif fault == "redirect":
            self.send_response(302)
            self.send_header("Location", f"/moved{path}")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            damaged = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
            self.wfile.write({"cut": content[:-20], "damaged": damaged}.get(fault, content))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of a small MNIST in torchvision's layout, and no NUDGE_DATA."""
    write_set(tmp_path / "served", np.random.default_rng(0))
    unpacked = {name: (tmp_path / "served" / name).read_bytes() for name in idx.FILES}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in unpacked.items()}
    monkeypatch.setitem(idx.CHECKSUMS, "mnist", sums)
    monkeypatch.delenv(data.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with Server() as made:
        made.content = {f"/{RAW}/{name}.gz": gzip.compress(content) for name, content in unpacked.items()}
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def get(capsys, server, *arguments):
    return run(capsys, "data", "get", "mnist", "--mirror", server.url, *arguments)


def left(folder: Path) -> set[str]:
    """Return all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_was_fetched_is_found_without_a_word(capsys, server, tmp_path):
    train = ["compare", "--board", "golden", "--data", "mnist", "--samples", 4, "--batch", 4]
    code, _, err = run(capsys, *train)
    assert (code, server.asked) == (ExitCode.DATA, []), "only `nudge data get` uses the network"
    assert "`nudge data get mnist` fetches it" in err
    code, out, _ = get(capsys, server)
    folder = tmp_path / "home/.cache/nudge/data"
    assert (code, out) == (ExitCode.OK, f"mnist: fetched to {folder}\n")
    assert left(folder) == {name.removeprefix("/") for name in server.content}
    assert run(capsys, *train)[0] == ExitCode.OK
    assert get(capsys, server)[1] == f"mnist: there already, in {folder}\n"
    assert len(server.asked) == 4
    (folder / IMAGES).write_bytes(gzip.compress(b"other"))
    code, found = run_json(capsys, "data", "list")
    mnist, fashion, _ = found["data"]
    assert (code, found["folder"], fashion["why"]) == (ExitCode.OK, str(folder), "missing")
    assert mnist["bytes"] == sum(path.stat().st_size for path in (folder / RAW).iterdir())
    assert f"{IMAGES}: SHA-256 is " in mnist["why"]
    assert get(capsys, server)[0] == ExitCode.OK
    assert len(server.asked) == 8
    assert run_json(capsys, "data", "list")[1]["data"][0]["whole"]


@pytest.mark.parametrize("fault", ["cut", "damaged", "missing", "redirect"])
def test_a_fault_that_goes_away_is_survived(capsys, server, tmp_path, fault):
    server.faults[f"/{IMAGES}"] = [fault]
    assert get(capsys, server, "--dir", tmp_path / "new")[0] == ExitCode.OK
    assert len(server.asked) == 5
    assert data.load("mnist", tmp_path / "new").train_images.shape == (12, 28, 28)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("cut", "bytes read, 20 more expected"),
        ("damaged", ": SHA-256 is |CRC check failed"),
        ("missing", "404"),
    ],
)
def test_a_fault_that_stays_is_one_line_and_leaves_nothing(server, tmp_path, capsys, fault, words):
    server.faults[f"/{IMAGES}"] = [fault] * 9
    code, out, err = get(capsys, server, "--dir", tmp_path / "new")
    *notes, last = err.splitlines()
    assert (code, out, notes) == (ExitCode.DATA, "", [f"fetching {server.url}/{IMAGES}"] * 2)
    assert any(word in last for word in words.split("|"))
    assert f"{server.url}/{IMAGES}: " in last
    assert left(tmp_path / "new") == set()


def test_mirrors_are_tried_in_order(capsys, server, tmp_path, monkeypatch):
    monkeypatch.setitem(published.MIRRORS, "mnist", (f"{server.url}/none", f"{server.url}/{RAW}"))
    assert run(capsys, "data", "get", "mnist", "--dir", tmp_path / "new")[0] == ExitCode.OK
    assert server.asked[:2] == [f"/none/{IMAGES.name}", f"/{IMAGES}"]


def test_a_full_disk_leaves_nothing(capsys, server, tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    code, _, err = get(capsys, server, "--dir", tmp_path / "new")
    assert code == ExitCode.DATA
    assert "No space left on device" in err.splitlines()[-1]
    assert left(tmp_path / "new") == set()


def test_one_process_at_a_time(capsys, server, tmp_path):
    server.faults[f"/{IMAGES}"] = ["slow"]
    first = threading.Thread(target=published.get, args=("mnist", tmp_path / "new", server.url))
    first.start()
    assert server.waiting.wait(30)
    code, _, err = get(capsys, server, "--dir", tmp_path / "new")
    server.go.set()
    first.join(30)
    assert code == ExitCode.DATA
    assert f"{tmp_path}/new is in use by process " in err
    assert left(tmp_path / "new") == {name.removeprefix("/") for name in server.content}


def archive(tmp_path, monkeypatch, **odd: tarfile.TarInfo) -> bytes:
    """Return the batches of `tmp_path` as CIFAR-10's archive, some of its members replaced."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        out = tarfile.TarInfo("../../out")
        out.size = 4
        tar.addfile(out, io.BytesIO(b"evil"))
        for name in cifar.CHECKSUMS:
            path = tmp_path / data.FOLDERS["cifar10"] / name
            if name in odd:
                tar.addfile(odd[name])
            else:
                tar.add(path, f"{path.parent.name}/{name}")
    monkeypatch.setattr(cifar, "CHECKSUM", hashlib.sha256(made.getvalue()).hexdigest())
    return made.getvalue()


def test_cifar10_is_read_from_its_archive(capsys, server, tmp_path, monkeypatch):
    written = batches(tmp_path, monkeypatch)
    server.content[f"/{ARCHIVE}"] = archive(tmp_path, monkeypatch)
    folder = tmp_path / "a/b/new"
    assert run(capsys, "data", "get", "cifar10", "--mirror", server.url, "--dir", folder)[0] == ExitCode.OK
    found = data.load("cifar10", folder, Input(3, 32, 32))
    assert np.array_equal(found.test_images.flatten(1).numpy(), written["test_batch"][b"data"])
    assert left(tmp_path / "a") == {f"b/new/{ARCHIVE}"}, "no member is written anywhere"


def test_a_link_in_the_archive_is_not_followed(tmp_path, monkeypatch):
    batches(tmp_path, monkeypatch)
    link = tarfile.TarInfo(f"{data.FOLDERS['cifar10']}/test_batch")
    link.type, link.linkname = tarfile.LNKTYPE, f"{data.FOLDERS['cifar10']}/data_batch_1"
    (tmp_path / ARCHIVE).write_bytes(archive(tmp_path, monkeypatch, test_batch=link))
    with pytest.raises(DataError, match="test_batch: MD5 of its 0 bytes is"):
        data.load("cifar10", tmp_path, Input(3, 32, 32))
