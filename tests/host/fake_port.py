"""A serial port in this process with a board behind it: `hw.protocol` in Python, over a line that damages what it carries."""

import random
from collections import deque

from host import frame
from hw.protocol import ANSWER, CRC_BYTES, REQUEST_BYTES, REQUEST_HEADER, VERSION, WINDOW, Command, Identity, Status


class Clock:
    """Time that passes only when somebody waits for it."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


class FakeBoard:
    """Answers frames as the gateware does. executed: (command, payload) of each request, HELLO excepted."""

    def __init__(self, identity: Identity):
        self.identity = identity
        self.executed: list[tuple[int, bytes]] = []
        self.refuse: dict[int, Status] = {}  #: by number of the executed request
        self._stored: dict[int, bytes] = {}
        self._next: int | None = None

    def answer(self, piece: bytes) -> bytes:
        """The body of the answer to the bytes before a zero byte."""
        try:
            data = frame.unstuff(piece)
        except frame.FrameError:
            return self._body(piece[1:4], Status.BAD_FRAME)
        if not REQUEST_HEADER + CRC_BYTES <= len(data) <= REQUEST_BYTES:
            return self._body(data, Status.BAD_LENGTH)
        try:
            body = frame.decode(piece)
        except frame.FrameError:
            return self._body(data, Status.BAD_CRC)
        _, sequence, command = body[:REQUEST_HEADER]
        if command == Command.HELLO:
            self._next, self._stored = sequence, {}
        elif sequence in self._stored:
            return self._stored[sequence]
        elif sequence != self._next:
            return self._body(body, Status.BAD_SEQUENCE)
        self._next = (sequence + 1) % 256
        if command == Command.HELLO:
            answer = self._body(body, Status.OK) + self.identity.encode()
        else:
            status = self.refuse.get(len(self.executed), Status.OK)
            self.executed.append((command, body[REQUEST_HEADER:]))
            answer = self._body(body, status) + (body[REQUEST_HEADER:][::-1][:8] if status is Status.OK else b"")
        self._stored[sequence] = answer
        self._stored.pop((sequence - WINDOW) % 256, None)
        return answer

    @staticmethod
    def _body(head: bytes, status: Status) -> bytes:
        _, sequence, command = bytes(head[:REQUEST_HEADER]).ljust(REQUEST_HEADER, b"\0")
        return bytes((VERSION, sequence, command | ANSWER, status))


class FakePort:
    """What `Link` needs of `serial.Serial`. damage: probability that a frame, either way, is hit."""

    def __init__(self, board: FakeBoard | None, clock: Clock, *, damage: float = 0.0, seed: int = 0):
        self.board, self.clock, self.damage = board, clock, damage
        self.timeout = 0.0
        self.open = True
        self.hits = 0
        self._random = random.Random(seed)
        self._received = bytearray()
        self._sending = deque[int]()

    def say(self, data: bytes) -> None:
        """Bytes for the host from nowhere."""
        self._sending += data

    def write(self, data: bytes) -> None:
        assert self.open
        self._received += self._carry(data)
        while b"\0" in self._received:
            piece, _, rest = bytes(self._received).partition(b"\0")
            self._received = bytearray(rest)
            if piece and self.board:
                self._sending += self._carry(frame.encode_answer(self.board.answer(piece)))

    def read(self, size: int) -> bytes:
        assert self.open
        if not self._sending:
            self.clock.now += self.timeout
        return bytes(self._sending.popleft() for _ in range(min(size, len(self._sending))))

    def reset_input_buffer(self) -> None:
        self._sending.clear()

    def close(self) -> None:
        self.open = False

    def _carry(self, data: bytes) -> bytes:
        """The frame after the line: lost, doubled, or with a byte changed, lost or added."""
        if self._random.random() >= self.damage:
            return data
        self.hits += 1
        at = self._random.randrange(len(data))
        changed = bytes((data[at] ^ 1 << self._random.randrange(8),))
        added = bytes((self._random.randrange(256),))
        return self._random.choice(
            (b"", data + data, data[:at] + data[at + 1 :], data[:at] + changed + data[at + 1 :], data[:at] + added + data[at:])
        )
