"""Requests in flight: deadlines of answers, when requests are sent again, and when the link gives up."""

import pytest

from nudge.golden.contract.protocol import ANSWER, VERSION, Command, Status
from nudge.host.link.counters import Counters
from nudge.host.link.flight import ADAPTER_BYTES, Flight, Sent
from nudge.host.link.patience import LATE, QUIET, SHORTEST, SOONEST, Patience
from nudge.plumbing.errors import LinkError

from .fake_port import Clock

READ = Command.READ_REGISTER
TIMEOUT = 10.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def flight(clock):
    """Three requests, numbers 0 to 2, sent at second 0."""
    made = Flight("fake", Patience(TIMEOUT), Counters(), 2, 3, clock)
    for sequence in range(3):
        made.add(Sent(sequence, READ, b"", ADAPTER_BYTES // 4))
    return made


def answer(sequence, status=Status.OK, payload=b""):
    return bytes((VERSION, sequence, READ | ANSWER, status)) + payload


def test_answers_are_taken_in_order(flight, clock):
    flight.hear(answer(1, payload=b"one"))
    assert flight.take() is None
    flight.hear(answer(0, payload=b"nought"))
    assert [flight.take().payload for _ in range(2)] == [b"nought", b"one"]
    assert flight.take() is None
    assert [request.sequence for request in flight.requests] == [2]


def test_answers_have_room_in_the_adapter(flight):
    assert flight.room(ADAPTER_BYTES // 4)
    assert not flight.room(ADAPTER_BYTES // 4 + 1)
    flight.hear(answer(1))
    assert flight.room(ADAPTER_BYTES // 4 + 1)
    flight.hear(answer(0))
    flight.hear(answer(2))
    assert flight.room(2 * ADAPTER_BYTES), "a single answer is always asked for"


def test_the_first_answer_says_how_long_the_next_is_waited_for(flight, clock):
    assert flight.deadline == TIMEOUT
    clock.now = 0.5
    flight.hear(answer(0))
    flight.take()
    flight.wait()
    assert flight.deadline == 0.5 + LATE * 0.5
    clock.now = 0.51
    flight.hear(answer(1))
    flight.take()
    flight.wait()
    assert flight.deadline == 0.51 + LATE * 0.5


def test_silence_doubles_the_wait(flight, clock):
    flight.hear(answer(0))
    flight.take()
    waits = []
    for _ in range(3):
        flight.wait()
        waits.append(flight.deadline - clock.now)
        clock.now = flight.deadline
        flight.silence()
        assert flight.stuck(silent=True)
        if len(waits) < 3:
            assert [request.sequence for request in flight.again()] == [1, 2]
    assert waits == [SOONEST, 2 * SOONEST, 4 * SOONEST]
    with pytest.raises(
        LinkError,
        match=r"^fake: gave up on READ_REGISTER \(sequence 1\) after 3 tries: no answer within 4 s$",
    ):
        flight.again()


def test_after_damage_it_waits_for_what_is_under_way(flight, clock):
    flight.hear(b"")
    assert flight.trouble == "an answer was damaged"
    assert flight.deadline == QUIET
    assert not flight.stuck(silent=False)
    flight.hear(answer(1))
    assert not flight.stuck(silent=False)
    flight.hear(answer(2))
    assert flight.stuck(silent=False)
    assert [request.sequence for request in flight.again()] == [0]
    assert flight.trouble is None


def test_the_first_refusal_is_told_and_not_what_follows_from_it(flight):
    """After a damaged request all later ones are out of sequence."""
    for _ in range(4):
        flight.hear(answer(0, Status.BAD_CRC))
        flight.hear(answer(1, Status.BAD_SEQUENCE))
        if flight._counters.resent < 9:
            flight.again()
    told = "an answer was BAD_CRC; its frame has 0 bytes, and 0 came through between two damages"
    with pytest.raises(
        LinkError, match=rf"^fake: gave up on READ_REGISTER \(sequence 0\) after 4 tries: {told}$"
    ):
        flight.again()


def test_frames_are_as_long_as_what_comes_through_between_two_damages(flight):
    assert flight._patience.length == SHORTEST
    flight.hear(answer(0, payload=bytes(600)))
    assert flight._patience.length == 604
    for _ in range(2):
        flight.hear(answer(1, Status.BAD_CRC))
        flight.hear(answer(2, Status.BAD_SEQUENCE))
        flight.again()
    assert flight._patience.length == 302


def test_what_is_over_is_no_trouble_any_more(flight):
    flight.hear(b"")
    for sequence in range(3):
        flight.hear(answer(sequence))
        flight.take()
    assert flight.trouble is None
    assert not flight.stuck(silent=True)


def test_a_board_that_forgot_the_hello_was_reset(flight):
    for _ in range(2):
        flight.silence()
        flight.again()
        flight.hear(answer(0, Status.BAD_SEQUENCE))
    with pytest.raises(
        LinkError, match=r"^fake: the board was reset: it doesn't know READ_REGISTER \(sequence 0\)$"
    ):
        flight.again()


def test_a_number_refused_for_the_first_time_is_no_reset(flight):
    flight.hear(answer(0, Status.BAD_SEQUENCE))
    flight.hear(answer(0, Status.BAD_SEQUENCE))
    assert [request.sequence for request in flight.again()] == [0, 1, 2]


def test_an_answer_that_nothing_waits_for_is_counted(clock):
    counters = Counters()
    flight = Flight("fake", Patience(TIMEOUT), counters, 2, 3, clock)
    flight.add(Sent(0, READ, b"", 0))
    flight.hear(answer(7))
    assert flight.take() is None
    assert counters == Counters(unexpected=1)
