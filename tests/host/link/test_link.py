"""Requests are executed exactly once and in order over a line that damages frames; errors name the cause."""

import os
import pty
import random
import socket

import numpy as np
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import ANSWER, VERSION, Command, Identity, Status
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.host.devices.serial import SerialBoard
from nudge.host.link import frame
from nudge.host.link.link import Counters, Link
from nudge.host.training.timed_port import Clock
from nudge.plumbing.errors import BoardError, IdentityError, LinkError, ModelError, UsageError
from sim.rigs.modelled.fault_port import FaultPort

from .fake_port import FakeBoard, fake_port

TINY = preset("tiny")
IDENTITY = Identity("tiny", TINY.identity, 48_000_000, 1, configuration(TINY).lanes)


@pytest.fixture
def clock():
    return Clock()


def link_to(board, clock, **options):
    return Link(fake_port(board, clock, **options), "fake", clock=clock)


def requests(count, seed=0):
    chooser = random.Random(seed)
    return [
        (Command.WRITE_WEIGHTS, n.to_bytes(7, "little") + chooser.randbytes(chooser.randrange(50)))
        for n in range(count)
    ]


def test_undisturbed_requests_are_sent_once(clock):
    board = FakeBoard(IDENTITY)
    link = link_to(board, clock)
    assert link.hello() == IDENTITY
    sent = requests(600)
    answers = link.exchange(iter(sent))
    assert answers == [payload[::-1][:8] for _, payload in sent]
    assert board.executed == sent
    assert link.counters == Counters(requests=600, hellos=1)
    assert link.call(Command.COMMIT) == b""
    assert clock.now == 0


@pytest.mark.parametrize("damage", [0.02, 0.2])
@pytest.mark.parametrize("seed", range(10))
def test_damaged_lines_lose_and_double_nothing(clock, seed, damage):
    board = FakeBoard(IDENTITY)
    link = link_to(board, clock, damage=damage, seed=seed)
    link.retries = 50
    link.hello(tries=50)
    sent = requests(400, seed)
    answers = [answer for at in range(0, 400, 80) for answer in link.exchange(sent[at : at + 80])]
    assert answers == [payload[::-1][:8] for _, payload in sent]
    assert board.executed == sent
    assert link.counters.requests == 400
    assert link.channel.port.hits > 0
    assert link.counters.resent > 0


def test_refused_request_raises_and_the_link_goes_on(clock):
    board = FakeBoard(IDENTITY)
    link = link_to(board, clock)
    link.hello()
    board.refuse[3] = Status.BAD_ORDER
    sent = requests(20)
    with pytest.raises(BoardError, match="fake: the board refused WRITE_WEIGHTS: BAD_ORDER"):
        link.exchange(sent)
    # requests that were in flight are executed too, and no more
    done = 3 + IDENTITY.window
    assert board.executed == sent[:done]
    assert link.exchange(sent[done:]) == [payload[::-1][:8] for _, payload in sent[done:]]


def test_silence_ends_at_the_deadline(clock):
    board = FakeBoard(IDENTITY)
    link = link_to(board, clock)
    link.hello()
    link.channel.port.board = None
    with pytest.raises(
        LinkError, match=r"fake: gave up on COMMIT \(sequence \d+\) after 5 tries: no answer within 10 s"
    ):
        link.call(Command.COMMIT)
    assert clock.now == pytest.approx(50)
    assert not link.channel.port.open
    assert link.counters == Counters(hellos=1, timeouts=5, resent=4)


@pytest.mark.parametrize(("status", "name"), [(Status.BAD_CRC.value, "BAD_CRC"), (200, "status 200")])
def test_a_board_that_always_refuses_is_given_up_with_what_it_says(clock, status, name):
    link = link_to(FakeBoard(IDENTITY), clock)
    link.hello()

    class Refusing:
        def answer(self, piece):
            return bytes((VERSION, 0, Command.COMMIT | ANSWER, status))

    link.channel.port.board = Refusing()
    with pytest.raises(
        LinkError, match=rf"after 41 tries: an answer was {name}; its frame has 9 bytes, and 0 came "
    ):
        link.call(Command.COMMIT)
    assert link.counters.resent == link.resends
    assert link.counters.refused == link.resends + 1


def test_board_that_was_reset_is_reported(clock):
    link = link_to(FakeBoard(IDENTITY), clock)
    link.hello()
    link.channel.port.board = FakeBoard(IDENTITY).protocol
    with pytest.raises(
        LinkError, match=r"fake: the board was reset: it doesn't know COMMIT \(sequence \d+\)"
    ):
        link.call(Command.COMMIT)
    assert clock.now < 1


