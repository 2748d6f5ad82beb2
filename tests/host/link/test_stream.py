"""A stream of answers: requests drawn meanwhile, requests that wait for an answer, and a slow consumer."""

import pytest

from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Command, Identity, Status
from nudge.host.link.link import Link, RefusedError
from nudge.host.training.timed_port import Clock
from nudge.plumbing.errors import BoardError

from .fake_port import FakeBoard, fake_port

TINY = preset("tiny")
WINDOW = 4


class Bench:
    def __init__(self, **line):
        self.board = FakeBoard(Identity("tiny", TINY.identity, 0, 1, (1, 1, 1), window=WINDOW))
        self.clock = Clock()
        self.port = fake_port(self.board, self.clock, **line)
        self.link = Link(self.port, "port", clock=self.clock, draw=lambda most: 0)
        self.link.hello()


def requests(count):
    return [(Command.DIGEST, bytes((n % 256,))) for n in range(count)]


def test_answers_come_while_requests_are_drawn():
    bench, drawn = Bench(), 0

    def source():
        nonlocal drawn
        for request in requests(20):
            drawn += 1
            yield request

    for n, answer in enumerate(bench.link.stream(source())):
        assert answer == bytes((n,))
        assert drawn <= n + WINDOW + 1
    assert (n, drawn) == (19, 20)


def test_nothing_is_sent_before_an_answer_where_the_source_says_so():
    bench, answered = Bench(), 0

    def source():
        for n, request in enumerate(requests(20)):
            while n > answered + 1:
                yield None
            yield request

    for answer in bench.link.stream(source()):
        assert len(bench.board.executed) <= answered + 2
        assert answer == bytes((answered,))
        answered += 1
    assert answered == 20


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_line_changes_no_answer(seed):
    bench = Bench(damage=0.1, seed=seed)
    assert list(bench.link.stream(requests(200))) == [payload for _, payload in requests(200)]
    assert [payload for _, payload in bench.board.executed] == [payload for _, payload in requests(200)]
    assert bench.link.counters.resent > 0


@pytest.mark.parametrize("status", [Status.BAD_RANGE, Status.BAD_IMAGE, Status.NOT_STORED])
def test_answers_before_a_refusal_come_and_later_requests_are_not_drawn(status):
    bench, drawn = Bench(), 0
    found: list[bytes] = []
    bench.board.refuse[6] = status

    def source():
        nonlocal drawn
        for request in requests(20):
            drawn += 1
            yield request

    with pytest.raises(RefusedError, match=rf"^port: the board refused DIGEST: {status.name}$") as refusal:
        found.extend(bench.link.stream(source()))
    assert isinstance(refusal.value, BoardError)
    assert (refusal.value.status, found) == (status, [bytes((n,)) for n in range(6)])
    assert drawn <= 7 + WINDOW
    assert bench.link.exchange(requests(3)) == [bytes((n,)) for n in range(3)], "the link goes on"


def test_whoever_takes_answers_may_be_long_about_it():
    """Answers that have arrived already don't time out."""
    bench = Bench()
    for _ in bench.link.stream(requests(12)):
        bench.clock.now += 1000.0
    assert (bench.link.counters.timeouts, bench.link.counters.resent) == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_board_on_a_bad_line_is_not_drowned_in_repetitions(seed):
    """The link waits while the board executes old requests; otherwise each refusal puts it further behind."""
    bench = Bench()
    bench.link.channel.port = port = fake_port(bench.board, bench.clock, 0.3, seed, seconds=0.4)
    assert bench.link.exchange(requests(60)) == [payload for _, payload in requests(60)]
    assert bench.link.counters.resent < 8 * 60, "without waiting longer for a slow board more than 2,000"
    assert len(port._coming) < 60, "still to come"


def test_a_stream_that_is_dropped_closes_the_link_if_answers_are_out():
    bench = Bench()
    stream = bench.link.stream(requests(12))
    next(stream)
    stream.close()
    assert not bench.port.open
    bench = Bench()
    stream = bench.link.stream(requests(2))
    next(stream), next(stream)
    stream.close()
    assert bench.port.open
