"""What the protocol costs on a good line, and whether requests in flight keep a board busy over an adapter's delay.

`line_share` and `occupied` are exact, on a modelled line in time that is counted (`host.harness.timed_port`); `measured`
is wall-clock time
on the virtual board behind a proxy that delays (`host.harness.fault_proxy`).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from golden.contract.config import configuration
from golden.contract.protocol import (
    ANSWERED_BYTES,
    WINDOW,
    Command,
    Identity,
    Sample,
    Status,
    payload_bytes,
    request_bytes,
)
from golden.contract.spec import Spec
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training.data import Data
from host.boards.open import virtual_board
from host.boards.serial import SerialBoard
from host.link.link import Link

from .fault_port import Clock
from .fault_proxy import FaultProxy
from .protocol_model import ProtocolModel
from .timed_port import BYTE_BITS, TimedPort

#: Seconds that a USB adapter holds back an answer, unless it is told otherwise (FTDI's latency timer).
ADAPTER_DELAY = 0.016

#: Fastest line of the boards here.
BAUD = 3e6


def _trained(command: Command, payload: bytes) -> tuple[Status, bytes]:
    return Status.OK, bytes(ANSWERED_BYTES[command])


def _line(spec: Spec, window: int, baud: float, delay: float, seconds: float) -> tuple[Link, TimedPort]:
    """A link after its HELLO, with all that was counted set back."""
    clock = Clock()
    identity = Identity(spec.name, spec.identity, 0, 1, configuration(spec).lanes, window=window)
    model = ProtocolModel(identity, _trained, payload_bytes(spec), request_bytes(spec))
    port = TimedPort(model, clock, baud=baud, delay=delay, seconds=seconds)
    link = Link(port, "model", clock=clock, draw=lambda most: 0)
    link.hello()
    port.up = port.down = 0
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


@dataclass(frozen=True)
class Measured:
    """delay: seconds added to each round trip. window: requests in flight. share: of the speed without delay."""

    delay: float
    window: int
    samples_per_second: float
    share: float


def measured(spec: Spec, data: Data, delay: float, baud: float, *, samples: int = 64, rounds: int = 3) -> list[Measured]:
    """Training on the virtual board through a proxy: without delay, with `delay`, and with the delay that is as many bytes
    of the simulated line (one in 10 clock cycles) as `delay` is at `baud`; then with that one, but one request at a time.

    Medians over the rounds, as other programs share the machine.
    """
    images, labels = data.train_images[:samples].numpy(), data.train_labels[:samples].numpy()

    def train(url: str, delay: float, window: int) -> tuple[float, int]:
        """Seconds, and clock cycles that the core needed."""
        with FaultProxy(url, delay=delay) as proxy, SerialBoard(proxy.url, spec) as board:
            board.settle()
            board.write_settings(Settings.of(spec))
            board.load(initial(spec, 1))
            board.link.window = window
            start = time.monotonic()
            board.train(images, labels)
            seconds = time.monotonic() - start
            cycles = sum(board.cycles)
            board.commit()
        return seconds, cycles

    found: list[list[tuple[float, float, float]]] = [[], [], [], []]
    with virtual_board(spec) as virtual:
        windows = (*(virtual.board.window,) * 3, 1)
        for _ in range(rounds):
            whole, cycles = train(virtual.url, 0.0, windows[0])
            stretched = delay * baud * virtual.board.uart_divisor * whole / cycles
            for n, way in enumerate((0.0, delay, stretched, stretched)):
                seconds = train(virtual.url, way, windows[n])[0] if n else whole
                found[n].append((way, samples / seconds, whole / seconds))
    medians = np.median(np.array(found), axis=1)
    rows = zip(medians.tolist(), windows, strict=True)
    return [Measured(way, window, rate, share) for (way, rate, share), window in rows]
