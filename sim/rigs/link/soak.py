"""A training run through faults of every kind, which ends with an undisturbed run's bits or with an error."""

import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from nudge.golden.contract.config import configuration
from nudge.golden.contract.spec import Spec
from nudge.golden.model.difference import first_master
from nudge.golden.model.parameters import Parameters
from nudge.golden.training.batch import Batch
from nudge.golden.training.data import Data
from nudge.golden.training.plan import Plan
from nudge.golden.training.recover import recovering, train
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard
from nudge.host.devices.serial import SerialBoard
from nudge.host.training.compare import Twin
from nudge.plumbing.errors import UsageError

from .targets import TARGETS, Attack, Modelled, Simulated

#: Largest number of returns to the checkpoint in a run.
RECOVERIES = 20


@dataclass
class Report:
    """Result of a run. link: the host's counters. board: the board's counters since its last reset."""

    samples: int
    weights: int
    faults: int
    events: dict[str, int]
    recovered: list[str]
    link: dict[str, int] = field(default_factory=dict)
    board: dict[str, int] = field(default_factory=dict)
    differing: int = 0

    def text(self) -> str:
        """Return the report as text."""
        happened = "".join(f", {count} {name}" for name, count in self.events.items())
        lines = [f"{self.faults} damaged bytes{happened}; {len(self.recovered)} returns to the checkpoint"]
        lines += [f"  {why}" for why in self.recovered]
        lines.append("host: " + ", ".join(f"{count} {name}" for name, count in self.link.items()))
        lines.append(
            "board, since it was last reset: "
            + ", ".join(f"{count} {name}" for name, count in self.board.items())
        )
        wrong = f"{self.differing} of {self.weights} weights differ from an undisturbed run's"
        equal = f"bit-identical to an undisturbed run: {self.weights} weights after {self.samples} samples"
        return "\n".join([*lines, wrong if self.differing else equal])


#: The board's registers in the report.
COUNTED = ("frames", "overruns", "duplicates", "bad_crc", "stored", "bad_image")


class Attacked(SerialBoard):
    """A board with events before chosen batches."""

    #: Applies the events.
    target: Modelled | Simulated
    #: Events by the number of the batch that they precede; each is removed when it happens.
    schedule: dict[int, list[str]]
    #: Number of the next batch.
    batch: int

    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        def attacked() -> Iterator[Batch]:
            for batch in batches:
                for event in self.schedule.pop(self.batch, []):
                    self.target.hit(event)
                self.batch += 1
                yield batch

        return super().train_batches(attacked())


def soak(spec: Spec, board: str, plan: Plan, data: Data, attack: Attack) -> Report:
    """Carry out `plan` under attack, and report events and differing weights.

    A checkpoint follows each commit, or each epoch if the attack is `stored`. After `RECOVERIES` returns to
    the checkpoint, the run's next error is raised, such as `LinkError`.
    """
    if board not in TARGETS:
        raise UsageError(f"--board {board}: a soak needs one of {', '.join(TARGETS)}")
    expected = undisturbed(spec, plan, data)
    batches = sum(len(list(plan.batches(epoch))) for epoch in range(plan.epochs))
    schedule = attack.schedule(batches)
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
                device.target, device.schedule, device.batch = target, schedule, run.done // plan.batch
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
        report.faults, report.events, report.link = target.hits, dict(target.happened), dict(link_counters)
    return report


def undisturbed(spec: Spec, plan: Plan, data: Data) -> Parameters:
    """Return the masters at the end of `plan` in the golden model."""
    with tempfile.TemporaryDirectory(prefix="nudge-soak-") as folder:
        run = Run.begin(plan, spec, Path(folder))
        run.writes = False
        train(run, GoldenBoard(configuration(spec), device=torch.device("cpu")), data, Stop())
        return run.parameters
