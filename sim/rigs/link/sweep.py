"""Every single fault: one session, again for each way to damage one byte of it, in either direction.

The board is a model in this process (`sim.rigs.modelled.protocol_model`), and time is counted, not spent, so a session takes
milliseconds. What the board is told to execute must be what it was told in the healthy session, in order and once; then its
memory, and all that the host gets, are the same bit for bit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from golden.contract.config import Config, configuration
from golden.contract.protocol import Command, Status, payload_bytes, request_bytes
from golden.contract.spec import Spec
from golden.training.data import Data, load
from host.training.script import Outcome, over, session
from host.training.timed_port import Clock
from plumbing.errors import NudgeError
from plumbing.progress import Meter
from sim.rigs.modelled.fault_port import FaultPort
from sim.rigs.modelled.faults import Kind, OneFault, single_faults
from sim.rigs.modelled.golden_device import GoldenDevice
from sim.rigs.modelled.protocol_model import ProtocolModel

#: Seconds of the model's time in which a session must end, whatever happens to it.
DEADLINE = 300.0


#: A fault: direction, byte number, kind, value.
Case = tuple[str, int, Kind, int]


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
        with over(port, spec) as board:
            outcome = session(board, data, samples)
        return cls(config, data, samples, calls, outcome, port.sent, port.answered)

    def try_fault(self, case: Case) -> str:
        """How the session ends with it: "complete", or the class of the error; "hang" and "wrong" must not happen."""
        executed, clock = Executed(list(self.calls)), Clock()
        identity, spec = GoldenDevice.identity_of(self.config), self.config.spec
        up, down = (OneFault(*case[1:]) if case[0] == way else None for way in ("up", "down"))
        model = ProtocolModel(identity, executed, payload_bytes(spec), request_bytes(spec))
        port = FaultPort(model, clock, up, down)
        try:
            with over(port, spec) as board:
                outcome = session(board, self.data, self.samples)
        except NudgeError as error:
            ending = type(error).__name__
        else:
            ending = "complete" if outcome == self.outcome and executed.done == len(self.calls) else "wrong"
        if executed.wrong:
            return "wrong"
        return "hang" if clock.now > DEADLINE else ending


def case_name(case: Case) -> str:
    """As a sweep prints it, and `--fault` takes it to try it again."""
    direction, at, kind, value = case
    return f"{direction}:{at}:{kind.value}:{value}"


def cases(sweep: Sweep) -> list[Case]:
    """Every single fault of a session."""
    lengths = {"up": sweep.up, "down": sweep.down}
    return [(way, *fault) for way, length in lengths.items() for fault in single_faults(length)]


def run(sweep: Sweep, chosen: Sequence[Case]) -> tuple[Counter[str], list[tuple[Case, str]]]:
    """How many sessions ended in each way, and the faults that didn't end in "complete"."""
    endings: Counter[str] = Counter()
    others = []
    with Meter("faults", len(chosen)) as meter:
        for case in chosen:
            ending = sweep.try_fault(case)
            endings[ending] += 1
            if ending != "complete":
                others.append((case, ending))
            meter.advance(1)
    return endings, others
