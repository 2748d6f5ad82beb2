"""Peak memory of one training step in a separate process: `python -m nudge.paper.studies.peak '{"rule": "ep",
...}'`.

Prints a number of bytes: on a CPU the peak resident set during the step minus the resident set after the
imports, on CUDA the peak of torch's allocations. It includes weights, states and temporaries.
"""

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from nudge.golden.training import data
from nudge.paper.systems import backprop, equilibrium
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.own import two_conv_two_dense
from nudge.paper.systems.published import TABLE_I
from nudge.paper.systems.train import pixels


@dataclass(frozen=True)
class Job:
    """One training step."""

    #: "ep" or "bptt".
    rule: str
    spiking: bool
    #: Steps of all phases together; equilibrium propagation has a sixth of them in each nudged phase.
    steps: int
    #: Channels of both convolutions and hidden units of 2C2FC.
    widths: tuple[int, int, int]
    batch: int = 10
    device: str = "cpu"

    @classmethod
    def read(cls, text: str) -> "Job":
        """Parse a job from JSON."""
        facts = json.loads(text)
        return cls(**facts | {"widths": tuple(facts["widths"])})

    def write(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    def dynamics(self, steps: int) -> Dynamics:
        """Return Table I's dynamics for MNIST with this number of steps."""
        best, nudged = TABLE_I["mnist"], max(steps // 6, 1)
        free = steps - 2 * nudged if self.rule == "ep" else steps
        one = Dynamics(free, nudged, 1, best.prediction, best.rate, best.beta, image_spikes=True)
        return one if self.spiking else replace(one, spiking=False, image_spikes=False)


def resident(peak: bool) -> int:
    """Return this process's resident set in bytes: the current one, or the peak since the last `forget`."""
    name = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def forget() -> None:
    """Reset the peak to the current resident set."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(job: Job) -> int:
    """Do the training step and return its peak memory in bytes."""
    digits = data.load("embedded")
    labels = digits.train_labels[: job.batch].to(job.device)
    rule = equilibrium.update if job.rule == "ep" else backprop.update
    # as in the paper: cross-entropy for the network without spikes, and pooling after the convolution
    network = replace(two_conv_two_dense(*job.widths, softmax=not job.spiking), fold=False)
    forget()
    before = resident(peak=False)
    parameters = network.initial(1, device=job.device)
    x = pixels(digits.train_images[: job.batch], job.device)
    rule(network, job.dynamics(job.steps), parameters, x, labels)
    return torch.cuda.max_memory_allocated() if job.device == "cuda" else resident(peak=True) - before


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(measure(Job.read(sys.argv[1])))
