"""A session byte by byte, for a test bench that knows nothing of the protocol: what to send, and what has to come back."""

import enum
import functools
import random

import numpy as np

from golden.contract.config import Config
from golden.contract.protocol import ANSWER, REQUEST_BYTES, Command, Identity
from golden.contract.spec import Spec
from golden.model import weight_image
from golden.model.parameters import Parameters, initial
from golden.model.settings import Settings
from golden.training.data import Data, load
from host.boards.golden import GoldenBoard
from host.boards.interface import OpenBoard
from host.boards.serial import SerialBoard
from host.link import frame
from host.link.link import Link

from .plain_board import PlainBoard
from .timed_port import Clock, TimedPort


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

#: What a session told the host: predictions, samples committed, digests, all masters.
Outcome = tuple[bytes, int, tuple[int, ...], bytes]


@functools.cache
def parameters(spec: Spec) -> Parameters:
    """The weights that a session loads."""
    return initial(spec, 1)


def session(board: OpenBoard, data: Data, samples: int) -> Outcome:
    """Settings, all weights, a batch, its commit, digests, and all weights back."""
    board.write_settings(Settings.of(board.spec))
    board.load(parameters(board.spec))
    predictions = board.train(data.train_images[:samples].numpy(), data.train_labels[:samples].numpy())
    committed, digest, masters = board.commit(), board.digest(), board.read()
    values = np.concatenate([tensor.numpy().reshape(-1) for part in masters for tensor in part])
    return predictions.tobytes(), committed, digest, values.tobytes()


class LongFrames(Link):
    """Sends long frames from the first one on, and on a bad line too, so that each session asks for the same."""

    length = REQUEST_BYTES


def over(port: TimedPort, spec: Spec) -> SerialBoard:
    """The board behind a port, with sequence numbers that are always the same; HELLO is sent and answered."""
    return SerialBoard.over(LongFrames(port, "model", clock=port.clock, draw=random.Random(1).randrange), spec)


class Recorder(PlainBoard):
    """Writes down what passes. trained: its masters after the batch."""

    def __init__(self, config: Config, identity: Identity, trained: Parameters):
        super().__init__(config, identity)
        self._trained = weight_image.pack_all(config, trained)
        self.script = [int(Step.SEND)]  # the zero byte before HELLO

    def answer(self, piece: bytes) -> bytes:
        body = super().answer(piece)
        command = body[2] - ANSWER
        self.script += [Step.SEND | byte for byte in piece + b"\0"]
        self.script += [Step.SKIP] if command in TIMED else [Step.EXPECT | byte for byte in frame.encode_answer(body)]
        if command == Command.TRAIN:
            self.images = self._trained
        return body


def script(config: Config, identity: Identity, samples: int = 1) -> list[int]:
    """HELLO, settings, all weights, training of `samples` embedded digits, commit, digests, and all weights back: `Step`s.

    identity: what HELLO answers. The answers are those of the golden model, so what a bench compares are its weights.
    """
    model, data = GoldenBoard(config), load("embedded", shown=config.spec.input)
    session(model, data, samples)
    recorder = Recorder(config, identity, model.read())
    with over(TimedPort(recorder, Clock()), config.spec) as board:
        session(board, data, samples)
    return [*recorder.script, Step.END]
