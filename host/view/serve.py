"""A page of runs, served on this machine alone, to whoever has its token. Others can't keep it from that: connections are few
and short.

`python -m host.view.serve RUN` is what `nudge train --live` starts: a process of its own, so that training never waits for
a page. It ends when its standard input does.
"""

import asyncio
import contextlib
import hmac
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado import httpserver, iostream, web

from plumbing.errors import NudgeError, UsageError, ViewError
from plumbing.progress import plain
from plumbing.signals import heard

from .watch import Watch

ADDRESS = "127.0.0.1"

#: How much this process yields to the one that trains (see nice(1)).
NICENESS = 10

#: Connections at a time; one more, and the oldest is closed. A browser has six at most.
MOST_CONNECTIONS = 32

#: Seconds for a request to come, and for all connections to end.
REQUEST_SECONDS, END_SECONDS = 10.0, 2.0

#: Bytes of a request, at most.
MAX_REQUEST = 1 << 16

#: What a page may load: itself.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

WAITING = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<title>nudge</title><p role="status">The run hasn't begun yet. This page looks again every second.</p></html>"""


class Handler(web.RequestHandler):
    """A request with the token, from a page of this address."""

    def initialize(self, watch: Watch, token: str, port: int) -> None:
        self.watch, self.token, self.port = watch, token, port

    def prepare(self) -> None:
        # a name that someone else points at this machine is no name of ours
        if self.request.host not in (f"{ADDRESS}:{self.port}", f"localhost:{self.port}"):
            raise web.HTTPError(403)
        if not hmac.compare_digest(self.get_query_argument("token", "").encode(), self.token.encode()):
            raise web.HTTPError(403)

    def set_default_headers(self) -> None:
        for name, value in (
            ("Content-Security-Policy", POLICY),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.set_header(name, value)

    def write_error(self, status_code: int, **options: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(
            "this page needs the address that nudge printed, token included\n" if status_code == 403 else "no such page\n"
        )


class Server(httpserver.HTTPServer):
    """`MOST_CONNECTIONS`, with or without a token."""

    def initialize(self, *arguments: Any, **options: Any) -> None:
        super().initialize(*arguments, **options)
        self._streams: list[iostream.IOStream] = []  # the oldest first

    def handle_stream(self, stream: iostream.IOStream, address: tuple[Any, ...]) -> None:
        self._streams = [*(each for each in self._streams if not each.closed()), stream]
        if len(self._streams) > MOST_CONNECTIONS:
            self._streams[0].close()
        super().handle_stream(stream, address)


class Page(Handler):
    """The page itself."""

    def get(self) -> None:
        try:
            self.finish(self.watch.page(f"/news?token={self.token}") if self.watch.begun else WAITING)
        except NudgeError as error:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.set_header("Refresh", "1")
            self.finish(f"{plain(str(error))}\n")


class News(Handler):
    """What a page doesn't have yet."""

    def get(self) -> None:
        self.finish(self.watch.news(self.get_query_argument("since", "")))


async def serve(runs: list[Path], port: int, tell: Callable[[str], None], *, until_input_ends: bool = False) -> None:
    """Serve a page of some runs until a signal of `plumbing.signals`. port: 0 takes any free one. tell: is told the address.

    until_input_ends: until standard input ends instead. Raises `ViewError` for a port that is in use.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be 0..65535, not {port}")
    try:
        listening = socket.create_server((ADDRESS, port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ViewError(f"port {port} of {ADDRESS}: {why}: choose another --port, or 0 for any") from None
    listening.setblocking(False)
    port, token = listening.getsockname()[1], secrets.token_urlsafe(16)
    common = {"watch": Watch(runs), "token": token, "port": port}
    application = web.Application([("/", Page, common), ("/news", News, common)], log_function=lambda handler: None)
    limits = {"max_header_size": MAX_REQUEST, "max_body_size": MAX_REQUEST, "max_buffer_size": 2 * MAX_REQUEST}
    server = Server(application, idle_connection_timeout=REQUEST_SECONDS, body_timeout=REQUEST_SECONDS, **limits)
    server.add_sockets([listening])
    tell(f"http://{ADDRESS}:{port}/?token={token}")
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    if until_input_ends:

        def read() -> None:
            if not os.read(0, 1024):
                ended.set()

        loop.add_reader(0, read)
    else:
        for number in heard():
            loop.add_signal_handler(number, ended.set)
    try:
        await ended.wait()
    finally:
        server.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.close_all_connections(), END_SECONDS)


def main() -> int:
    """Serve the runs that are named, and print the address; the exit code."""
    # Ctrl-C in the terminal is meant for the training; this process ends with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)

    def tell(url: str) -> None:
        """From then on nobody reads what this process says, and the training's disk isn't there to keep it."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        print(url, flush=True)

    try:
        asyncio.run(serve(list(map(Path, sys.argv[1:])), 0, tell, until_input_ends=True))
    except NudgeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
