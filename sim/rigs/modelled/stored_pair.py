"""A virtual board with a memory of samples beside its model, and requests of the embedded digits to both."""

import random

from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract import stored
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import (
    ANSWER_HEADER,
    Asked,
    Command,
    RegisterRange,
    SampleNumber,
    Status,
    registers_by_name,
)
from nudge.golden.contract.stored import MAX_MOVE
from nudge.golden.contract.stuffing import stuff
from nudge.golden.training import data

from .beside_model import BesideModel, encoded

CONFIG = configuration(preset("tiny"))
TRAIN = data.load("embedded")
DIGITS = [image.tobytes() for image in TRAIN.train_images[:60].numpy()]
LABELS = TRAIN.train_labels[:60].tolist()
REGISTERS = registers_by_name(CONFIG.spec, True)


class Pair(BesideModel):
    """A virtual board and the model, which get the same requests one by one."""

    def __init__(self, board: VirtualBoard):
        super().__init__(board.url, CONFIG)
        self.board = board
        self.exchange([encoded(0, Command.HELLO)])

    def call(self, command: Command, payload: bytes = b"") -> tuple[Status, bytes]:
        """Send a request; return the board's status and payload, equal to the model's except for cycles."""
        (answer,) = self.exchange([encoded(self.protocol.upcoming, command, payload)])
        return Status(answer[3]), answer[ANSWER_HEADER:]

    def status(self, command: Command, payload: bytes = b"") -> Status:
        return self.call(command, payload)[0]

    def store(self, first: int, digits: list[int]) -> Status:
        return self.status(Command.STORE, SampleNumber(first).encode() + b"".join(records(first, digits)))

    def run(self, command: Command, asked: list[Asked]) -> Status:
        return self.status(command, b"".join(one.encode() for one in asked))

    def flip(self, word: int, bit: int) -> None:
        """Flip a bit of the memory in both board and model."""
        self.board.flip("sdram.chip.words", word, bit)
        self.device.store.flip(word, bit)

    def registers(self) -> None:
        """Compare the registers of the store, samples and refusals."""
        for name in ("stored", "store_end", "bad_image", "not_stored", "samples", "errors", "pending"):
            assert (
                self.status(Command.READ_REGISTER, RegisterRange(REGISTERS[name].address, 1).encode())
                is Status.OK
            )


def records(first: int, digits: list[int]) -> list[bytes]:
    """Return the records of these digits, numbered from `first` on."""
    return [
        stored.record(n, LABELS[digit], DIGITS[digit], stuff(DIGITS[digit]))
        for n, digit in enumerate(digits, first)
    ]


def moves(chance: random.Random, count: int, samples: int) -> list[Asked]:
    """Draw `count` of the first `samples` stored samples, each of them shifted, and mirrored or not."""

    def move() -> int:
        return chance.randint(-MAX_MOVE, MAX_MOVE)

    return [Asked(chance.randrange(samples), move(), move(), chance.random() < 0.5) for _ in range(count)]
