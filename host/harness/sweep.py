"""Every single fault: one session, again for each way to damage one byte of it, in either direction.

The board is a model in this process (`host.harness.protocol_model`), and time is counted, not spent, so a session takes
milliseconds. What the board is told to execute must be what it was told in the healthy session, in order and once; then its
memory, and all that the host gets, are the same bit for bit.
"""

import functools
import multiprocessing
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from golden.contract.config import Config, configuration
from golden.contract.protocol import REQUEST_BYTES, Command, Status, payload_bytes, request_bytes
from golden.contract.spec import Spec
from golden.model.parameters import Parameters, initial
from golden.model.settings import Settings
from golden.training.data import Data, load
from host.boards.serial import SerialBoard
from host.link.link import Link
from plumbing.errors import NudgeError
from plumbing.progress import Meter

from .fault_port import Clock, FaultPort
from .faults import Kind, OneFault, single_faults
from .golden_device import GoldenDevice
from .protocol_model import ProtocolModel

#: Seconds of the model's time in which a session must end, whatever happens to it.
DEADLINE = 300.0

#: What a session told the host: predictions, samples committed, digests, all masters.
Outcome = tuple[bytes, int, tuple[int, ...], bytes]


@dataclass
class Executed:
    """Requests in the order of their execution, each with its answer; a replay checks and repeats them."""

    calls: list[tuple[Command, bytes, Status, bytes]] = field(default_factory=list)
    wrong: int = 0
    done: int = 0

    def __call__(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        if self.done == len(self.calls) or self.calls[self.done][:2] != (command, payload):
            self.wrong += 1
            return Status.BAD_ORDER, b""
        *_, status, answer = self.calls[self.done]
        self.done += 1
        return status, answer


@dataclass(frozen=True)
class Sweep:
    """A healthy session. up, down: bytes of it in each direction."""

    config: Config
    data: Data
    samples: int
    calls: Sequence[tuple[Command, bytes, Status, bytes]]
    outcome: Outcome
    up: int
    down: int

    @classmethod
    def record(cls, spec: Spec, samples: int = 4) -> "Sweep":
        """The session with the golden model behind the protocol."""
        config, data = configuration(spec), load("embedded", shown=spec.input)
        device, calls = GoldenDevice(config), []

        def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
            calls.append((command, payload, *device.execute(command, payload)))
            return calls[-1][2:]

        port = FaultPort(replace(device.protocol, execute=execute), Clock())
        outcome = session(port, config, data, samples)
        return cls(config, data, samples, calls, outcome, port.sent, port.answered)

    def try_fault(self, direction: str, fault: OneFault) -> str:
        """How the session ends with it: "complete", or the class of the error; "hang" and "wrong" must not happen."""
        executed, clock = Executed(list(self.calls)), Clock()
        identity, spec = GoldenDevice.identity_of(self.config), self.config.spec
        up, down = (fault if direction == way else None for way in ("up", "down"))
        model = ProtocolModel(identity, executed, payload_bytes(spec), request_bytes(spec))
        port = FaultPort(model, clock, up, down)
        try:
            outcome = session(port, self.config, self.data, self.samples)
        except NudgeError as error:
            ending = type(error).__name__
        else:
            ending = "complete" if outcome == self.outcome and executed.done == len(self.calls) else "wrong"
        if executed.wrong:
            return "wrong"
        return "hang" if clock.now > DEADLINE else ending


@functools.cache
def parameters(spec: Spec) -> Parameters:
    """The weights that a session loads."""
    return initial(spec, 1)


class LongFrames(Link):
    """Gives a bad line long frames too, so that a session with a fault asks for what the recorded one did."""

    length = REQUEST_BYTES


def session(port: FaultPort, config: Config, data: Data, samples: int) -> Outcome:
    """HELLO, settings, all weights, a batch, its commit, digests, and all weights back."""
    spec = config.spec
    link = LongFrames(port, "model", clock=port.clock, draw=random.Random(1).randrange)
    with SerialBoard.over(link, spec) as board:
        board.write_settings(Settings.of(spec))
        board.load(parameters(spec))
        predictions = board.train(data.train_images[:samples].numpy(), data.train_labels[:samples].numpy())
        committed, digest, masters = board.commit(), board.digest(), board.read()
    values = np.concatenate([tensor.numpy().reshape(-1) for part in masters for tensor in part])
    return predictions.tobytes(), committed, digest, values.tobytes()


#: A fault as processes pass it on: direction, byte number, kind, value.
Case = tuple[str, int, Kind, int]


def case_name(case: Case) -> str:
    """As `nudge board sweep` prints it, and takes it to try it again."""
    direction, at, kind, value = case
    return f"{direction}:{at}:{kind.value}:{value}"


def cases(sweep: Sweep) -> list[Case]:
    """Every single fault of a session."""
    lengths = {"up": sweep.up, "down": sweep.down}
    return [(way, f.at, f.kind, f.value) for way, length in lengths.items() for f in single_faults(length)]


_sweep: Sweep | None = None


def _begin(sweep: Sweep) -> None:
    global _sweep
    _sweep = sweep
    torch.set_num_threads(1)


def _try(case: Case) -> tuple[Case, str]:
    assert _sweep is not None
    direction, at, kind, value = case
    return case, _sweep.try_fault(direction, OneFault(at, kind, value))


def run(sweep: Sweep, chosen: Sequence[Case], processes: int = 1) -> tuple[Counter[str], list[tuple[Case, str]]]:
    """How many sessions ended in each way, and the faults that didn't end in "complete"."""
    context = multiprocessing.get_context("forkserver")
    with context.Pool(processes, _begin, (sweep,)) as pool, Meter("faults", len(chosen)) as meter:
        endings: Counter[str] = Counter()
        others = []
        for case, ending in pool.imap_unordered(_try, chosen, chunksize=50):
            endings[ending] += 1
            if ending != "complete":
                others.append((case, ending))
            meter.advance(1)
    return endings, others
