"""Models the protocol's overhead on an undamaged line, and how busy requests in flight keep a board.

All figures are exact for a modelled line, whose time is counted (`host.training.timed_port`).
"""

from collections.abc import Iterator

import numpy as np

from nudge.golden.contract.config import configuration
from nudge.golden.contract.protocol import WINDOW, Command, Identity, Sample
from nudge.golden.contract.spec import Spec
from nudge.host.link.link import Link

from .plain_board import PlainBoard
from .timed_port import BYTE_BITS, Clock, TimedPort

#: Seconds by which a USB adapter delays an answer by default (FTDI's latency timer).
ADAPTER_DELAY = 0.016

#: Highest baud rate of the boards.
BAUD = 3e6


def modelled_line(
    spec: Spec, window: int, baud: float, delay: float, seconds: float
) -> tuple[Link, TimedPort]:
    """Return a link after its HELLO, and its port with `working` reset."""
    config = configuration(spec)
    board = PlainBoard(config, Identity(spec.name, spec.identity, 0, 1, config.lanes, window=window))
    port = TimedPort(board, Clock(), baud=baud, delay=delay, seconds=seconds)
    link = Link(port, "model", clock=port.clock, draw=lambda most: 0)
    link.hello()
    port.working = 0.0
    return link, port


def batches(images: np.ndarray, size: int) -> Iterator[tuple[Command, bytes]]:
    """Yield the requests of a training run on uint8 images, with a COMMIT after each `size` of them."""
    for n, image in enumerate(images, 1):
        yield Command.TRAIN, Sample(0, image.tobytes()).encode()
        if n % size == 0:
            yield Command.COMMIT, b""


def line_share(spec: Spec, images: np.ndarray, *, baud: float = BAUD, size: int = 32) -> float:
    """Return the line time of a training run, divided by that of its bare labels and pixels.

    The board takes no time and the adapter doesn't delay. Frames, checksums and commits make it larger than
    1; stuffing, which shortens the pixels, can make it smaller.
    """
    link, port = modelled_line(spec, WINDOW, baud, 0.0, 0.0)
    start = port.clock.now
    link.exchange(batches(images, size))
    payload = len(images) * Sample.size(images[0].size) * BYTE_BITS / baud
    return (port.clock.now - start) / payload


def occupied(
    spec: Spec,
    images: np.ndarray,
    seconds: float,
    *,
    window: int = WINDOW,
    baud: float = BAUD,
    delay: float = ADAPTER_DELAY,
    size: int = 32,
) -> float:
    """Return the share of the time, 0 to 1, in which a board that takes `seconds` a request is busy."""
    link, port = modelled_line(spec, window, baud, delay, seconds)
    start = port.clock.now
    link.exchange(batches(images, size))
    return port.working / (port.clock.now - start)
