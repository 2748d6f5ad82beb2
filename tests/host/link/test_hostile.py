"""What others say on a port ends in one of the host's errors, in bounded time and memory, whatever it is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.contract.config import configuration
from golden.contract.presets import preset
from golden.contract.protocol import (
    ANSWER,
    ANSWER_PAYLOAD,
    ASKED_BYTES,
    VALUE_BYTES,
    VERSION,
    Command,
    Identity,
    Status,
)
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training import data
from golden.training.batch import Batch
from host.boards.serial import SerialBoard
from host.harness.fault_port import Clock, FaultPort
from host.harness.protocol_model import ProtocolModel
from host.link import frame
from host.link.link import Link
from plumbing.errors import IdentityError, NudgeError
from tests.fuzz import ends, examples

TINY = preset("tiny")
IDENTITY = Identity("tiny", TINY.identity, 48_000_000, 1, configuration(TINY).lanes)
ROOM = ANSWER_PAYLOAD

#: Seconds of the port's time in which every session must end.
DEADLINE = 600.0


def session(port: FaultPort) -> None:
    """What a host asks of a board."""
    with SerialBoard.over(Link(port, "port", clock=port.clock, draw=lambda most: 0), TINY) as board:
        board.settle()
        board.registers()
        board.write_settings(Settings.of(TINY))
        board.load(initial(TINY, 1))
        board.train(np.zeros((3, 28, 28), np.uint8), np.arange(3))
        board.commit()
        board.digest()
        board.read()


class Babbler(FaultPort):
    """Says the next of its lines whenever it is written to, or read from in vain; in the end nothing."""

    def __init__(self, lines: list[bytes]):
        super().__init__(None, Clock())
        self.lines = lines[::-1]

    def write(self, data: bytes) -> None:
        if self.lines:
            self.say(self.lines.pop())

    def read(self, size: int) -> bytes:
        if not self._sending and self.timeout and self.lines:
            self.say(self.lines.pop())
        return super().read(size)


def encoded(sequence: int, command: int, status: int, payload: bytes) -> bytes:
    """An answer on the wire."""
    return frame.encode_answer(bytes((VERSION, sequence, command | ANSWER, status)) + payload)


#: Bodies that could be answers: the right version, a number that a host draws (1 and on), any command and status.
answers = st.builds(
    encoded,
    st.integers(0, 12),
    st.sampled_from(list(Command)) | st.integers(0, 127),
    st.sampled_from([*Status, max(Status) + 1, 255]),
    st.binary(max_size=ROOM) | st.just(IDENTITY.encode()),
)
lines = answers | st.binary(max_size=300) | answers.map(lambda data: data[:-3] + data[-2:])


@examples(150)
@given(st.lists(lines, max_size=40))
def test_whatever_a_port_says_ends_in_an_error_or_well(said):
    port = Babbler(said)
    with pytest.raises(NudgeError):
        session(port)
    assert port.clock.now < DEADLINE


@examples(100)
@given(st.lists(st.tuples(st.sampled_from(Status), st.binary(max_size=ROOM)), min_size=1, max_size=60), st.booleans())
def test_a_board_that_answers_nonsense_is_told_apart(replies, lengths):
    """lengths: answers at least have the length that they should."""
    sizes = {Command.READ_REGISTER: 4, Command.COMMIT: 6, Command.TRAIN: 5, Command.DIGEST: 4}
    count = 0

    def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
        nonlocal count
        status, answer = replies[count % len(replies)]
        count += 1
        if lengths:
            size = payload[-1] * 2 * IDENTITY.lanes[payload[0]] if command is Command.READ_WEIGHTS else sizes.get(command, 0)
            return Status.OK, answer.ljust(size, b"\7")[:size]
        return status, answer if status is Status.OK else b""

    port = FaultPort(ProtocolModel(IDENTITY, execute), Clock())
    ends(lambda: session(port), NudgeError)
    assert port.clock.now < DEADLINE


def stored_session(port: FaultPort) -> None:
    """What a host asks of a board with memory for samples."""
    digits = data.load("embedded")
    few = data.Data(*(tensor[:6] for tensor in digits))
    with SerialBoard.over(Link(port, "port", clock=port.clock, draw=lambda most: 0), TINY) as board:
        board.hold(few, 6)
        list(board.train_batches(Batch(few, np.arange(6)) for _ in range(3)))
        board.hold(few, 6, test=True)
        list(board.infer_batches([Batch(few, np.arange(6), test=True)]))


@examples(60)
@given(st.lists(st.tuples(st.sampled_from(Status), st.binary(max_size=ROOM)), min_size=1, max_size=60), st.booleans())
def test_a_board_with_memory_that_answers_nonsense_is_told_apart(replies, lengths):
    """lengths: answers at least have the length that they should, and nothing is refused but a damaged sample."""
    count = 0

    def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
        nonlocal count
        status, answer = replies[count % len(replies)]
        count += 1
        if lengths:
            samples = len(payload) // ASKED_BYTES
            if status is Status.BAD_IMAGE and command in (Command.TRAIN_STORED, Command.INFER_STORED):
                return status, answer[: samples + VALUE_BYTES]
            sizes = {Command.TRAIN_STORED: samples + 4, Command.INFER_STORED: samples + 4, Command.STORE: 0}
            sizes |= {Command.WRITE_REGISTER: 0, Command.COMMIT: 6, Command.TRAIN: 5, Command.INFER: 5}
            size = sizes.get(command, VALUE_BYTES)
            return Status.OK, answer.ljust(size, b"\7")[:size]
        return status, answer if status in (Status.OK, Status.BAD_IMAGE) else b""

    port = FaultPort(ProtocolModel(replace(IDENTITY, capacity=1 << 20), execute), Clock())
    ends(lambda: stored_session(port), NudgeError)
    assert port.clock.now < DEADLINE


@examples(200)
@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: IDENTITY.encode()[:6] + tail))
def test_any_identity_is_taken_or_refused(payload):
    try:
        identity = Identity.decode(payload)
    except ValueError:
        return
    assert identity.encode() == payload


@pytest.mark.parametrize("lanes", [(), (1, 2), (0, 0, 0), (255, 255, 255)])
def test_impossible_lanes_are_refused(lanes):
    port = FaultPort(ProtocolModel(replace(IDENTITY, lanes=lanes), lambda command, payload: (Status.OK, b"")), Clock())
    with pytest.raises(IdentityError, match="not a nudge board"):
        session(port)


def test_a_prediction_is_a_class():
    def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
        return Status.OK, b"\12\0\0\0\0"

    port = FaultPort(ProtocolModel(IDENTITY, execute), Clock())
    with SerialBoard.over(Link(port, "port", clock=port.clock), TINY) as board:
        with pytest.raises(IdentityError, match=r"it predicts 10, not 0\.\.9"):
            board.infer(np.zeros((1, 28, 28), np.uint8), [0])


def test_a_port_that_never_stops_talking_is_given_up():
    class Endless(FaultPort):
        def read(self, size: int) -> bytes:
            self.clock.now += 1e-3
            return bytes((7,)) * size

    port = Endless(None, Clock())
    with pytest.raises(NudgeError, match="bytes came, but no answer"):
        session(port)
    assert port.clock.now < DEADLINE
