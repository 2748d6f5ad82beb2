"""Models the rate of a whole run: the real host, a modelled line, and a modelled board.

The board (`host.training.plain_board`) takes as many clock cycles as the gateware. Time is counted, not
measured (`host.training.timed_port`).
"""

import math
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    ASKED_BYTES,
    Command,
    Committed,
    Identity,
    Sampled,
    SampledStored,
    SampleRange,
)
from nudge.golden.contract.spec import Spec
from nudge.golden.contract.stored import CAPACITY
from nudge.golden.training.data import Data
from nudge.golden.training.loop import train
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.serial import SerialBoard
from nudge.host.link.link import Link

from .plain_board import PlainBoard
from .timed_port import Clock, TimedPort

#: Clock cycles to fetch a stored digit: 60 to find its record, then one for each coded byte and each pixel.
#: The core waits only for the first digit of a request.
FETCH_CYCLES = 60 + 208 + 784

#: Most clock cycles in which one entry of a request is checked; all are checked before the first fetch.
CHECK_CYCLES = 16

#: Clock cycles of other requests: for each request, byte of payload, and stored record read. The line takes
#: longer.
REQUEST_CYCLES, BYTE_CYCLES, RECORD_CYCLES = 100, 3, 60 + 256


@dataclass(frozen=True)
class Core:
    """Parameters of a board.

    clock_hz: of the core. baud: of the line. window: requests in flight. training: simulated clock cycles a
    sample, the mean over a whole batch and its commit. divisor: clock cycles of a bit on the line.
    """

    config: Config
    clock_hz: int
    baud: float
    window: int
    training: float
    divisor: int = 1

    @property
    def samples_per_second(self) -> float:
        """Training samples a second of the core alone."""
        return self.clock_hz / self.training

    @property
    def commit(self) -> int:
        """Lower bound of a commit's clock cycles: the words of the deepest master memory, one a cycle."""
        return max(layout.image_words(self.config, bundle) for bundle in self.config.spec.bundles)


class PacedBoard(PlainBoard):
    """A `PlainBoard` with the time of each request. batch: samples of a commit."""

    def __init__(self, core: Core, capacity: int):
        spec = core.config.spec
        facts = (spec.name, spec.identity, core.clock_hz, core.divisor, core.config.lanes)
        super().__init__(core.config, Identity(*facts, window=core.window, capacity=capacity))
        self.core, self.batch = core, spec.learning.batch
        self._pending, self._cycles = 0, 0.0

    def seconds(self) -> float:
        """Return the seconds that the last request took; resets them."""
        cycles, self._cycles = max(self._cycles, REQUEST_CYCLES), 0.0
        return cycles / self.core.clock_hz

    def execute(self, command: Command, payload: bytes) -> bytes:
        sample = self.core.training - self.core.commit / self.batch
        match command:
            case Command.TRAIN_STORED:
                count = len(payload) // ASKED_BYTES
                worked = count * sample + self.core.commit
                self._cycles = CHECK_CYCLES * count + FETCH_CYCLES + worked
                return SampledStored(bytes(count), round(worked)).encode()
            case Command.TRAIN:
                self._pending += 1
                self._cycles = sample
                return Sampled(0, round(sample)).encode()
            case Command.COMMIT if self._pending:
                self._cycles = self.core.commit
                done, self._pending = self._pending, 0
                return Committed(done, self.core.commit).encode()
            case Command.STORE_DIGEST:
                self._cycles = RECORD_CYCLES * SampleRange.decode(payload).count
        answer = super().execute(command, payload)
        self._cycles = max(self._cycles, BYTE_CYCLES * (len(payload) + len(answer)))
        return answer


@dataclass(frozen=True)
class Rates:
    """Rates of a modelled run. delay: seconds added to each round trip.

    core: training samples a second of the core alone. end_to_end: training samples a second from the first
    batch to the last commit, as `nudge train` reports it. upload: seconds for upload and comparison of all
    samples; None if they were streamed. whole: training samples a second with HELLO, upload, and the transfer
    of weights to the board and back.
    """

    delay: float
    core: float
    end_to_end: float
    upload: float | None
    whole: float

    @property
    def share(self) -> float:
        """`end_to_end` as a share of `core`, 0 to 1."""
        return self.end_to_end / self.core


def repeated(data: Data, samples: int) -> Data:
    """Return `samples` training samples: those of `data`, repeated as often as needed."""
    numbers = torch.arange(samples, device="cpu") % len(data.train_labels)
    return data._replace(train_images=data.train_images[numbers], train_labels=data.train_labels[numbers])


def run_rates(core: Core, spec: Spec, data: Data, epochs: int, delay: float, *, stored: bool = True) -> Rates:
    """Model a training of `epochs` epochs of all training samples, moved and mirrored; return its rates.

    stored: from the board's memory, if they fit; else streamed.
    """
    clock, plan = (
        Clock(),
        Plan.of(spec, "embedded", len(data.train_labels), epochs=epochs, shift=1, flip=True),
    )
    paced = PacedBoard(core, CAPACITY if stored else 0)
    port = TimedPort(paced, clock, baud=core.baud, delay=delay, seconds=paced.seconds)
    link = Link(port, "model", clock=clock, draw=random.Random(1).randrange)
    with SerialBoard.over(link, spec) as board, tempfile.TemporaryDirectory(prefix="nudge-rates-") as folder:
        board.settle()
        held = board.hold(data, plan.samples)
        run = Run.begin(plan, spec, Path(folder) / "run")
        run.clock, run.picture = clock, False
        rate = train(run, board, data, Stop())
        core_rate = board.core_rate() or math.nan
    return Rates(delay, core_rate, rate, held.seconds if held else None, run.done / clock.now)
