"""How much of its speed the virtual board keeps over an adapter's delay, with requests in flight: in wall-clock time."""

import time
from dataclasses import dataclass

import numpy as np

from golden.contract.spec import Spec
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training.data import Data
from host.boards.open import virtual_board
from host.boards.serial import SerialBoard

from .fault_proxy import FaultProxy


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
