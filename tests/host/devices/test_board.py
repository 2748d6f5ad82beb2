"""The golden board keeps the contract of a real one."""

import zlib

import numpy as np
import pytest
import torch

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import BUILD, COUNTERS, CYCLES, Access, register_names, registers
from nudge.golden.model import weight_image
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.board import Board
from nudge.host.devices.golden import GoldenBoard
from nudge.host.training.compare import Twin
from nudge.plumbing.errors import BoardError, ExitCode, ModelError

TINY = preset("tiny")
CONFIG = Config(TINY, (1, 2, 5))


@pytest.fixture
def board():
    with GoldenBoard(CONFIG) as board:
        board.load(initial(TINY, 5))
        yield board


def samples(count):
    random = np.random.default_rng(count)
    return random.integers(0, 256, (count, 28, 28), np.uint8), random.integers(0, 10, count)


def test_its_registers_have_the_names_of_the_contract(board):
    readable = {r.name for r in registers(TINY) if r.access is not Access.ACTION}
    # the model has no link, no bitstream and no clock
    link = {"scratch", "batch", *register_names(TINY, COUNTERS)} - {"pending", "samples", "errors"}
    assert set(board.registers()) == readable - link - {*BUILD, *register_names(TINY, CYCLES)}
    board.write_settings(Settings(16, 9, 77, (1, 2), (3, 4)))
    values = board.registers()
    assert (values["nudged_steps"], values["beta"], values["weight_rate_2"], values["bias_rate_1"]) == (
        9,
        77,
        2,
        3,
    )


def test_the_model_and_what_is_open_fulfil_one_protocol():
    boards: list[Board] = [FixedModel(TINY), GoldenBoard(CONFIG), Twin(GoldenBoard(CONFIG))]
    images, labels = samples(8)
    ends = []
    for board in boards:
        assert board.spec == TINY
        board.write_settings(Settings(16, 9, 77, (100, 200), (3, 4)))
        board.load(initial(TINY, 5))
        trained = board.train(images, labels).tolist()
        assert board.commit() == 8
        inferred = board.infer(images, labels).tolist()
        weights = [tensor.tolist() for group in board.read() for tensor in group]
        ends.append((trained, inferred, weights))
    assert ends[0] == ends[1] == ends[2]


def test_masters_change_at_commit_and_are_unreadable_before(board):
    before, digest = board.read(), board.digest()
    images, labels = samples(8)
    predictions = board.train(images, labels)
    assert predictions.dtype == np.int64
    values = board.registers()
    assert (values["pending"], values["samples"], values["errors"]) == (
        8,
        8,
        int((predictions != labels).sum()),
    )
    for forbidden in (board.read, board.digest, lambda: board.load(before)):
        with pytest.raises(BoardError, match="8 samples are pending"):
            forbidden()
    assert board.commit() == 8
    assert board.digest() != digest
    assert not torch.equal(board.read().weights[0], before.weights[0])
    board.clear()
    assert board.registers()["samples"] == 0


def test_digest_is_of_the_memory_image(board):
    masters = board.read()
    for bundle, weight, bias, digest in zip(
        TINY.bundles, masters.weights, masters.biases, board.digest(), strict=True
    ):
        image = weight_image.pack(CONFIG, bundle, weight.numpy(), bias.numpy())
        assert digest == zlib.crc32(
            b"".join(int(v).to_bytes(2, "little", signed=True) for v in image.reshape(-1))
        )


def test_more_samples_than_a_batch_are_refused(board):
    with pytest.raises(BoardError, match="at most 64 between commits") as refusal:
        board.train(*samples(65))
    assert refusal.value.exit_code is ExitCode.BOARD
    assert board.registers()["pending"] == 0


def test_wrong_values_are_refused(board):
    images, labels = samples(2)
    for wrong, message in (
        ((images / 2, labels), "images must be uint8"),
        ((images, labels[:1]), r"labels must be \(2,\)"),
        ((images, labels + 10), r"labels must be 0\.\.9"),
        ((images, labels / 2), "labels must be integers"),
    ):
        for work in (board.infer, board.train):
            with pytest.raises(ModelError, match=message):
                work(*wrong)
    with pytest.raises(ModelError, match="free_steps must be 4"):
        board.write_settings(Settings(3, 9, 77, (1, 2), (3, 4)))
