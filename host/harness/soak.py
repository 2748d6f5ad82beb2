"""A training run through faults of every kind: it ends with the bits of a run without any, or says why not."""

import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from golden.contract.config import configuration
from golden.contract.errors import UsageError
from golden.contract.spec import Spec
from golden.contract.stored import LOG_AT
from golden.model.difference import first_master
from golden.model.parameters import Parameters
from golden.training.batch import Batch
from golden.training.data import Data
from golden.training.plan import Plan
from golden.training.recover import recovering, train
from golden.training.run import Run
from golden.training.stop import Stop
from host.boards.golden import GoldenBoard
from host.boards.open import virtual_board
from host.boards.serial import SerialBoard
from host.link.link import Link

from .compare import Twin
from .fault_port import Clock, FaultPort
from .fault_proxy import FaultProxy
from .faults import Kind, RandomFaults
from .golden_device import GoldenDevice

#: Times that a run may go back to its checkpoint.
RECOVERIES = 20

#: Memory of the modelled board: room for the embedded digits.
MODELLED_BYTES = 1 << 20

#: Words of the virtual board's log that are damaged: those of the first twenty digits.
DAMAGED_WORDS = 2000

#: Seconds of a stall, less than a host's patience, and of the patience.
STALL, TIMEOUT = 1.5, 10.0


@dataclass(frozen=True)
class Attack:
    """What happens to a run. rate: faults for each byte, both ways. Then how often in the run, before which batch is drawn:
    resets of the board, flipped bits of its memories, disconnections, stalls, flipped bits of stored samples.

    stored: the board trains from its memory, and is told batches ahead; a checkpoint is made after each epoch, not each commit.
    """

    rate: float = 0.0
    seed: int = 0
    resets: int = 0
    flips: int = 0
    disconnects: int = 0
    stalls: int = 0
    damages: int = 0
    stored: bool = False
    kinds: tuple[Kind, ...] = tuple(Kind)

    def schedule(self, batches: int) -> dict[int, list[str]]:
        """Events by number of the batch that they come before."""
        chooser = random.Random(f"{self.seed} events")
        events: dict[int, list[str]] = {}
        for name in ("resets", "flips", "disconnects", "stalls", "damages"):
            for _ in range(getattr(self, name)):
                events.setdefault(chooser.randrange(1, max(batches, 2)), []).append(name.removesuffix("s"))
        return events

    @property
    def twin(self) -> bool:
        """Whether only a twin would notice."""
        return self.flips > 0


@dataclass
class Report:
    """How a run ended, if it did. link: the host's counters. board: the board's, since it was last reset."""

    samples: int
    weights: int
    faults: int
    events: dict[str, int]
    recovered: list[str]
    link: dict[str, int] = field(default_factory=dict)
    board: dict[str, int] = field(default_factory=dict)
    differing: int = 0

    def text(self) -> str:
        """For people."""
        happened = "".join(f", {count} {name}" for name, count in self.events.items())
        lines = [f"{self.faults} damaged bytes{happened}; {len(self.recovered)} returns to the checkpoint"]
        lines += [f"  {why}" for why in self.recovered]
        lines.append("host: " + ", ".join(f"{count} {name}" for name, count in self.link.items()))
        lines.append("board, since it was last reset: " + ", ".join(f"{count} {name}" for name, count in self.board.items()))
        wrong = f"{self.differing} of {self.weights} weights differ from an undisturbed run's"
        equal = f"bit-identical to an undisturbed run: {self.weights} weights after {self.samples} samples"
        return "\n".join([*lines, wrong if self.differing else equal])


class Target:
    """A board under attack. connect: a link to it. hit: makes an event happen. hits: bytes damaged so far. pause: waits."""

    def __init__(
        self,
        connect: Callable[[], Link],
        hit: Callable[[str], None],
        hits: Callable[[], int],
        pause: Callable[[float], None] = time.sleep,
    ):
        self.connect, self.hit, self.hits, self.pause = connect, hit, hits, pause


@contextmanager
def modelled(spec: Spec, attack: Attack) -> Iterator[Target]:
    """The golden model behind a line in this process, in time that is counted: no simulator, and always the same run."""
    config, clock = configuration(spec), Clock()
    up, down = (RandomFaults(attack.rate, attack.seed, way, attack.kinds) for way in ("up", "down"))
    capacity = MODELLED_BYTES if attack.stored else 0
    device = GoldenDevice(config, capacity)
    port = FaultPort(device.protocol, clock, up, down)
    chooser = random.Random(f"{attack.seed} bits")
    draws = random.Random(f"{attack.seed} draws")

    def hit(event: str) -> None:
        nonlocal device
        match event:
            case "reset":
                device = GoldenDevice(config, capacity)
                port.protocol = device.protocol
            case "flip":
                device.flip(chooser)
            case "damage":
                device.flip_stored(chooser)
            case "disconnect":
                port.cut()
            case "stall":
                clock.now += STALL

    def connect() -> Link:
        port.join()
        return Link(port, "model", timeout=TIMEOUT, clock=clock, draw=draws.randrange)

    def pause(seconds: float) -> None:
        clock.now += seconds

    yield Target(connect, hit, lambda: up.hits + down.hits, pause)


