"""Serves a page of runs, or of a sweep, on 127.0.0.1 only, to requests with its token.

Number and duration of connections are limited, so that requests without a token can't block it.

`nudge train --live` and `nudge sweep --live` start `python -m nudge.host.view.serve FOLDER` as a separate
process, so that training never waits for a page. It ends when its standard input does.
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

from nudge.plumbing.errors import NudgeError, UsageError, ViewError
from nudge.plumbing.progress import plain
from nudge.plumbing.signals import heard

from .watch import Watch

ADDRESS = "127.0.0.1"

#: Niceness of this process, so that the training has priority (see nice(1)).
NICENESS = 10

#: Most connections at a time; one more closes the oldest. A browser has six at most.
MOST_CONNECTIONS = 32

#: Time limits in seconds: for a request to arrive, and for all connections to end.
REQUEST_SECONDS, END_SECONDS = 10.0, 2.0

#: Most bytes of a request's header, and of its body.
MAX_REQUEST = 1 << 16

#: Content security policy: a page may load only itself.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

WAITING = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<title>nudge</title>
<p role="status">The run hasn't begun yet. This page looks again every second.</p></html>"""


class Handler(web.RequestHandler):
    """Base of the handlers: refuses a request without the token, or for another host name."""

    def initialize(self, watch: Watch, token: str, port: int) -> None:
        self.watch, self.token, self.port = watch, token, port

    def prepare(self) -> None:
        # refuse other names, which someone else's DNS may resolve to this machine
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
            "this page needs the address that nudge printed, token included\n"
            if status_code == 403
            else "no such page\n"
        )


class Server(httpserver.HTTPServer):
    """A server with at most `MOST_CONNECTIONS` connections, with or without a token."""

    def initialize(self, *arguments: Any, **options: Any) -> None:
        super().initialize(*arguments, **options)
        self._streams: list[iostream.IOStream] = []  # oldest first

    def handle_stream(self, stream: iostream.IOStream, address: tuple[Any, ...]) -> None:
        self._streams = [*(each for each in self._streams if not each.closed()), stream]
        if len(self._streams) > MOST_CONNECTIONS:
            self._streams[0].close()
        super().handle_stream(stream, address)


class Page(Handler):
    """Answers with the page."""

    def get(self) -> None:
        try:
            self.finish(self.watch.page(f"/news?token={self.token}") if self.watch.begun else WAITING)
        except NudgeError as error:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.set_header("Refresh", "1")
            self.finish(f"{plain(str(error))}\n")


class News(Handler):
    """Answers a poll with the changes since the page's version."""

    def get(self) -> None:
        self.finish(self.watch.news(self.get_query_argument("since", "")))


async def serve(
    runs: list[Path], port: int, tell: Callable[[str], None], *, until_input_ends: bool = False
) -> None:
    """Serve a page of some runs, or of a sweep, until a signal of `plumbing.signals`.

    port: 0 for any free one. tell: called with the address. until_input_ends: end with standard input
    instead. Raises `ViewError` for a port that is in use.
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
    application = web.Application(
        [("/", Page, common), ("/news", News, common)], log_function=lambda handler: None
    )
    limits = {
        "max_header_size": MAX_REQUEST,
        "max_body_size": MAX_REQUEST,
        "max_buffer_size": 2 * MAX_REQUEST,
    }
    server = Server(
        application, idle_connection_timeout=REQUEST_SECONDS, body_timeout=REQUEST_SECONDS, **limits
    )
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
    """Serve the folders of the command line, print the address, and return the exit code."""
    # Ctrl-C in the terminal is meant for the training, which ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)

    def tell(url: str) -> None:
        """Print the address; then discard standard error, whose file nobody reads from now on."""
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
