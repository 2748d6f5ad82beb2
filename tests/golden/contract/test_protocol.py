"""Messages and registers: payloads byte by byte as in docs/link.md, and ranges shared with the model."""

from dataclasses import replace
from typing import Any

import pytest

from nudge.golden.contract import protocol
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import PRESETS, preset
from nudge.golden.contract.protocol import (
    ANSWERED_BYTES,
    COUNTERS,
    CRC_BYTES,
    CYCLES,
    PAYLOAD_BYTES,
    PHASES,
    REQUEST_HEADER,
    SPIKES,
    STORED,
    STORED_PAYLOAD_BYTES,
    Access,
    BundleNumber,
    Command,
    Committed,
    Label,
    RegisterRange,
    RegisterValue,
    Sample,
    Sampled,
    WordAddress,
    Words,
    payload_bytes,
    register_names,
    registers,
    registers_by_address,
    registers_by_name,
    request_bytes,
    window_for,
)
from nudge.golden.contract.shapes import Input
from nudge.golden.model.settings import Settings
from nudge.plumbing.errors import ModelError


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (RegisterRange(0x20, 16), "2010"),
        (RegisterValue(0x03, 0x04030201), "0301020304"),
        (WordAddress(2, 0x01020304), "0204030201"),
        (Words(2, 0x01020304, 9), "020403020109"),
        (BundleNumber(3), "03"),
        (Label(7), "07"),
        (Sampled(9, 0x12345), "0945230100"),
        (Committed(64, 0x12345), "400045230100"),
    ],
)
def test_payloads_are_sent_field_by_field(payload, sent):
    assert payload.encode().hex() == sent
    assert type(payload).decode(bytes.fromhex(sent)) == payload
    assert type(payload).size() == len(sent) // 2
    with pytest.raises(
        ValueError, match=rf"^{type(payload).__name__} has {len(sent) // 2} bytes, not {len(sent) // 2 + 1}$"
    ):
        type(payload).decode(bytes.fromhex(sent) + b"\0")


