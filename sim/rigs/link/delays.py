"""The virtual board's training rate over an adapter's delay, with requests in flight, in wall-clock time."""

import time
from dataclasses import dataclass

import numpy as np

from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import Data
from nudge.host.devices.open import virtual_board
from nudge.host.devices.serial import SerialBoard

from .fault_proxy import FaultProxy


@dataclass(frozen=True)
class Measured:
    """A measured training rate.

    delay: seconds added to each round trip. window: requests in flight. share: rate relative to
    that without delay.
    """

    delay: float
    window: int
    samples_per_second: float
    share: float


def measured(
    spec: Spec, data: Data, delay: float, baud: float, *, samples: int = 64, rounds: int = 3
) -> list[Measured]:
    """Measure training on the virtual board through a proxy, in four configurations.

    1. without delay; 2. with `delay`; 3. with a stretched delay, in which the simulated line carries as many
    bytes as a line of `baud` does in `delay`; 4. with the stretched delay and one request at a time.

    Each result is the median over the rounds, because other programs share the machine.
    """
    images, labels = data.train_images[:samples].numpy(), data.train_labels[:samples].numpy()

    def train(url: str, delay: float, window: int) -> tuple[float, int]:
        """Return the seconds of a training, and the core's clock cycles."""
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
