"""What the protocol costs on a good line, and whether requests in flight keep a board busy over an adapter's delay.

All of it is exact, on a modelled line in time that is counted (`host.training.timed_port`).
"""

from collections.abc import Iterator

import numpy as np

from golden.contract.config import configuration
from golden.contract.protocol import WINDOW, Command, Identity, Sample
from golden.contract.spec import Spec
from host.link.link import Link

from .plain_board import PlainBoard
from .timed_port import BYTE_BITS, Clock, TimedPort

#: Seconds that a USB adapter holds back an answer, unless it is told otherwise (FTDI's latency timer).
ADAPTER_DELAY = 0.016

#: Fastest line of the boards here.
BAUD = 3e6


def _line(spec: Spec, window: int, baud: float, delay: float, seconds: float) -> tuple[Link, TimedPort]:
    """A link after its HELLO, with all that was counted set back."""
    config = configuration(spec)
    board = PlainBoard(config, Identity(spec.name, spec.identity, 0, 1, config.lanes, window=window))
    port = TimedPort(board, Clock(), baud=baud, delay=delay, seconds=seconds)
    link = Link(port, "model", clock=port.clock, draw=lambda most: 0)
    link.hello()
    port.working = 0.0
    return link, port


def batches(images: np.ndarray, size: int) -> Iterator[tuple[Command, bytes]]:
    """Requests of a training run on uint8 images, a COMMIT after each `size`."""
    for n, image in enumerate(images, 1):
        yield Command.TRAIN, Sample(0, image.tobytes()).encode()
        if n % size == 0:
            yield Command.COMMIT, b""


def line_share(spec: Spec, images: np.ndarray, *, baud: float = BAUD, size: int = 32) -> float:
    """Line time of a training run as a share of that of its payload, labels and pixels as they are.

    With a board that takes no time and an adapter that doesn't delay. Above 1: what frames, checksums
    and commits cost; below 1: stuffing makes pixels shorter by more than that.
    """
    link, port = _line(spec, WINDOW, baud, 0.0, 0.0)
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
    """Share of the time in which a board that takes `seconds` for a sample has one to work on."""
    link, port = _line(spec, window, baud, delay, seconds)
    start = port.clock.now
    link.exchange(batches(images, size))
    return port.working / (port.clock.now - start)
