"""Training by several processes, each of which computes its share of every batch: the same bits, whatever their number.

    torchrun --nproc-per-node 4 -m golden.training.train --preset small --data mnist --epochs 10 --out runs/a

Updates are integers, so their sum over the processes has no rounding that could depend on who computed what. Weights,
metrics and checkpoints are those of `nudge train --board golden`, and either command resumes a run of the other.
`python -m golden.training.train` is the same with one process. Processes: gloo on CPUs, nccl with a GPU each (--device cuda).
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar

import numpy as np
import torch
import typer
from torch import Tensor
from torch import distributed as dist

from golden import progress
from golden.contract.errors import ExitCode, NudgeError, PlanError, ProcessError
from golden.contract.spec import Spec
from golden.model.fixed import FixedModel, Parameters, Result

from . import command
from .evaluate import evaluate
from .run import Run, Stop
from .run import train as run_train

T = TypeVar("T")

#: Seconds that the other processes leave the first to say what is wrong: torchrun ends all when one has ended.
REPORT_SECONDS = 10.0



@dataclass(frozen=True)
class World:
    """The processes, as torchrun's environment tells them. rank: from 0, over all machines; local: on this one."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def of_environment(cls) -> Self:
        names = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
        return cls(*(int(os.environ[name]) for name in names)) if all(name in os.environ for name in names) else cls()

    @property
    def threads(self) -> int:
        """This process's share of the processors."""
        return max(1, len(os.sched_getaffinity(0)) // self.local_size)

    @contextmanager
    def connected(self, device: str) -> Iterator[torch.device]:
        """While entered, collectives work; the device of this process."""
        if device not in ("cpu", "cuda"):
            raise PlanError(f"--device must be cpu or cuda, not {device!r}")
        if device == "cuda" and torch.cuda.device_count() < self.local_size:
            raise PlanError(f"--device cuda needs a GPU for each process: {torch.cuda.device_count()} for {self.local_size}")
        torch.set_num_threads(self.threads)
        place = torch.device("cpu")
        if device == "cuda":
            place = torch.device("cuda", self.local_rank)
            torch.cuda.set_device(place)
        if self.size == 1:
            yield place
            return
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        try:
            yield place
        finally:
            # what is said of a lost process is the error that led here, not that it can't be waited for now
            with suppress(RuntimeError):
                dist.destroy_process_group()

    def together(self, work: Callable[[], T]) -> T:
        """`work()` on each process; where one fails, all do, with the error of the first. None goes on before all are done."""
        error: Exception | None = None
        try:
            result = work()
        except NudgeError as caught:
            error = caught
        except OSError as caught:
            error = caught
        found: list[Exception | None] = [error]
        if self.size > 1:
            found *= self.size
            with self._not_alone():
                dist.all_gather_object(found, error)
        for first in found:
            if first is not None:
                raise first
        return result

    def sum(self, values: Tensor) -> None:
        """Integers summed over all processes, in place."""
        if self.size > 1:
            with self._not_alone():
                dist.all_reduce(values)

    @contextmanager
    def _not_alone(self) -> Iterator[None]:
        """A collective; `ProcessError` where another process has ended."""
        try:
            yield
        except RuntimeError as error:
            raise ProcessError(f"process {self.rank} of {self.size} lost another one: {error}") from None


class SharedStop(Stop):
    """True once all processes know that one of them was asked to stop, so that all stop after the same batch."""

    agreed = False

    def __bool__(self) -> bool:
        return self.agreed


class SharedModel(FixedModel):
    """A `FixedModel` in each process: they compute a share of a batch each, and all hold the same state and counters."""

    def __init__(self, spec: Spec, world: World, stop: SharedStop, device: torch.device):
        super().__init__(spec, device=device, threads=world.threads)
        self.world, self.stop = world, stop

    def _compute(self, images: Tensor | np.ndarray, labels: Tensor | np.ndarray | None) -> Result:
        share = slice(self.world.rank, None, self.world.size)
        part = super()._compute(images[share], None if labels is None else labels[share])
        predictions = torch.zeros(len(images), dtype=torch.int64, device=self.device)
        predictions[share] = part.predictions
        # one message: everything is int64, and zero where another process has the value
        others = torch.tensor([*part.spikes, self.stop.requested], dtype=torch.int64, device=self.device)
        tensors = [predictions, others, *part.updates.weights, *part.updates.biases]
        values = torch.cat([tensor.flatten() for tensor in tensors])
        self.world.sum(values)
        pieces = values.split([tensor.numel() for tensor in tensors])
        predictions, others, *updates = (piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True))
        *spikes, stops = others.tolist()
        self.stop.agreed = stops > 0
        bundles = len(self.spec.bundles)
        return Result(predictions, spikes, Parameters(tuple(updates[:bundles]), tuple(updates[bundles:])))


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def train(
    out: command.OutOption,
    preset_name: command.NetworkOption = None,
    data: command.TrainDataOption = None,
    data_dir: command.DirOption = None,
    samples: command.SamplesOption = None,
    epochs: command.EpochsOption = None,
    batch: command.BatchOption = None,
    seed: command.SeedOption = None,
    lr_scale: command.ScaleOption = None,
    decay: command.DecayOption = None,
    shift: command.ShiftOption = None,
    flip: command.FlipOption = None,
    average: command.AverageOption = None,
    beta: command.BetaOption = None,
    free_steps: command.FreeOption = None,
    nudged_steps: command.NudgedOption = None,
    resume: command.ResumeOption = False,
    force: command.ForceOption = False,
    device: Annotated[str, typer.Option(help="cpu, or cuda: a GPU for each process.")] = "cpu",
) -> int:
    """Train the golden model, then evaluate once on the test set; the weights don't depend on the number of processes."""
    given = locals()
    options = {name: given[name] for name in command.PLAN_OPTIONS}
    world = World.of_environment()
    asked: dict[str, Any] = {"preset_name": preset_name, "data": data, "samples": samples, "resume": resume, "force": force}
    with world.connected(device) as place:
        run, images = world.together(lambda: Run.prepare(out, data_dir, options, **asked))
        run.writes = world.rank == 0
        with SharedStop() as stop:
            model = SharedModel(run.spec, world, stop, place)
            rate = run_train(run, model, images, stop)
        done = run.epoch >= run.plan.epochs
        found = evaluate(model, images.test_images, images.test_labels) if done else None
        # together: none ends, which would end all, before the first has written
        world.together(lambda: run.plot(None if found is None else found.error_percent))
    if world.rank == 0 and found is None:
        print(f"interrupted after {run.done} of {run.plan.epochs * run.plan.samples} samples: ", end="")
        print(f"{run.weights} is usable, --resume continues it", flush=True)
    elif world.rank == 0 and found is not None:
        print(f"test error {found.error_percent:.2f} % ({found.errors} of {found.samples})")
        speed = f"{rate:.1f} training samples/s in {world.size} processes of {world.threads} threads"
        print(f"{speed}; weights, metrics and learning curve in {out}", flush=True)
    return ExitCode.OK if done else ExitCode.INTERRUPTED


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    first = World.of_environment().rank == 0
    if not first:
        progress.silence()
    code = command.run(app, "golden.training.train", arguments)
    if not first and code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        time.sleep(REPORT_SECONDS)
    return code


if __name__ == "__main__":
    sys.exit(main())
