"""A TCP proxy between a host and a board, with faults and delays; the host connects to the proxy's `url`."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from nudge.plumbing.errors import LinkError
from sim.rigs.modelled.faults import Faults

#: Timeout in seconds for the proxy's start and end.
PATIENCE = 30.0

CHUNK = 1 << 14


class FaultProxy:
    """Serve one host at a time on the loopback interface while the context lasts.

    target: `socket://HOST:PORT` of the board. up, down: faults towards the board and back; their sequence
    continues when a host connects again. delay: seconds added to each round trip, half of it in each
    direction. `stall` and `disconnect` may be called at any time.
    """

    def __init__(
        self, target: str, up: Faults | None = None, down: Faults | None = None, *, delay: float = 0.0
    ):
        found = re.fullmatch(r"socket://(.+):(\d+)", target)
        if found is None:
            raise LinkError(f"{target}: faults need a board at socket://HOST:PORT")
        self._target = (found[1], int(found[2]))
        self._faults, self._delay, self._still = (up, down), delay, 0.0
        self._host: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def hits(self) -> int:
        """Number of faults so far, in both directions."""
        return sum(line.hits for line in self._faults if line)

    def stall(self, seconds: float) -> None:
        """Hold back all bytes for some seconds; none is lost."""
        self._still = self._loop.time() + seconds

    def disconnect(self) -> None:
        """Close the host's connection, if there is one; it may connect again."""
        if self._host is not None:
            self._loop.call_soon_threadsafe(self._host.close)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError), contextlib.closing(writer):
            async with self._turn:
                from_board, to_board = await asyncio.open_connection(*self._target)
                self._host = writer
                with contextlib.closing(to_board):
                    ways = (
                        (reader, to_board.write, self._faults[0]),
                        (from_board, writer.write, self._faults[1]),
                    )
                    carried = [asyncio.create_task(self._carry(*way)) for way in ways]
                    await asyncio.wait(carried, return_when=asyncio.FIRST_COMPLETED)
                    for task in carried:
                        task.cancel()

    async def _carry(
        self, source: asyncio.StreamReader, write: Callable[[bytes], None], faults: Faults | None
    ) -> None:
        """Carry bytes in one direction."""
        due = 0.0
        while data := await source.read(CHUNK):
            data = faults.carry(data) if faults else data
            # strictly increasing times keep the order: timers of equal times may fire in any order
            due = max(self._loop.time() + self._delay / 2, self._still, due + 1e-6)
            self._loop.call_at(due, write, data)
