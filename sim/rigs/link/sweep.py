"""Repeat one session for every way to damage a single byte, in either direction.

The board is a model in this process (`sim.rigs.modelled.protocol_model`), and time is simulated, so a session
takes milliseconds. The board must execute the same requests as in the healthy session, each once and in
order; then its memory and all results on the host are equal bit for bit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.protocol import Command, Status, payload_bytes, request_bytes
from nudge.golden.contract.spec import Spec
from nudge.golden.training.data import Data, load
from nudge.host.training.script import Outcome, over, session
from nudge.host.training.timed_port import Clock
from nudge.plumbing.errors import NudgeError
from nudge.plumbing.progress import Meter
from sim.rigs.modelled.fault_port import FaultPort
from sim.rigs.modelled.faults import Kind, OneFault, single_faults
from sim.rigs.modelled.golden_device import GoldenDevice
from sim.rigs.modelled.protocol_model import ProtocolModel

#: Simulated seconds in which every session must end.
DEADLINE = 300.0


#: A fault: direction, byte number, kind, value.
Case = tuple[str, int, Kind, int]


@dataclass
class Executed:
    """Executor that replays recorded requests and answers, and counts differing requests as `wrong`."""

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
    """A recorded healthy session. up, down: number of bytes in each direction."""

    config: Config
    data: Data
    samples: int
    calls: Sequence[tuple[Command, bytes, Status, bytes]]
    outcome: Outcome
    up: int
    down: int

    @classmethod
    def record(cls, spec: Spec, samples: int = 4) -> "Sweep":
        """Record the session with the golden model behind the protocol."""
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
        """Repeat the session with a fault.

        Returns "complete", the name of the error's class, or one of the failures "hang" and "wrong".
        """
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
    """Return a fault in the form that a sweep prints and `--fault` accepts."""
    direction, at, kind, value = case
    return f"{direction}:{at}:{kind.value}:{value}"


def cases(sweep: Sweep) -> list[Case]:
    """Return all single faults of a session."""
    lengths = {"up": sweep.up, "down": sweep.down}
    return [(way, *fault) for way, length in lengths.items() for fault in single_faults(length)]


def run(sweep: Sweep, chosen: Sequence[Case]) -> tuple[Counter[str], list[tuple[Case, str]]]:
    """Try faults; return the number of sessions by ending, and the faults that didn't end "complete"."""
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
