"""A session byte by byte, for a test bench that knows nothing of the protocol: what to send, and what has to come back."""

import enum
from dataclasses import replace

from golden.contract.config import Config
from golden.contract.protocol import REQUEST_HEADER, Command, Identity
from golden.training.data import load
from host.link import frame

from .fault_port import Clock, FaultPort
from .golden_device import GoldenDevice
from .protocol_model import ProtocolModel
from .sweep import session


class Step(enum.IntEnum):
    """What a line of a script asks for; its low eight bits are the byte."""

    SEND = 0x000
    #: The next byte that comes back must be this one.
    EXPECT = 0x100
    #: Whatever comes back up to the end of an answer: it tells clock cycles.
    SKIP = 0x200
    END = 0x300


#: Answers that tell clock cycles, which a model has none of.
TIMED = (Command.TRAIN, Command.INFER, Command.COMMIT)


class Recorder(FaultPort):
    """A port that writes down what passes."""

    def __init__(self, protocol: ProtocolModel):
        super().__init__(protocol, Clock())
        self.script: list[int] = []

    def write(self, data: bytes) -> None:
        """To the board, a whole frame; its answer is there at once."""
        before = len(self._sending)
        super().write(data)
        self.script += [Step.SEND | byte for byte in data]
        answer = bytes(self._sending[before:])
        command = frame.unstuff_partly(data.strip(b"\0"))[0][REQUEST_HEADER - 1]
        self.script += [Step.SKIP] if command in TIMED else [Step.EXPECT | byte for byte in answer]


def script(config: Config, identity: Identity, samples: int = 1) -> list[int]:
    """HELLO, settings, all weights, training of `samples` embedded digits, commit, digests, and all weights back: `Step`s.

    identity: what HELLO answers. The answers are those of the golden model, so what a bench compares are its weights.
    """
    model = GoldenDevice(config).protocol
    recorder = Recorder(replace(model, identity=identity))
    session(recorder, config, load("embedded", shown=config.spec.input), samples)
    return [*recorder.script, Step.END]
