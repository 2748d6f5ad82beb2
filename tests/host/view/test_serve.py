"""The page that `nudge view` serves needs the token and follows the files; no client holds it up."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import pytest

from nudge.host.cli import main as cli
from nudge.host.view.serve import MOST_CONNECTIONS
from nudge.plumbing.errors import ExitCode

SECONDS = 120


@contextlib.contextmanager
def served(*runs, command=("-m", "nudge", "view")):
    """Run `nudge view`; yield its address and its process."""
    process = subprocess.Popen([sys.executable, *command, *map(str, runs)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(SECONDS)
        process.stdout.close()
    assert code == ExitCode.OK


def ask(url: str, path: str | None = None, **headers) -> tuple[int, dict[str, str], str]:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    connection.request("GET", f"{parts.path}?{parts.query}" if path is None else path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def connected(url: str) -> socket.socket:
    parts = urllib.parse.urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), SECONDS)


def reader(url: str) -> socket.socket:
    """A connection that has asked for the page, and reads nothing."""
    parts, connection = urllib.parse.urlsplit(url), connected(url)
    connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return connection


@pytest.fixture(scope="module")
def growing(runs, tmp_path_factory):
    """A copy of a run, which tests can change."""
    run = tmp_path_factory.mktemp("served") / "growing"
    shutil.copytree(runs[0], run)
    return run


@pytest.fixture(scope="module")
def server(growing):
    with served(growing) as found:
        yield found


@pytest.fixture
def url(server):
    return server[0]


def test_it_listens_on_this_machine_alone_and_needs_the_token(url):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{22}", url)
    status, headers, text = ask(url)
    assert status == 200
    assert "script-src 'unsafe-inline'" in headers["Content-Security-Policy"]
    assert "unsafe-eval" not in headers["Content-Security-Policy"]
    assert text.startswith("<!DOCTYPE html>")
    for path in (
        "/",
        "/?token=",
        "/?token=wrong",
        "/news",
        "/news?token=%00",
        url.split("127")[0] and "/?TOKEN=" + url[-22:],
    ):
        status, _, text = ask(url, path)
        assert (status, text) == (403, "this page needs the address that nudge printed, token included\n"), (
            path
        )
    # another host's name that resolves to this machine, as in DNS rebinding
    assert ask(url, Host="example.com")[0] == 403
    assert ask(url, f"/etc/passwd?{url.split('?')[1]}")[0] == 404
    with socket.socket() as probe:
        port = urllib.parse.urlsplit(url).port
        outside = socket.gethostbyname(socket.gethostname())
        if not outside.startswith("127."):
            assert probe.connect_ex((outside, port)) != 0


def test_news_are_what_changed(url, growing):
    news = urllib.parse.urlsplit(url)._replace(path="/news")
    first = json.loads(ask(news.geturl())[2])
    assert first["steps"]["steps-0"]
    nothing = json.loads(ask(f"{news.geturl()}&since={first['version']}")[2])
    assert nothing == {"version": first["version"]}
    with (growing / "metrics.csv").open("a") as stream:
        stream.write("2,20,20,10,50.0000,9.000\n2,40,20")
    more = json.loads(ask(f"{news.geturl()}&since={first['version']}")[2])
    assert more["tables"]["error-0"]["samples"][-1] == first["tables"]["error-0"]["samples"][-1] + 20
    assert "steps" not in more, "the weights are the same"
    assert more["structure"] == first["structure"]


def test_connections_without_a_token_take_nobody_elses_place(server):
    address, process = server
    with contextlib.ExitStack() as idle:
        for _ in range(200):
            idle.enter_context(connected(address))
        assert ask(address)[0] == 200
        assert len(os.listdir(f"/proc/{process.pid}/fd")) < MOST_CONNECTIONS + 40  # noqa: PTH208


#: `nudge view` that waits only 0.2 s for a request.
IMPATIENT = """
import sys
from nudge.host.cli import main
from nudge.host.view import serve
serve.REQUEST_SECONDS = 0.2
sys.exit(main.main(["view", *sys.argv[1:]]))
"""


def test_a_connection_that_asks_nothing_is_closed(growing):
    with served(growing, command=("-c", IMPATIENT)) as (address, _):
        for begun in (b"", b"GET / HTTP/1.1\r\nHost:"):
            with connected(address) as idle:
                idle.sendall(begun)
                assert idle.recv(1) == b""


def test_readers_that_left_dont_delay_the_end(growing):
    with served(growing) as (address, _):
        start = time.monotonic()
        ask(address)
        once = time.monotonic() - start
        for _ in range(150):
            reader(address).close()
        start = time.monotonic()
    assert time.monotonic() - start < 5 + 20 * once


def test_what_it_was_started_to_ignore_does_not_end_it(runs):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with served(runs[0]) as (address, process):
            assert ask(address)[0] == 200  # from here on a SIGINT that isn't ignored would end it
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(3)
            assert ask(address)[0] == 200
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_port_in_use_and_other_bad_input_is_one_line(runs, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["view", str(runs[0]), "--port", str(port)]) == ExitCode.USAGE
        expected = (
            f"nudge: port {port} of 127.0.0.1: Address already in use: choose another --port, or 0 for any"
        )
        assert capsys.readouterr().err.strip() == expected
    for arguments, says in (
        ((runs[0], "--port", 70000), "--port must be 0..65535, not 70000"),
        ((runs[0], "--port", 1, "--save", "x.html"), "--port 1: not with --save, which serves nothing"),
        (("nowhere",), "no run at nowhere: give the --out of a `nudge train`, or a folder of them"),
    ):
        assert cli.main(["view", *map(str, arguments)]) == ExitCode.USAGE
        assert capsys.readouterr().err.strip() == f"nudge: {says}"
