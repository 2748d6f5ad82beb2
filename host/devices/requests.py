"""Requests for registers and samples, streamed or stored, and decoding of the answers."""

from collections.abc import Iterable
from dataclasses import dataclass

from nudge.golden.contract.protocol import (
    MAX_ASKED,
    Asked,
    Command,
    Committed,
    RegisterRange,
    RegisterValue,
    Sample,
    Sampled,
    SampledStored,
    most_answered,
)

#: Commands for samples in the board's memory, by the command for streamed samples.
STORED = {Command.TRAIN: Command.TRAIN_STORED, Command.INFER: Command.INFER_STORED}


@dataclass(frozen=True)
class Request:
    """A command with its payload, and the payload size of its answer."""

    command: Command
    payload: bytes = b""
    size: int | None = None  #: payload bytes of the answer, where they depend on the board's lanes

    @property
    def answered(self) -> int:
        """Payload bytes of the answer."""
        return most_answered(self.command, self.payload) if self.size is None else self.size


COMMIT = Request(Command.COMMIT)


def read(address: int) -> Request:
    """Return the request that reads one register."""
    return Request(Command.READ_REGISTER, RegisterRange(address, 1).encode())


def write(address: int, value: int) -> Request:
    """Return the request that writes one register."""
    return Request(Command.WRITE_REGISTER, RegisterValue(address, value).encode())


def streamed(command: Command, images: Iterable[bytes], labels: Iterable[int]) -> list[Request]:
    """Return one TRAIN or INFER for each image, one byte a pixel."""
    return [
        Request(command, Sample(label, image).encode()) for image, label in zip(images, labels, strict=True)
    ]


def stored(command: Command, asked: list[Asked]) -> list[Request]:
    """Return the fewest TRAIN_STORED, which commit too, or INFER_STORED for samples in the board's memory."""
    parts = [asked[at : at + MAX_ASKED] for at in range(0, len(asked), MAX_ASKED)]
    return [Request(STORED[command], b"".join(s.encode() for s in part)) for part in parts]


def told(request: Request, answer: bytes) -> tuple[list[int], int]:
    """Decode predictions and clock cycles in an answer to a request for samples or COMMIT (only cycles)."""
    if request.command is Command.COMMIT:
        return [], Committed.decode(answer).cycles
    if request.command in STORED:
        sampled = Sampled.decode(answer)
        return [sampled.prediction], sampled.cycles
    several = SampledStored.decode(answer)
    return list(several.predictions), several.cycles