def test_hello_says_whether_anything_came(clock):
    link = link_to(None, clock)
    with pytest.raises(LinkError, match=r"no answer to HELLO in 5 tries, 10 s\. Nothing came at all"):
        link.hello()
    assert clock.now == pytest.approx(10)

    class Modem(FaultPort):
        def write(self, data):
            self.say(b"\r\nERROR\r\n")

    with pytest.raises(LinkError, match="bytes came, but no answer: another program, or another baud rate"):
        Link(Modem(None, clock), "fake", clock=clock).hello()


def test_hello_drains_what_came_before(clock):
    link = link_to(FakeBoard(IDENTITY), clock)
    stale = bytes((VERSION, 1, Command.HELLO | 0x80, 0))
    link.channel.port.say(frame.encode_answer(stale + b"old") + b"half")
    assert link.hello() == IDENTITY
    assert link.damaged == 0


def test_other_programs_and_other_boards_are_told_apart(clock):
    class Other(Identity):
        def encode(self):
            return b"MODEM 56k"

    with pytest.raises(IdentityError, match="fake: not a nudge board"):
        link_to(FakeBoard(Other("x", 0, 0, 0, ())), clock).hello()
    small = preset("small")
    board = FakeBoard(Identity("small", small.identity, 0, 1, configuration(small).lanes))
    with pytest.raises(IdentityError, match=r"board built for preset small \(spec [0-9a-f]{8}\), not tiny"):
        SerialBoard.over(link_to(board, clock), TINY)
    board = FakeBoard(Identity("tiny", TINY.identity, 0, 1, IDENTITY.lanes, window=65))
    expected = rf"link has version {VERSION}, window 65; this host needs version {VERSION}, window 1\.\.64"
    with pytest.raises(IdentityError, match=expected):
        SerialBoard.over(link_to(board, clock), TINY)


def test_ports_that_cannot_be_opened():
    with pytest.raises(LinkError, match="/dev/nowhere: no such port"):
        Link.open("/dev/nowhere")
    with pytest.raises(LinkError, match="nonsense://x: "):
        Link.open("nonsense://x")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(LinkError, match=f"socket://127.0.0.1:{port}: .*refused"):
        Link.open(f"socket://127.0.0.1:{port}")


def test_port_in_use_is_busy():
    master, slave = pty.openpty()
    try:
        name = os.ttyname(slave)
        with (
            Link.open(name),
            pytest.raises(LinkError, match=f"{name}: port busy: another program has it open"),
        ):
            Link.open(name)
        Link.open(name).close()
    finally:
        os.close(master)
        os.close(slave)


# pyserial leaves a dead socket to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_closed_connection_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = Link.open(f"socket://127.0.0.1:{server.getsockname()[1]}")
        server.accept()[0].close()
        with pytest.raises(LinkError, match=r"reading failed|writing failed"):
            link.hello(timeout=5, tries=1)
        link.close()


def test_a_pulled_cable_is_reported():
    master, slave = pty.openpty()
    link = Link.open(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(LinkError, match=r"reading failed|writing failed"):
        link.hello(timeout=5, tries=1)
    link.close()


def test_wrong_values_are_refused_before_they_are_sent(clock):
    fake = FakeBoard(IDENTITY)
    board = SerialBoard.over(link_to(fake, clock), TINY)
    images = np.zeros((2, 28, 28), np.uint8)
    for pixels, labels, message in (
        (images.astype(float), [0, 1], "images must be uint8"),
        (images[:, 1:], [0, 1], r"images must be uint8 \(n, 28, 28\)"),
        (images, [0], r"labels must be \(2,\), one for each image, not \(1,\)"),
        (images, [0.0, 1.0], r"labels must be integers, not torch\.float64"),
        (images, [0, 10], r"labels must be 0\.\.9, not 0\.\.10"),
    ):
        with pytest.raises(ModelError, match=message):
            board.train(pixels, labels)
    parameters = initial(TINY, 1)
    with pytest.raises(ModelError, match="bundle 1: weight and bias must be"):
        board.load(parameters._replace(biases=parameters.biases[::-1]))
    with pytest.raises(ModelError, match=r"bundle 1: masters must be -32768\.\.32767"):
        board.load(parameters._replace(weights=tuple(w + 40000 for w in parameters.weights)))
    with pytest.raises(ModelError, match=r"beta must be 1\.\.511, not 0"):
        board.write_settings(Settings(24, 12, 0, (0, 0), (0, 0)))
    with pytest.raises(UsageError, match="unknown register 'speed': choose one of scratch, "):
        board.read_register("speed")
    assert not fake.executed
