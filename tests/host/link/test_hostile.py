"""Any bytes from a port end in one of the host's errors, or well, in bounded time and memory."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import (
    ANSWER,
    ANSWER_PAYLOAD,
    ANSWERED_BYTES,
    ASKED_BYTES,
    STORED_ANSWERED_BYTES,
    VALUE_BYTES,
    VERSION,
    Command,
    Identity,
    Status,
)
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training import data
from nudge.golden.training.batch import Batch
from nudge.host.devices.serial import SerialBoard
from nudge.host.link import frame
from nudge.host.link.link import Link
from nudge.host.training.timed_port import Clock
from nudge.plumbing.errors import IdentityError, NudgeError
from sim.rigs.modelled.fault_port import FaultPort
from sim.rigs.modelled.protocol_model import ProtocolModel
from tests.fuzz import ends, examples

TINY = preset("tiny")
IDENTITY = Identity("tiny", TINY.identity, 48_000_000, 1, configuration(TINY).lanes)
ROOM = ANSWER_PAYLOAD

#: Seconds of the port's clock in which every session must end.
DEADLINE = 600.0


def session(port: FaultPort) -> None:
    """Make all requests of a host to a board."""
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
    """Sends the next of its lines whenever it is written to, or read while it has nothing; then is silent."""

    def __init__(self, lines: list[bytes]):
        super().__init__(None, Clock())
        self.lines = lines[::-1]

    def write(self, data: bytes) -> None:
        if self.lines:
            self.say(self.lines.pop())

    def read(self, size: int) -> bytes:
        if not self._here and self.timeout and self.lines:
            self.say(self.lines.pop())
        return super().read(size)


def encoded(sequence: int, command: int, status: int, payload: bytes) -> bytes:
    """Encode an answer as it is sent on the line."""
    return frame.encode_answer(bytes((VERSION, sequence, command | ANSWER, status)) + payload)


#: Plausible answers: the right version, a sequence number as a host uses (from 1), any command and status.
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


def stored_session(port: FaultPort) -> None:
    """Make all requests of a host to a board with memory for samples."""
    digits = data.load("embedded")
    few = data.Data(*(tensor[:6] for tensor in digits))
    with SerialBoard.over(Link(port, "port", clock=port.clock, draw=lambda most: 0), TINY) as board:
        board.hold(few, 6)
        list(board.train_batches(Batch(few, np.arange(6)) for _ in range(3)))
        board.hold(few, 6, test=True)
        list(board.infer_batches([Batch(few, np.arange(6), test=True)]))


#: Payload bytes of answers whose length doesn't depend on the request.
SIZES = ANSWERED_BYTES | STORED_ANSWERED_BYTES
BY_SAMPLES = (Command.TRAIN_STORED, Command.INFER_STORED)


def size(command: Command, payload: bytes) -> int:
    """Return the number of payload bytes that an answer must have."""
    if command is Command.READ_WEIGHTS:
        return payload[-1] * 2 * IDENTITY.lanes[payload[0]]
    return (
        len(payload) // ASKED_BYTES + VALUE_BYTES
        if command in BY_SAMPLES
        else SIZES.get(command, VALUE_BYTES)
    )


@pytest.mark.parametrize(("capacity", "work"), [(0, session), (1 << 20, stored_session)])
@examples(80)
@given(
    st.lists(st.tuples(st.sampled_from(Status), st.binary(max_size=ROOM)), min_size=1, max_size=60),
    st.booleans(),
)
def test_a_board_that_answers_nonsense_is_told_apart(capacity, work, replies, lengths):
    """lengths: answers have the right length, and the only refusal is that of a damaged sample."""
    count = 0

    def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
        nonlocal count
        status, answer = replies[count % len(replies)]
        count += 1
        if not lengths:
            return status, answer if status in (Status.OK, Status.BAD_IMAGE) else b""
        if status is Status.BAD_IMAGE and command in BY_SAMPLES:
            return status, answer[: size(command, payload)]
        return Status.OK, answer.ljust(size(command, payload), b"\7")[: size(command, payload)]

    port = FaultPort(ProtocolModel(replace(IDENTITY, capacity=capacity), execute), Clock())
    ends(lambda: work(port), NudgeError)
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
    port = FaultPort(
        ProtocolModel(replace(IDENTITY, lanes=lanes), lambda command, payload: (Status.OK, b"")), Clock()
    )
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
