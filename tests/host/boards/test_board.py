"""The golden board keeps the contract of a real one."""

import zlib

import numpy as np
import pytest
import torch

from golden.contract.config import Config
from golden.contract.errors import BoardError, UsageError
from golden.contract.presets import preset
from golden.contract.protocol import Access, registers
from golden.model import weight_image
from golden.model.parameters import initial
from golden.model.settings import Settings
from host.boards.golden import GoldenBoard
from host.boards.serial import Board

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


def test_it_is_a_board_with_the_registers_names(board):
    assert isinstance(board, Board)
    readable = {r.name for r in registers(TINY) if r.access is not Access.ACTION}
    assert set(board.registers()) <= readable
    board.write_settings(Settings(16, 9, 77, (1, 2), (3, 4)))
    values = board.registers()
    assert (values["nudged_steps"], values["beta"], values["weight_rate_2"], values["bias_rate_1"]) == (9, 77, 2, 3)


def test_masters_change_at_commit_and_are_unreadable_before(board):
    before, digest = board.read(), board.digest()
    images, labels = samples(8)
    predictions = board.train(images, labels)
    assert predictions.dtype == np.int64
    values = board.registers()
    assert (values["pending"], values["samples"], values["errors"]) == (8, 8, int((predictions != labels).sum()))
    for forbidden in (board.read, board.digest, lambda: board.load(before)):
        with pytest.raises(BoardError, match="8 samples are pending"):
            forbidden()
    assert board.commit() == 8
    assert board.digest() != digest
    assert not torch.equal(board.read().weights[0], before.weights[0])
    board.clear()
    assert board.registers()["samples"] == 0


def test_digest_is_of_the_memory_image(board):
    weights, biases = board.read()
    for bundle, weight, bias, digest in zip(TINY.bundles, weights, biases, board.digest(), strict=True):
        image = weight_image.pack(CONFIG, bundle, weight.numpy(), bias.numpy())
        assert digest == zlib.crc32(b"".join(int(v).to_bytes(2, "little", signed=True) for v in image.reshape(-1)))


def test_more_samples_than_a_batch_are_refused(board):
    with pytest.raises(BoardError, match="at most 64 between commits"):
        board.train(*samples(65))
    assert board.registers()["pending"] == 0


def test_wrong_values_are_refused(board):
    images, labels = samples(2)
    with pytest.raises(UsageError, match="images must be uint8"):
        board.infer(images / 2, labels)
    with pytest.raises(UsageError, match="free_steps must be 8"):
        board.write_settings(Settings(7, 9, 77, (1, 2), (3, 4)))
