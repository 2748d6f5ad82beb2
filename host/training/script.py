"""A session as a script of bytes to send and bytes to expect, for a bench without the protocol."""

import enum
import functools
import random

import numpy as np

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import ANSWER, REQUEST_BYTES, Command, Identity
from nudge.golden.contract.spec import Spec
from nudge.golden.model import weight_image
from nudge.golden.model.parameters import Parameters, initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import Data, load
from nudge.host.devices.golden import GoldenBoard
from nudge.host.devices.interface import OpenBoard
from nudge.host.devices.serial import SerialBoard
from nudge.host.link import frame
from nudge.host.link.link import Link

from .plain_board import PlainBoard
from .timed_port import Clock, TimedPort


class Step(enum.IntEnum):
    """Kind of an entry of a script, in its bits 8 and 9; bits 0 to 7 are the byte."""

    SEND = 0x000
    #: The next received byte must be this one.
    EXPECT = 0x100
    #: Skip the received bytes up to the end of an answer, which has clock cycles.
    SKIP = 0x200
    END = 0x300


#: Commands whose answers have clock cycles, which the model doesn't know.
TIMED = (Command.TRAIN, Command.INFER, Command.COMMIT)

#: Result of a session: predictions, number of samples committed, digests, all masters.
Outcome = tuple[bytes, int, tuple[int, ...], bytes]


@functools.cache
def parameters(spec: Spec) -> Parameters:
    """Return the weights that a session loads."""
    return initial(spec, 1)


def session(board: OpenBoard, data: Data, samples: int) -> Outcome:
    """Write settings and all weights, train a batch, commit it, read digests and all weights."""
    board.write_settings(Settings.of(board.spec))
    board.load(parameters(board.spec))
    predictions = board.train(data.train_images[:samples].numpy(), data.train_labels[:samples].numpy())
    committed, digest, masters = board.commit(), board.digest(), board.read()
    values = np.concatenate([tensor.numpy().reshape(-1) for part in masters for tensor in part])
    return predictions.tobytes(), committed, digest, values.tobytes()


class LongFrames(Link):
    """A link whose frames have the same length in every session: the longest, also on a bad line."""

    length = REQUEST_BYTES


def over(port: TimedPort, spec: Spec) -> SerialBoard:
    """Return the board behind a port, after HELLO, with reproducible sequence numbers."""
    return SerialBoard.over(
        LongFrames(port, "model", clock=port.clock, draw=random.Random(1).randrange), spec
    )


class Recorder(PlainBoard):
    """Records a session as a script. trained: the weights that it answers after the batch."""

    def __init__(self, config: Config, identity: Identity, trained: Parameters):
        super().__init__(config, identity)
        self._trained = weight_image.pack_all(config, trained)
        self.script = [int(Step.SEND)]  # the zero byte before HELLO

    def answer(self, piece: bytes) -> bytes:
        body = super().answer(piece)
        command = body[2] - ANSWER
        self.script += [Step.SEND | byte for byte in piece + b"\0"]
        self.script += (
            [Step.SKIP] if command in TIMED else [Step.EXPECT | byte for byte in frame.encode_answer(body)]
        )
        if command == Command.TRAIN:
            self.images = self._trained
        return body


def script(config: Config, identity: Identity, samples: int = 1) -> list[int]:
    """Return a script, each entry a `Step` plus a byte: HELLO, then `session` with `samples` embedded digits.

    identity: of the HELLO answer. The digests and weights expected are the golden model's.
    """
    model, data = GoldenBoard(config), load("embedded", shown=config.spec.input)
    session(model, data, samples)
    recorder = Recorder(config, identity, model.read())
    with over(TimedPort(recorder, Clock()), config.spec) as board:
        session(board, data, samples)
    return [*recorder.script, Step.END]
