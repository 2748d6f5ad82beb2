"""Compare a board at a socket with its model, frame by frame: each answer must be equal byte by byte."""

import socket
from collections import Counter

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    ANSWER_HEADER,
    CYCLES,
    MASTER_BYTES,
    VALUE_BYTES,
    VERSION,
    BundleNumber,
    Command,
    Identity,
    RegisterRange,
    Status,
    WordAddress,
    Words,
    readable_words,
    registers_by_name,
    writable_words,
)
from nudge.host.link import frame
from nudge.plumbing.errors import ComparisonError

from .golden_device import GoldenDevice

#: Timeout of an answer in seconds.
PATIENCE = 30.0


#: Answers that end with clock cycles, which the model doesn't count.
COUNTING = (Command.TRAIN, Command.INFER, Command.COMMIT, Command.TRAIN_STORED, Command.INFER_STORED)


class FuzzError(ComparisonError):
    """The board's answer is missing or isn't the model's; the message has the frame, and how to replay it."""


def encoded(sequence: int, command: int, payload: bytes = b"", version: int = VERSION) -> bytes:
    """Return the frame of a request without its final zero byte."""
    return frame.request(sequence % 256, command, payload, version)[:-1]


class BesideModel:
    """A board at a socket and the model, which get equal frames. endings: number of answers by status."""

    def __init__(self, url: str, config: Config):
        host, _, port = url.removeprefix("socket://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.splitter = frame.Splitter()
        self._model(config, 0)
        self.endings: Counter[str] = Counter()
        # by sequence number (-1: the current request): positions in the answer's payload that the
        # model can't know
        self._unknown: dict[int, set[int]] = {}
        self._alone = True
        self._frames = registers_by_name(config.spec)["frames"].address
        # the model takes capacity and identity from the board's answer to HELLO
        greeting = encoded(9, Command.HELLO)
        (answer,) = self._ask([greeting])
        identity = Identity.decode(answer[ANSWER_HEADER:])
        self._model(config, identity.capacity)
        self.protocol.identity = identity
        self._compare(greeting, answer)
        self._write_zeros(config)
        self.endings.clear()

    def _write_zeros(self, config: Config) -> None:
        """Write zero weights, as the model has them: a board's are undefined until they are written."""
        payloads = []
        for bundle in config.spec.bundles:
            lanes, words = config.lanes[bundle.index], layout.image_words(config, bundle)
            for at in range(0, words, most := writable_words(lanes)):
                masters = bytes(MASTER_BYTES * lanes * min(most, words - at))
                payloads.append((Command.WRITE_WEIGHTS, WordAddress(bundle.index, at).encode() + masters))
        for command, payload in [*payloads, (Command.COMMIT, b"")]:
            self.exchange([encoded(self.protocol.upcoming, command, payload)])

    def _model(self, config: Config, capacity: int) -> None:
        self.device = GoldenDevice(config, capacity)
        self.protocol = self.device.protocol
        self.protocol.execute = self._execute

    def _execute(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        status, answer = self.device.execute(command, payload)
        unknown = set(range(len(answer) - VALUE_BYTES, len(answer))) if command in COUNTING else set()
        if command is Command.READ_REGISTER:
            for n in range(len(answer) // VALUE_BYTES):
                address = RegisterRange.decode(payload).address + n
                if address in CYCLES or (address == self._frames and not self._alone):
                    unknown |= set(range(VALUE_BYTES * n, VALUE_BYTES * (n + 1)))
        self._unknown[-1] = unknown
        return status, answer

    def exchange(self, pieces: list[bytes]) -> list[bytes]:
        """Send frames without their zeros, and return the answers; `FuzzError` if one isn't the model's."""
        self._alone = len(pieces) == 1
        answers = self._ask(pieces)
        for piece, answer in zip(pieces, answers, strict=True):
            self._compare(piece, answer)
        return answers

    def _ask(self, pieces: list[bytes]) -> list[bytes]:
        self.socket.sendall(b"".join(piece + b"\0" for piece in pieces))
        found: list[bytes] = []
        while len(found) < len(pieces):
            try:
                data = self.socket.recv(4096)
            except TimeoutError:
                data = b""
            if not data:
                raise FuzzError(
                    f"{len(found)} answers to {len(pieces)} frames {[piece.hex() for piece in pieces]}"
                )
            found += self.splitter.feed(data)
        if len(found) > len(pieces):
            raise FuzzError(f"{len(found)} answers to {len(pieces)} frames")
        return found

    def _compare(self, piece: bytes, answer: bytes) -> None:
        before, sequence = self.protocol.duplicates, answer[1]
        self._unknown.pop(-1, None)
        expected = self.protocol.answer(piece)
        if -1 in self._unknown:
            self._unknown[sequence] = self._unknown.pop(-1)
        repeated = self.protocol.duplicates > before
        unknown = (
            self._unknown.get(sequence, set()) if expected[3] in (Status.OK, Status.BAD_IMAGE) else set()
        )
        places = {at + ANSWER_HEADER for at in unknown}

        def known(body: bytes) -> bytes:
            return bytes(0 if at in places else byte for at, byte in enumerate(body))

        if known(answer) != known(expected):
            raise FuzzError(f"frame {piece.hex()}: board {answer.hex()}, model {expected.hex()}")
        self.endings["repeated" if repeated else Status(expected[3]).name] += 1

    def finish(self) -> None:
        """Send HELLO and COMMIT, then compare the digests and all weights."""
        digests = [(Command.DIGEST, BundleNumber(b.index).encode()) for b in self.device.spec.bundles]
        requests = [(Command.COMMIT, b""), *digests]
        for bundle, image in zip(self.device.spec.bundles, self.device.images, strict=True):
            most = readable_words(image.shape[1])
            for at in range(0, len(image), most):
                words = Words(bundle.index, at, min(most, len(image) - at))
                requests.append((Command.READ_WEIGHTS, words.encode()))
        self.exchange([encoded(0, Command.HELLO)])
        for number, (command, payload) in enumerate(requests, 1):
            self.exchange([encoded(number, command, payload)])
