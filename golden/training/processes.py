"""Training by several processes, each of which computes its share of every batch.

    torchrun --nproc-per-node 4 -m nudge train --board golden --preset small

The number of processes changes no bit: updates are integers, so their sum has no rounding that could depend
on their order. Weights, metrics and checkpoints are those of one process, and any number of processes resumes
a run of any other number. Processes use gloo on CPUs, or nccl with a GPU each (--device cuda).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from nudge.golden.contract.spec import Spec
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.result import Result
from nudge.plumbing.errors import NudgeError, PlanError, ProcessError

from .ranks import Ranks
from .stop import Stop

T = TypeVar("T")


class World(Ranks):
    """The processes of a run, and their collective operations."""

    @property
    def threads(self) -> int:
        """This process's share of the processors."""
        return max(1, len(os.sched_getaffinity(0)) // self.local_size)

    def place(self, device: str) -> torch.device:
        """Return this process's device; `PlanError` if it can't be used. device: cpu or cuda."""
        if device not in ("cpu", "cuda"):
            raise PlanError(f"--device must be cpu or cuda, not {device!r}")
        if device == "cpu":
            return torch.device("cpu")
        if torch.cuda.device_count() < self.local_size:
            raise PlanError(
                f"--device cuda needs a GPU for each process: {torch.cuda.device_count()} for "
                f"{self.local_size}"
            )
        return torch.device("cuda", self.local_rank)

    @contextmanager
    def connected(self, place: torch.device) -> Iterator[None]:
        """While entered, collective operations work. place: the device of their tensors."""
        if place.type == "cuda":
            torch.cuda.set_device(place)
        if self.size == 1:
            yield
            return
        torch.set_num_threads(self.threads)
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
        try:
            yield
        finally:
            # report the error that led here, not that a lost process can't be awaited
            with suppress(RuntimeError):
                dist.destroy_process_group()

    def together(self, work: Callable[[], T]) -> T:
        """Call `work()` on each process; return its result when all are done.

        If one process fails, all raise the error of the first one that failed.
        """
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
        """Sum integers over all processes, in place."""
        if self.size > 1:
            with self._not_alone():
                dist.all_reduce(values)

    @contextmanager
    def _not_alone(self) -> Iterator[None]:
        """Wrap a collective operation: `ProcessError` if another process has ended."""
        try:
            yield
        except RuntimeError as error:
            raise ProcessError(f"process {self.rank} of {self.size} lost another one: {error}") from None


class SharedStop(Stop):
    """True once all processes know that one of them was asked to stop: all stop after the same batch."""

    agreed = False

    def __bool__(self) -> bool:
        return self.agreed


class SharedModel(FixedModel):
    """A `FixedModel` in each process: each computes a share of a batch, and all hold the same state."""

    def __init__(self, spec: Spec, world: World, stop: SharedStop, device: torch.device):
        super().__init__(spec, device=device, threads=world.threads)
        self.world, self.stop = world, stop

    def _compute(self, images: Tensor, labels: Tensor | None) -> Result:
        share = slice(self.world.rank, None, self.world.size)
        part = super()._compute(images[share], None if labels is None else labels[share])
        predictions = torch.zeros(len(images), dtype=torch.int64, device=self.device)
        predictions[share] = part.predictions
        # one message: everything is int64, and zero where another process has the value
        others = torch.tensor([*part.spikes, self.stop.requested], dtype=torch.int64, device=self.device)
        updates = [tensor for group in part.updates for tensor in group]
        tensors = [predictions, others, *updates]
        values = torch.cat([tensor.flatten() for tensor in tensors])
        self.world.sum(values)
        pieces = values.split([tensor.numel() for tensor in tensors])
        predictions, others, *updates = (
            piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)
        )
        *spikes, stops = others.tolist()
        self.stop.agreed = stops > 0
        rest = iter(updates)
        return Result(
            predictions, spikes, Parameters(*(tuple(next(rest) for _ in group) for group in part.updates))
        )
