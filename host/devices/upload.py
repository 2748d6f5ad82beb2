"""Uploads a data set to a board's memory: stores only the samples that are missing there or damaged."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from nudge.golden.contract import stored
from nudge.golden.contract.protocol import (
    MAX_DIGESTED,
    RECORDS_PAYLOAD,
    Command,
    Identity,
    SampleNumber,
    SampleRange,
)
from nudge.golden.contract.spec import Spec
from nudge.golden.contract.stuffing import stuff
from nudge.golden.training.data import Data
from nudge.host.link.link import Link
from nudge.plumbing.errors import BoardError
from nudge.plumbing.progress import Meter, note

from .held import Held
from .requests import Request

#: Number of uploads after which a memory that still differs counts as defective.
ROUNDS = 3


class MemoryBoard(Protocol):
    """The part of `host.devices.serial.SerialBoard` that an upload uses."""

    link: Link
    spec: Spec
    name: str
    identity: Identity

    def read_register(self, name: str) -> int: ...

    def write_register(self, name: str, value: int) -> None: ...

    def exchange(self, asked: Iterable[Request]) -> list[bytes]: ...

    def stream(self, asked: Iterable[Request]) -> Iterator[tuple[Request, bytes]]: ...


def records_of(data: Data, train: int, test: int) -> list[bytes]:
    """Return the records of the first `train` training samples, then of the first `test` test samples."""
    images = [*data.train_images[:train].numpy(), *data.test_images[:test].numpy()]
    labels = [*data.train_labels[:train].tolist(), *data.test_labels[:test].tolist()]
    pixels = (image.tobytes() for image in images)
    return [
        stored.record(n, label, image, stuff(image))
        for n, (label, image) in enumerate(zip(labels, pixels, strict=True))
    ]


def fitting(records: Sequence[bytes], capacity: int) -> int:
    """Return how many of the records, from the first on, fit into a memory of `capacity` bytes."""
    return stored.fitting(
        (stored.Header.decode(record[: stored.Header.size()]).coded for record in records), capacity
    )


def hold(board: MemoryBoard, data: Data, train: int, test: bool = False) -> Held | None:
    """Store the first `train` training samples in the memory; with `test` all test samples too, if they fit.

    Return None without a memory, if the training samples don't fit, or for images that aren't 1x28x28 in 10
    classes. A note reports the result.
    """
    capacity = board.identity.capacity
    if not capacity:
        return None
    if not stored.storable(board.spec.input):
        note("the board's memory is for images of 1x28x28 in 10 classes: all samples are streamed")
        return None
    records = records_of(data, train, len(data.test_images) if test else 0)
    fit = fitting(records, capacity)
    if fit < train:
        size = stored.LOG_AT * stored.WORD_BYTES + sum(map(len, records[:train]))
        sizes = f"take {size / 1e6:.1f} MB, the board's memory has {capacity / 1e6:.1f} MB"
        note(f"{train} training samples {sizes}: all samples are streamed")
        return None
    others = len(records) - train
    what = f"{train} training and {others} test samples" if others else f"{train} training samples"
    if fit < len(records):
        what, others = f"{train} training samples (no room for the {others} test samples)", 0
        records = records[:train]
    start = board.link.now
    new = bring(board, records)
    seconds = board.link.now - start
    how = f"{new} of them stored in {seconds:.1f} s" if new else "all of them from before"
    note(f"the board's memory holds {what}, {how}")
    return Held(data, train, others, seconds)


def bring(board: MemoryBoard, records: Sequence[bytes]) -> int:
    """Store missing records, compare all digests, and return how many records were stored.

    Raises `BoardError` if digests still differ after `ROUNDS` uploads.
    """
    new = 0
    for _ in range(ROUNDS):
        if not (missing := _missing(board, records)):
            return new
        new += sum(map(len, missing))
        _store(board, records, missing)
    if missing := _missing(board, records):
        wrong = f"{sum(map(len, missing))} of {len(records)} differ after {ROUNDS} uploads"
        raise BoardError(f"{board.name}: its memory doesn't keep samples: {wrong}")
    return new


def _missing(board: MemoryBoard, records: Sequence[bytes]) -> list[range]:
    """Return the indices to store: those whose digest differs, and those beyond the stored samples.

    If no stored sample is right, or the records don't fit behind the stored ones, the store is emptied and
    all indices are returned.
    """
    count = min(board.read_register("stored"), len(records))
    ranges = [range(at, min(at + MAX_DIGESTED, count)) for at in range(0, count, MAX_DIGESTED)]
    wrong = _differing(board, records, ranges)
    foreign = bool(ranges) and wrong == ranges
    if wrong and not (foreign and len(ranges) > 1):
        wrong = _differing(board, records, [range(n, n + 1) for part in wrong for n in part])
        foreign = sum(map(len, wrong)) == count
    missing = wrong + ([range(count, len(records))] if count < len(records) else [])
    room = board.identity.capacity - board.read_register("store_end") * stored.WORD_BYTES
    if foreign or sum(len(records[n]) for part in missing for n in part) > room:
        board.write_register("forget", 1)
        missing = [range(len(records))]
    return missing


def _differing(board: MemoryBoard, records: Sequence[bytes], ranges: Sequence[range]) -> list[range]:
    """Return the ranges of indices whose digest on the board differs from that of the records."""
    asked = (Request(Command.STORE_DIGEST, SampleRange(part.start, len(part)).encode()) for part in ranges)
    digests = (int.from_bytes(answer, "little") for answer in board.exchange(asked))
    expected = (stored.record_digest(records[part.start : part.stop]) for part in ranges)
    return [part for part, found, right in zip(ranges, digests, expected, strict=True) if found != right]


def _store(board: MemoryBoard, records: Sequence[bytes], missing: Sequence[range]) -> None:
    frames = [frame for part in missing for frame in _frames(records, part)]
    size = sum(len(records[n]) for part in missing for n in part)
    with Meter("upload", sum(map(len, missing))) as meter:
        requests = (request for request, _ in frames)
        sent, start = 0, board.link.now
        for (request, samples), _ in zip(frames, board.stream(requests), strict=True):
            sent += len(request.payload)
            rate = sent / max(board.link.now - start, 1e-9)
            meter.advance(samples, f"{sent / 1e6:.1f} of {size / 1e6:.1f} MB, {rate / 1e3:.0f} kB/s")


def _frames(records: Sequence[bytes], indices: range) -> Iterator[tuple[Request, int]]:
    """Yield STORE requests for consecutive indices, as full as possible, each with its number of records."""
    first, payload = indices.start, b""
    for n in indices:
        if len(payload) + len(records[n]) > RECORDS_PAYLOAD:
            yield Request(Command.STORE, SampleNumber(first).encode() + payload), n - first
            first, payload = n, b""
        payload += records[n]
    yield Request(Command.STORE, SampleNumber(first).encode() + payload), indices.stop - first
