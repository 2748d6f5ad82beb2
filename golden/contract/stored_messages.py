"""Payloads of the commands for samples in a board's memory; `stored` defines records and requests.

As every request but INFER and TRAIN, each is executed as a whole and alone: the n samples of a TRAIN_STORED
overlap with each other and with nothing else. So it is executed once, its answer is stored, and a repetition
gets that answer. It is checked before its first sample starts: a refused request has started none.

A TRAIN_STORED ends with a commit: it is a batch. Between two requests a board waits until the answer before
has been sent, so a separate COMMIT would cost a batch of `small` 3 % of its time.

A damaged sample is detected when it is fetched, after those before it are done: BAD_IMAGE has the payload of
the answer to a request for those alone. The damaged sample and those after it are not started, and nothing is
committed.
"""

from dataclasses import dataclass
from typing import Self

from .messages import (
    ANSWER_PAYLOAD,
    ANSWERED_BYTES,
    LABELS,
    REQUEST_PAYLOAD,
    U16,
    U32,
    VALUE_BYTES,
    Command,
    Fields,
    RegisterRange,
)
from .stored import ASKED_BYTES, MAX_CODED, Asked, Header, record_words
from .stored import WORD_BYTES as RECORD_UNIT


@dataclass(frozen=True)
class SampleNumber(Fields):
    """Begins a STORE: index of the sample of its first record; the next records have the next indices."""

    index: U32


@dataclass(frozen=True)
class SampleRange(Fields):
    """Samples that STORE_DIGEST reads."""

    index: U32  #: index of the first sample
    count: U16  #: number of samples, 1..`MAX_DIGESTED`


#: Largest number of samples in a STORE_DIGEST: a board reads them in a few milliseconds, so that no request
#: takes long.
MAX_DIGESTED = 256

#: Largest number of record bytes in one STORE.
RECORDS_PAYLOAD = REQUEST_PAYLOAD - SampleNumber.size()

#: Largest number of samples in a TRAIN_STORED or INFER_STORED: an answer has a byte for each, and the cycles.
MAX_ASKED = min(REQUEST_PAYLOAD // ASKED_BYTES, ANSWER_PAYLOAD - VALUE_BYTES)


@dataclass(frozen=True)
class SampledStored:
    """Answer to TRAIN_STORED and INFER_STORED: a prediction u8 of each sample, in order, then cycles u32."""

    predictions: bytes  #: predicted classes, each 0..LABELS-1
    #: Sum of `Sampled.cycles` over the samples; for a TRAIN_STORED that didn't end with BAD_IMAGE, plus
    #: `Committed.cycles`. Mod 2^32.
    cycles: int

    def encode(self) -> bytes:
        """predictions, then cycles u32."""
        return self.predictions + self.cycles.to_bytes(VALUE_BYTES, "little")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the answer that `encode` encoded; `ValueError` if it is too short."""
        if len(data) < VALUE_BYTES:
            raise ValueError(f"{cls.__name__} has at least {VALUE_BYTES} bytes, not {len(data)}")
        return cls(data[:-VALUE_BYTES], int.from_bytes(data[-VALUE_BYTES:], "little"))

    @staticmethod
    def size(samples: int) -> int:
        """Return the size in bytes of the answer for this many samples."""
        return samples + VALUE_BYTES


def split_asked(payload: bytes) -> list[Asked]:
    """Return the requests in a TRAIN_STORED or INFER_STORED; `struct.error` if the last one is cut short."""
    return [Asked.decode(payload[at : at + ASKED_BYTES]) for at in range(0, len(payload), ASKED_BYTES)]


def split_records(payload: bytes) -> list[bytes] | None:
    """Return the records in a STORE; None unless the payload consists of whole records with valid labels."""
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


#: Payload bytes of each command's request, in addition to `messages.PAYLOAD_BYTES`; the least, for all but
#: STORE_DIGEST.
STORED_PAYLOAD_BYTES: dict[Command, int] = {
    Command.STORE: SampleNumber.size() + RECORD_UNIT * record_words(1),
    Command.STORE_DIGEST: SampleRange.size(),
    Command.TRAIN_STORED: ASKED_BYTES,
    Command.INFER_STORED: ASKED_BYTES,
}

#: Payload bytes of the answers with a fixed size.
STORED_ANSWERED_BYTES: dict[Command, int] = {Command.STORE: 0, Command.STORE_DIGEST: VALUE_BYTES}


def most_answered(command: Command, payload: bytes) -> int:
    """Return the bytes of an answer's payload, or their maximum if they depend on more than the request."""
    fixed = (ANSWERED_BYTES | STORED_ANSWERED_BYTES).get(command)
    match command:
        case Command.TRAIN_STORED | Command.INFER_STORED:
            fixed = SampledStored.size(len(payload) // ASKED_BYTES)
        case Command.READ_REGISTER if len(payload) == RegisterRange.size():
            fixed = RegisterRange.decode(payload).count * VALUE_BYTES
    return ANSWER_PAYLOAD if fixed is None else min(fixed, ANSWER_PAYLOAD)


#: Commands with requests of variable length: their payload bytes are the least.
LONGER = (Command.WRITE_WEIGHTS, Command.STORE, Command.TRAIN_STORED, Command.INFER_STORED)
