"""The page of `nudge train --live` follows the training, ends with it, and never disturbs it."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

import nudge
from nudge.host.cli import main as cli
from nudge.host.view import live as lives
from nudge.host.view.live import live
from nudge.plumbing.errors import ExitCode, ViewError

from .browser import until
from .conftest import FEW
from .test_browser import complaints, image
from .test_serve import SECONDS, ask, reader

#: A short training on the modelled board.
SHORT = ["train", "--board", "golden", "--samples", "40", "--free-steps", "4", "--nudged-steps", "4"]


def test_a_live_server_has_nowhere_to_write_to(tmp_path):
    run = tmp_path / "run"
    with live(run):
        (server,) = _servers(run)
        assert os.readlink(f"/proc/{server}/fd/2") == os.devnull  # noqa: PTH115


def test_values_change_in_a_browser_while_a_run_learns(chromium, tmp_path):
    """The page of `nudge train --live` waits for the run to begin, then follows it."""
    run = tmp_path / "run"
    chromium.get_log("browser")
    with live(run) as page:
        address = page.address
        chromium.get(address)
        assert "hasn't begun yet" in chromium.page_source
        learning = threading.Event()

        def slowly(_):
            learning.wait(SECONDS)

        def work():
            nudge.Network.preset("tiny").fit(epochs=3, seed=1, out=run, callbacks=[slowly], **FEW)

        trainer = threading.Thread(target=work)
        trainer.start()
        try:
            until(lambda: chromium.execute_script("return document.body.dataset.ready") == "yes")
            before = image(chromium, "kernels-now-0")
            facts = chromium.find_element("css selector", "#facts-0").text
            assert "0 of 180 training samples" in facts
        finally:
            learning.set()
            trainer.join(SECONDS)
        until(lambda: "180 of 180 training samples" in chromium.find_element("css selector", "#facts-0").text)
        # a legend that has more to name makes the page load anew
        until(lambda: chromium.find_element("css selector", "#status").text.startswith("Live, "))
        until(lambda: not (image(chromium, "kernels-now-0") == before).all())
        assert complaints(chromium) == []
    until(lambda: "The server of this page is gone" in chromium.find_element("css selector", "#status").text)


def test_train_live_prints_the_address_and_learns_the_same(tmp_path, capsys):
    command = [*SHORT, "--seed", "3"]
    assert cli.main([*command, "--live", "--out", str(tmp_path / "live")]) == ExitCode.OK
    assert re.search(r"^live: http://127\.0\.0\.1:\d+/\?token=[\w-]{22}$", capsys.readouterr().err, re.M)
    assert cli.main([*command, "--out", str(tmp_path / "plain")]) == ExitCode.OK
    live_, plain = (nudge.Network.load(tmp_path / name).weights for name in ("live", "plain"))
    assert all((live_[name] == plain[name]).all() for name in plain)


def test_a_live_page_stays_at_a_terminal_until_an_interrupt(tmp_path):
    """The training has ended and said so. Without a terminal, as in the test above, `nudge` ends itself."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nudge", *SHORT, "--live", "--out", str(tmp_path / "run")]
    with contextlib.ExitStack() as stack:
        # a child inherits ignored signals, as SIGINT is in a shell's background
        stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        process = subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True)
        os.close(theirs)
        stack.callback(os.close, ours)
        stack.callback(process.wait, SECONDS)
        stack.callback(process.kill)
        assert process.stdout is not None
        stack.callback(process.stdout.close)
        said = ""
        while "the training has ended; its page is served until Ctrl-C" not in said:
            assert select.select([ours], [], [], SECONDS)[0], said
            said += os.read(ours, 1024).decode()
        assert process.stdout.readline().startswith("test error ")
        found = re.search(r"live: (http\S+)", said)
        assert found is not None
        assert ask(found[1])[0] == 200
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == ExitCode.OK


def test_a_training_outlives_its_page(tmp_path):
    """The server is killed during the run, while a reader has asked and never reads."""
    run = tmp_path / "run"
    with live(run) as page:
        with reader(page.address):
            (server,) = _servers(run)

            def kill(_):
                os.kill(server, signal.SIGKILL)
                return False

            result = nudge.Network.preset("tiny").fit(epochs=1, seed=1, out=run, callbacks=[kill], **FEW)
    assert result.finished


def _servers(run) -> list[int]:
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _is_server(pid, run)]  # noqa: PTH208


def _is_server(pid: str, run) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:  # noqa: PTH123
            return stream.read().split(b"\0")[1:5] == [
                b"-m",
                b"nudge.host.view.serve",
                str(run).encode(),
                b"",
            ]
    except OSError:
        return False


def test_the_server_ends_with_the_training(tmp_path):
    with live(tmp_path / "run") as page:
        address = page.address
        parts = urllib.parse.urlsplit(address)
        assert ask(address)[0] == 200
    deadline = time.monotonic() + SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((parts.hostname or "", parts.port or 0)):
                break
        assert time.monotonic() < deadline


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(lives.sys, "executable", "/bin/false")
    with pytest.raises(ViewError, match="the live page's server didn't start: "):
        with live(tmp_path):
            pytest.fail("it started")