@pytest.mark.parametrize(
    ("shown", "frame", "window"),
    [
        (Input(), 1024, 32),
        (Input(1, 8, 8), 1024, 32),
        (Input(3, 16, 21), 1024, 32),
        (Input(3, 32, 32), 4096, 8),
        (Input(1, 64, 64), 8192, 4),
        (Input(3, 64, 64), 16384, 2),
    ],
)
def test_a_sample_has_the_pixels_of_the_networks_image(shown, frame, window):
    spec = replace(PRESETS["tiny"], input=shown)
    image = bytes(range(256)) * (shown.pixels // 256) + bytes(shown.pixels % 256)
    payload = Sample(7, image).encode()
    assert payload == b"\7" + image
    assert Sample.decode(payload) == Sample(7, image)
    assert len(payload) == Sample.size(shown.pixels) == payload_bytes(spec)[Command.TRAIN]
    assert payload_bytes(spec)[Command.WRITE_WEIGHTS] == PAYLOAD_BYTES[Command.WRITE_WEIGHTS]
    assert request_bytes(spec) == frame >= len(payload) + REQUEST_HEADER + CRC_BYTES
    assert window_for(spec, 32) == window
    assert window_for(spec, 1) == 1
    with pytest.raises(ValueError, match=r"^Label\(label=256\): "):
        Sample(256, image).encode()


def test_fields_have_places():
    assert [Words.at(name) for name in ("bundle", "word", "count")] == [0, 1, 5]
    assert (Sampled.at("cycles"), Committed.at("cycles"), Label.size()) == (1, 2, 1)
    with pytest.raises(ValueError, match=r"^Sampled\(prediction=256, cycles=0\): "):
        Sampled(256, 0).encode()


def test_sizes_of_requests_and_answers():
    assert [PAYLOAD_BYTES[command] for command in Command if command <= Command.DIGEST] == [
        0,
        2,
        5,
        6,
        7,
        785,
        785,
        0,
        1,
    ]
    assert set(ANSWERED_BYTES) == set(PAYLOAD_BYTES) - {
        Command.HELLO,
        Command.READ_REGISTER,
        Command.READ_WEIGHTS,
    }
    assert set(PAYLOAD_BYTES) | set(STORED_PAYLOAD_BYTES) == set(Command)
    assert set(PAYLOAD_BYTES).isdisjoint(STORED_PAYLOAD_BYTES)
    assert (protocol.REQUEST_PAYLOAD, protocol.ANSWER_PAYLOAD, protocol.WEIGHTS_PAYLOAD) == (1017, 248, 1012)
    assert protocol.MAX_REGISTERS == 62
    for lanes in (1, 4, 10):
        assert (
            2 * lanes * protocol.readable_words(lanes)
            <= 248
            < 2 * lanes * (protocol.readable_words(lanes) + 1)
        )
        assert (
            2 * lanes * protocol.writable_words(lanes)
            <= 1012
            < 2 * lanes * (protocol.writable_words(lanes) + 1)
        )


@pytest.mark.parametrize("name", PRESETS)
def test_registers_are_found_by_name_address_and_block(name):
    spec = preset(name)
    every = registers(spec)
    assert list(registers_by_name(spec).values()) == list(registers_by_address(spec).values()) == list(every)
    assert register_names(spec, COUNTERS)[0] == "frames"
    assert register_names(spec, COUNTERS)[-3:] == ("pending", "samples", "errors")
    assert register_names(spec, SPIKES) == tuple(f"spikes_{n}" for n in range(1, len(spec.layers)))
    assert register_names(spec, CYCLES) == tuple(f"cycles_{phase}" for phase in PHASES)
    stores = registers(spec, stores=True)
    assert stores[: len(every)] == every, "a board without memory for samples keeps its map"
    assert [r.name for r in stores[len(every) :]] == [
        "stored",
        "store_end",
        "bad_image",
        "not_stored",
        "forget",
    ]
    assert [r.address for r in stores[len(every) :]] == list(STORED)
    assert len({r.address for r in stores}) == len(stores)


@pytest.mark.parametrize("name", ["free_steps", "nudged_steps", "beta", "weight_rate_1", "bias_rate_2"])
def test_the_model_refuses_what_a_register_refuses(name):
    spec = preset("tiny")
    register = registers_by_name(spec)[name]
    assert register.access is Access.READ_WRITE
    settings = Settings.of(spec)
    field, _, index = name.partition("_rate_")

    def changed(value):
        change: dict[str, Any] = {name: value}
        if index:
            rates = list(getattr(settings, f"{field}_rates"))
            rates[int(index) - 1] = value
            change = {f"{field}_rates": tuple(rates)}
        return replace(settings, **change)

    for value in (register.low, register.high):
        changed(value).check(spec)
    for value in (register.low - 1, register.high + 1):
        with pytest.raises(ModelError, match=rf"must be {register.low}\.\.{register.high}, not {value}$"):
            changed(value).check(spec)


def test_every_preset_has_an_identity_that_decodes():
    for spec in PRESETS.values():
        # the identity has the name's first 8 characters; the hash determines the network
        identity = protocol.Identity(spec.name[:8], spec.identity, 48_000_000, 16, configuration(spec).lanes)
        assert protocol.Identity.decode(identity.encode()) == identity


def test_a_board_without_memory_says_nothing_of_it():
    """Without a memory, the identity has the same bytes as before memories existed."""
    identity = protocol.Identity("tiny", 0x01020304, 48_000_000, 16, (1, 4, 10), window=32)
    said = "4e444745" + "0220" + "74696e7900000000" + "04030201" + "006cdc02" + "1000" + "03" + "01040a"
    assert identity.encode().hex() == said
    with_memory = replace(identity, capacity=1 << 25)
    assert with_memory.encode().hex() == said + "00000002"
    assert protocol.Identity.decode(with_memory.encode()) == with_memory
    for wrong in (said + "00000000", said + "000002", said + "0000000200"):
        with pytest.raises(ValueError, match="no nudge identity"):
            protocol.Identity.decode(bytes.fromhex(wrong))
