"""Samples in a modelled board's memory: effects of requests, refusals that change nothing, damage."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import (
    ASKED_BYTES,
    REQUEST_PAYLOAD,
    Asked,
    Command,
    RegisterRange,
    RegisterValue,
    Sample,
    Sampled,
    SampledStored,
    SampleNumber,
    SampleRange,
    Status,
    registers_by_name,
)
from nudge.golden.contract.stored import LOG_AT, MAX_SAMPLES, record, record_digest
from nudge.golden.contract.stuffing import stuff
from nudge.golden.training.data import load
from nudge.host.link import frame
from sim.rigs.modelled.golden_device import GoldenDevice
from tests.fuzz import examples

TINY = preset("tiny")
CONFIG = configuration(TINY)
DATA = load("embedded")
IMAGES = [image.tobytes() for image in DATA.train_images[:12].numpy()]
LABELS = DATA.train_labels[:12].tolist()
RECORDS = [
    record(n, label, image, stuff(image)) for n, (label, image) in enumerate(zip(LABELS, IMAGES, strict=True))
]
REGISTERS = registers_by_name(TINY, stores=True)
#: Bytes of memory: room for these records and a few more.
CAPACITY = 2 * LOG_AT + 4096


def store(index: int, records: list[bytes]) -> tuple[Command, bytes]:
    return Command.STORE, SampleNumber(index).encode() + b"".join(records)


def asking(command: Command, *asked: Asked) -> tuple[Command, bytes]:
    return command, b"".join(sample.encode() for sample in asked)


@pytest.fixture
def device():
    """Return a board with four steps per phase, which has stored the first ten samples."""
    made = GoldenDevice(CONFIG, CAPACITY)
    for name in ("free_steps", "nudged_steps"):
        assert (
            made.execute(Command.WRITE_REGISTER, RegisterValue(REGISTERS[name].address, 4).encode())[0]
            is Status.OK
        )
    for at in range(0, 10, 2):
        assert made.execute(*store(at, RECORDS[at : at + 2])) == (Status.OK, b"")
    return made


def register(device: GoldenDevice, name: str) -> int:
    asked = RegisterRange(REGISTERS[name].address, 1).encode()
    return int.from_bytes(device.execute(Command.READ_REGISTER, asked)[1], "little")


def state(device: GoldenDevice) -> tuple[object, ...]:
    """Return all state that a request can change, except counters."""
    memory, model = device.store, device.model
    weights = tuple(image.tobytes() for image in device.images)
    return (
        bytes(memory.words),
        memory.count,
        memory.end,
        model.pending,
        model.samples,
        weights,
        dict(device.values),
    )


def test_stored_samples_are_trained_as_streamed_ones_are(device):
    numbers = [3, 0, 3, 9]
    moves = [(0, 0, False), (1, -1, True), (-4, 4, False), (0, 2, True)]
    other = GoldenDevice(CONFIG)
    other.values, other.model.settings = device.values, device.model.settings
    said = []
    for number, (down, right, mirrored) in zip(numbers, moves, strict=True):
        image = np.pad(np.frombuffer(IMAGES[number], np.uint8).reshape(28, 28), 4)
        image = image[4 - down : 32 - down, 4 - right : 32 - right]
        sample = Sample(LABELS[number], (image[:, ::-1] if mirrored else image).tobytes()).encode()
        said.append(Sampled.decode(other.execute(Command.TRAIN, sample)[1]).prediction)
    asked = [Asked(number, *move) for number, move in zip(numbers, moves, strict=True)]
    status, answer = device.execute(*asking(Command.TRAIN_STORED, *asked))
    assert (status, list(SampledStored.decode(answer).predictions)) == (Status.OK, said)
    assert register(device, "pending") == 0, "it is a batch"
    other.execute(Command.COMMIT, b"")
    assert all(np.array_equal(a, b) for a, b in zip(device.images, other.images, strict=True))
    before = state(device)
    status, answer = device.execute(*asking(Command.INFER_STORED, Asked(5)))
    single = device.execute(Command.INFER, Sample(LABELS[5], IMAGES[5]).encode())[1]
    assert (status, answer) == (Status.OK, single), "of one sample both answers have the same bytes"
    assert state(device)[:4] == before[:4]


def test_what_would_overfill_a_batch_is_refused_as_a_whole(device):
    device.execute(Command.WRITE_REGISTER, RegisterValue(REGISTERS["batch"].address, 5).encode())
    for _ in range(3):
        assert device.execute(Command.TRAIN, Sample(LABELS[1], IMAGES[1]).encode())[0] is Status.OK
    before = state(device)
    assert device.execute(*asking(Command.TRAIN_STORED, *[Asked(1)] * 3)) == (Status.BAD_ORDER, b"")
    assert state(device) == before
    assert device.execute(*asking(Command.INFER_STORED, *[Asked(1)] * 3))[0] is Status.OK
    assert device.execute(*asking(Command.TRAIN_STORED, *[Asked(1)] * 2))[0] is Status.OK
    assert register(device, "pending") == 0, "committed with those before it"


@pytest.mark.parametrize("at", [0, 1, 3])
def test_samples_before_a_damaged_one_are_done_and_answered(device, at):
    asked = [Asked(n) for n in (1, 2, 3, 4)]
    good = SampledStored.decode(device.execute(*asking(Command.INFER_STORED, *asked))[1]).predictions
    samples = register(device, "samples")
    entry = asked[at].index * 2
    device.store.flip(int.from_bytes(device.store.words[2 * entry : 2 * entry + 4], "little") + 9, 3)
    for command in (Command.INFER_STORED, Command.TRAIN_STORED):
        status, answer = device.execute(*asking(command, *asked))
        assert (status, answer) == (Status.BAD_IMAGE, SampledStored(good[:at], 0).encode())
    assert (register(device, "pending"), register(device, "samples")) == (at, samples + 2 * at)


def test_each_flip_is_found_and_stored_again_all_is_good(device):
    chooser = random.Random(3)
    for _ in range(60):
        device.flip_stored(chooser)
        digests = [device.store.digest(n, 1) for n in range(10)]
        wrong = [n for n in range(10) if digests[n] != record_digest(RECORDS[n : n + 1])]
        assert len(wrong) == 1
        status, answer = device.execute(*asking(Command.INFER_STORED, *(Asked(n) for n in range(10))))
        # a flip in the unused byte of a header only changes the digest
        if status is Status.BAD_IMAGE:
            assert len(answer) == SampledStored.size(wrong[0])
        device.store.reset()
        for at in range(0, 10, 2):
            assert device.execute(*store(at, RECORDS[at : at + 2])) == (Status.OK, b"")


# --- through the protocol


def test_a_repeated_request_is_answered_again_and_not_executed(device):
    protocol = device.protocol
    protocol.answer(frame.request(0, Command.HELLO)[:-1])
    device.store.flip(LOG_AT + 5, 0)
    request = frame.request(1, *asking(Command.TRAIN_STORED, Asked(1), Asked(0)))[:-1]
    answer = protocol.answer(request)
    assert (answer[3], len(answer)) == (Status.BAD_IMAGE, 4 + SampledStored.size(1))
    assert protocol.answer(request) == answer, "payload and all"
    assert register(device, "pending") == 1
    assert (register(device, "bad_image"), register(device, "duplicates")) == (1, 1)
    assert (
        protocol.answer(frame.request(2, *asking(Command.TRAIN_STORED, Asked(99)))[:-1])[3]
        == Status.NOT_STORED
    )
    assert register(device, "not_stored") == 1


commands = st.sampled_from((Command.STORE, Command.STORE_DIGEST, Command.TRAIN_STORED, Command.INFER_STORED))
asked_for = st.lists(st.integers(0, (1 << 32) - 1) | st.integers(0, 12), max_size=6).map(
    lambda values: b"".join(value.to_bytes(ASKED_BYTES, "little") for value in values)
)
records = st.lists(st.sampled_from(RECORDS), max_size=4).map(b"".join)
stores = st.builds(
    lambda index, data: SampleNumber(index).encode() + data,
    st.integers(0, 12) | st.just(MAX_SAMPLES),
    records,
)
ranges = st.builds(SampleRange, st.integers(0, 12), st.integers(0, 300)).map(SampleRange.encode)
payloads = st.binary(max_size=REQUEST_PAYLOAD) | asked_for | stores | ranges
flips = st.integers(0, 1 << 16)


@examples(120)
@given(st.lists(st.tuples(commands, payloads, st.none() | flips), min_size=1, max_size=12))
def test_whatever_is_asked_is_answered_and_refusals_change_nothing(requests):
    """Every frame gets an answer, and a refusal changes nothing, with any payloads and flipped bits."""
    device = GoldenDevice(CONFIG, CAPACITY)
    for name in ("free_steps", "nudged_steps"):
        device.execute(Command.WRITE_REGISTER, RegisterValue(REGISTERS[name].address, 4).encode())
    device.protocol.answer(frame.request(0, Command.HELLO)[:-1])
    for n, (command, payload, flip) in enumerate(requests):
        sequence = (device.protocol.upcoming) % 256
        if flip is not None:
            device.flip_stored(random.Random(flip))
        before, pending = state(device), device.model.pending
        answer = device.protocol.answer(frame.request(sequence, command, payload)[:-1])
        status, said = Status(answer[3]), answer[4:]
        assert answer[:3] == bytes((2, sequence, command | 0x80)), n
        if status is Status.BAD_IMAGE:
            done = len(said) - SampledStored.size(0)
            assert 0 <= done < len(payload) // ASKED_BYTES
            assert device.model.pending == pending + (done if command is Command.TRAIN_STORED else 0)
            assert state(device)[5] == before[5], "nothing is committed"
        elif status is not Status.OK:
            assert said == b""
            assert state(device) == before
        if command is not Command.STORE:
            assert state(device)[:3] == before[:3], "nothing else writes the memory"
        assert device.store.end * 2 <= CAPACITY