@contextmanager
def simulated(spec: Spec, attack: Attack) -> Iterator[Target]:
    """The virtual board behind a proxy."""
    up, down = (RandomFaults(attack.rate, attack.seed, way, attack.kinds) for way in ("up", "down"))
    chooser = random.Random(f"{attack.seed} bits")
    with virtual_board(spec, memory=attack.stored) as virtual, FaultProxy(virtual.url, up, down) as proxy:

        def hit(event: str) -> None:
            match event:
                case "reset":
                    virtual.reset()
                case "flip":
                    memories = {name: size for name, size in virtual.memories.items() if name.startswith("core.")}
                    name, (words, bits) = chooser.choice(sorted(memories.items()))
                    virtual.flip(name, chooser.randrange(words), chooser.randrange(bits))
                case "damage":
                    virtual.flip("sdram.chip.words", LOG_AT + chooser.randrange(DAMAGED_WORDS), chooser.randrange(16))
                case "disconnect":
                    proxy.disconnect()
                case "stall":
                    proxy.stall(STALL)

        yield Target(lambda: Link.open(proxy.url, timeout=TIMEOUT), hit, lambda: up.hits + down.hits)


#: Of the board, in the report.
COUNTED = ("frames", "overruns", "duplicates", "bad_crc", "stored", "bad_image")

#: By the word after --board.
TARGETS = {"sim": simulated, "golden": modelled}


class Attacked(SerialBoard):
    """A board to which events happen before the batches that `schedule` says; each happens once."""

    schedule: dict[int, list[str]]
    target: Target
    happened: Counter[str]
    batch = 0

    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        def attacked() -> Iterator[Batch]:
            for batch in batches:
                for event in self.schedule.pop(self.batch, []):
                    self.happened[event] += 1
                    self.target.hit(event)
                self.batch += 1
                yield batch

        return super().train_batches(attacked())


def soak(spec: Spec, board: str, plan: Plan, data: Data, attack: Attack) -> Report:
    """Carry out `plan` under attack, a checkpoint after each commit; what happened, and how many weights are wrong.

    Raises what the run raises when it can't go on: `LinkError` and so on, after `RECOVERIES` returns to the checkpoint.
    """
    if board not in TARGETS:
        raise UsageError(f"--board {board}: a soak needs one of {', '.join(TARGETS)}")
    expected = undisturbed(spec, plan, data)
    batches = sum(len(list(plan.batches(epoch))) for epoch in range(plan.epochs))
    schedule, happened = attack.schedule(batches), Counter[str]()
    link_counters: Counter[str] = Counter()
    with ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nudge-soak-")))
        target = stack.enter_context(TARGETS[board](spec, attack))
        run = Run.begin(plan, spec, out)
        run.every, run.picture = math.inf if attack.stored else 0.0, False
        report = Report(plan.epochs * plan.samples, spec.parameters, 0, {}, [])

        @contextmanager
        def connect() -> Iterator[Attacked]:
            link = target.connect()
            try:
                device = Attacked.over(link, spec)
                device.schedule, device.target, device.happened = schedule, target, happened
                device.batch = run.done // plan.batch
                device.settle()
                yield device
            finally:
                link_counters.update(vars(link.counters) | {"damaged": link.damaged})
                link.close()

        def work(run: Run, device: Attacked) -> None:
            if attack.stored and device.hold(data, plan.samples) is None:
                raise UsageError(f"--stored: {device.name} has no memory for samples, or too little")
            train(run, Twin(device) if attack.twin else device, data, Stop())
            values = device.registers()
            report.board = {name: values[name] for name in COUNTED if name in values}

        for fault in recovering(run, connect, work, RECOVERIES, pause=target.pause):
            report.recovered.append(str(fault))
        difference = first_master(run.parameters, expected)
        report.differing = 0 if difference is None else difference.differing
        report.faults, report.events, report.link = target.hits(), dict(happened), dict(link_counters)
    return report


def undisturbed(spec: Spec, plan: Plan, data: Data) -> Parameters:
    """The masters that `plan` ends with in the golden model."""
    with tempfile.TemporaryDirectory(prefix="nudge-soak-") as folder:
        run = Run.begin(plan, spec, Path(folder))
        run.writes = False
        train(run, GoldenBoard(configuration(spec), device=torch.device("cpu")), data, Stop())
        return run.parameters
