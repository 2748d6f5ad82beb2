"""Payloads for samples in a board's memory: their bytes and limits; splitting undoes joining."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.golden.contract import protocol
from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.protocol import (
    MAX_ASKED,
    RECORDS_PAYLOAD,
    STORED_PAYLOAD_BYTES,
    Asked,
    Command,
    SampledStored,
    SampleNumber,
    SampleRange,
    split_asked,
    split_records,
)
from nudge.golden.contract.stored import MAX_CODED, Header, record
from nudge.golden.contract.stuffing import stuff
from tests.fuzz import examples


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (SampleNumber(0x01020304), "04030201"),
        (SampleRange(0x10203, 256), "030201000001"),
        (SampledStored(b"\7\1", 5), "070105000000"),
    ],
)
def test_payloads_are_sent_field_by_field(payload, sent):
    assert payload.encode().hex() == sent
    assert type(payload).decode(bytes.fromhex(sent)) == payload


def test_what_a_frame_carries():
    assert MAX_ASKED == 244, "the answer decides: a byte each, and the cycles"
    assert SampledStored.size(MAX_ASKED) == protocol.ANSWER_PAYLOAD
    assert RECORDS_PAYLOAD == 1013
    assert len(record(0, 0, bytes(PIXELS), bytes(MAX_CODED))) <= RECORDS_PAYLOAD, "each image fits"
    assert STORED_PAYLOAD_BYTES == {
        Command.STORE: 4 + 8 + 2,
        Command.STORE_DIGEST: 6,
        Command.TRAIN_STORED: 4,
        Command.INFER_STORED: 4,
    }
    with pytest.raises(ValueError, match=r"^SampledStored has at least 4 bytes, not 3$"):
        SampledStored.decode(b"\1\2\3")


images = st.binary(min_size=PIXELS, max_size=PIXELS) | st.integers(0, 255).map(
    lambda last: bytes(PIXELS - 1) + bytes((last,))
)


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 9), images), min_size=1, max_size=4))
def test_records_of_a_frame_are_taken_apart(samples):
    records = [record(n, label, pixels, stuff(pixels)) for n, (label, pixels) in enumerate(samples)]
    payload = b"".join(records)
    assert split_records(payload) == records
    for wrong in (payload[:-1], payload + b"\1", payload + payload[:7], b""):
        assert split_records(wrong) is None


@pytest.mark.parametrize(("coded", "label"), [(0, 1), (MAX_CODED + 1, 1), (2, 10), (3, 1)])
def test_records_that_are_none(coded, label):
    assert split_records(Header(coded, label, 0, 0).encode() + b"\1\1") is None


@examples(60)
@given(st.binary(max_size=1013).filter(lambda data: len(data) % 4 == 0))
def test_asked_samples_are_taken_apart(payload):
    asked = split_asked(payload)
    assert len(asked) == len(payload) // 4
    for n, sample in enumerate(asked):
        if max(abs(sample.dy), abs(sample.dx)) <= 4:
            assert sample.encode() == payload[4 * n : 4 * n + 4]
    assert split_asked(Asked(3, -4, 4, True).encode()) == [Asked(3, -4, 4, True)]
