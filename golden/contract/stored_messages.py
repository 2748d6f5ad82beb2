"""Payloads of the commands for samples in a board's memory. `stored` has the records and how a sample is asked for.

Every request is executed as a whole and by itself, as all but INFER and TRAIN are: n samples of a TRAIN_STORED overlap with
each other, with nothing else. So it is executed once, its answer is stored, and a repetition gets that. It is checked before
its first sample is started: if it is refused, none was.

A TRAIN_STORED ends with a commit: it is a batch. Between two requests a board waits until the answer before is sent, so a
COMMIT of its own would cost a batch of `small` 3 % of its time.

A damaged sample is found when it is fetched, so the ones before it are done: BAD_IMAGE is answered with what a request of
those alone would have been answered with. The damaged one and those after it are not started, and nothing is committed.
"""

from dataclasses import dataclass
from typing import Self

from .messages import (
    ANSWER_PAYLOAD,
    LABELS,
    REQUEST_PAYLOAD,
    U16,
    U32,
    VALUE_BYTES,
    Command,
    Fields,
)
from .stored import ASKED_BYTES, MAX_CODED, Asked, Header, record_words
from .stored import WORD_BYTES as RECORD_UNIT


@dataclass(frozen=True)
class SampleNumber(Fields):
    """Which sample the first record behind it, in a STORE, is of; the others follow it."""

    index: U32


@dataclass(frozen=True)
class SampleRange(Fields):
    """What STORE_DIGEST is to read."""

    index: U32  #: of the first
    count: U16  #: 1..`MAX_DIGESTED`


#: Samples in a STORE_DIGEST at most: a board reads them in a few milliseconds, so that no request keeps it long.
MAX_DIGESTED = 256

#: Bytes of records that one STORE holds at most.
RECORDS_PAYLOAD = REQUEST_PAYLOAD - SampleNumber.size()

#: Samples in a TRAIN_STORED or INFER_STORED at most: an answer has a byte for each, and the cycles.
MAX_ASKED = min(REQUEST_PAYLOAD // ASKED_BYTES, ANSWER_PAYLOAD - VALUE_BYTES)


@dataclass(frozen=True)
class SampledStored:
    """What TRAIN_STORED and INFER_STORED answer: a prediction u8 of each sample, in order, then cycles u32."""

    predictions: bytes  #: each 0..LABELS-1
    #: The sum over the samples of `Sampled.cycles`, and of TRAIN_STORED, unless it ended with BAD_IMAGE, of `Committed.cycles`;
    #: mod 2^32.
    cycles: int

    def encode(self) -> bytes:
        """predictions, then cycles u32."""
        return self.predictions + self.cycles.to_bytes(VALUE_BYTES, "little")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The inverse; `ValueError` if it is too short."""
        if len(data) < VALUE_BYTES:
            raise ValueError(f"{cls.__name__} has at least {VALUE_BYTES} bytes, not {len(data)}")
        return cls(data[:-VALUE_BYTES], int.from_bytes(data[-VALUE_BYTES:], "little"))

    @staticmethod
    def size(samples: int) -> int:
        """Bytes of an answer about so many samples."""
        return samples + VALUE_BYTES


def split_asked(payload: bytes) -> list[Asked]:
    """The samples of a TRAIN_STORED or INFER_STORED; `struct.error` where the last one is cut."""
    return [Asked.decode(payload[at : at + ASKED_BYTES]) for at in range(0, len(payload), ASKED_BYTES)]


def split_records(payload: bytes) -> list[bytes] | None:
    """The records of a STORE; None where it is not made of whole records, or a label is none."""
    found, at = [], 0
    while at < len(payload):
        if at + Header.size() > len(payload):
            return None
        header = Header.decode(payload[at : at + Header.size()])
        end = at + RECORD_UNIT * record_words(header.coded)
        if not 1 <= header.coded <= MAX_CODED or end > len(payload) or header.label >= LABELS:
            return None
        found.append(payload[at:end])
        at = end
    return found or None


#: Payload bytes of each command's request, beside those of `messages.PAYLOAD_BYTES`; of all but STORE_DIGEST at least these.
STORED_PAYLOAD_BYTES: dict[Command, int] = {
    Command.STORE: SampleNumber.size() + RECORD_UNIT * record_words(1),
    Command.STORE_DIGEST: SampleRange.size(),
    Command.TRAIN_STORED: ASKED_BYTES,
    Command.INFER_STORED: ASKED_BYTES,
}

#: Payload bytes of the answers that always have the same size.
STORED_ANSWERED_BYTES: dict[Command, int] = {Command.STORE: 0, Command.STORE_DIGEST: VALUE_BYTES}

#: Commands whose requests may be longer than their payload bytes say.
LONGER = (Command.WRITE_WEIGHTS, Command.STORE, Command.TRAIN_STORED, Command.INFER_STORED)
