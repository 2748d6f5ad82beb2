"""The virtual board: right weights after line faults, resets and flipped bits; fuzzing; delays."""

import pytest

from nudge.boards.virtual import VIRTUAL, VIRTUAL_SDRAM
from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Command
from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.host.devices.serial import SerialBoard
from nudge.host.training.throughput import ADAPTER_DELAY, BAUD
from sim.rigs.modelled.beside_model import BesideModel, FuzzError, encoded

from .delays import measured
from .fuzz import fuzz
from .soak import soak
from .targets import Attack

TINY = preset("tiny")
CONFIG = configuration(TINY)
DATA = load("embedded")
#: Masters of the dense bundle of `tiny`.
MASTER = "core.weights_2.memory.master.words"


@pytest.fixture
def virtual():
    with VirtualBoard(CONFIG) as board:
        yield board


def test_a_reset_is_as_power_up(virtual):
    with SerialBoard(virtual.url, TINY) as board:
        board.write_register("scratch", 7)
        board.train(DATA.train_images[:2].numpy(), DATA.train_labels[:2].numpy())
    virtual.reset()
    with SerialBoard(virtual.url, TINY) as board:
        assert (
            board.read_register("scratch"),
            board.read_register("pending"),
            board.read_register("frames"),
        ) == (0, 0, 4)


def test_a_flipped_bit_is_in_the_digest_and_can_be_flipped_back(virtual):
    words, bits = virtual.memories[MASTER]
    with SerialBoard(virtual.url, TINY) as board:
        before = board.digest()
        virtual.flip(MASTER, words - 1, 15)
        after = board.digest()
        assert (after[0] == before[0], after[1] == before[1]) == (True, False)
        virtual.flip(MASTER, words - 1, 15)
        assert board.digest() == before
    for memory, word, bit in (("core.nothing", 0, 0), (MASTER, words, 0), (MASTER, 0, bits)):
        with pytest.raises(ValueError, match="no such fault: flip"):
            virtual.flip(memory, word, bit)


def test_a_run_through_faults_of_every_kind_ends_with_the_same_bits():
    plan = Plan.of(TINY, "embedded", 64, seed=5, batch=8)
    report = soak(TINY, "sim", plan, DATA, Attack(2e-4, 5, resets=1, flips=2, disconnects=1, stalls=1))
    assert report.differing == 0
    assert report.faults > 20
    assert report.events == {"reset": 1, "flip": 2, "disconnect": 1, "stall": 1}


@pytest.mark.parametrize(("board", "seed"), [(VIRTUAL, 7), (VIRTUAL_SDRAM, 6)], ids=["plain", "memory"])
def test_answers_to_random_and_mutated_frames_are_the_models(board, seed):
    """All answers equal the model's; a board with memory also stores (damaged) samples and trains on them."""
    with VirtualBoard(CONFIG, board=board) as virtual:
        endings = fuzz(virtual.url, CONFIG, 1500, seed)
    names = ["OK", "repeated", "BAD_FRAME", "BAD_CRC", "BAD_LENGTH", "BAD_SEQUENCE", "BAD_RANGE"]
    for name in names + ["NOT_STORED"] * board.sdram:
        assert endings[name] > 10, endings
    assert (endings["BAD_IMAGE"] > 0) == board.sdram, endings


def test_the_fuzzer_can_fail(virtual):
    pair = BesideModel(virtual.url, CONFIG)
    with pair.socket:
        pair.device.values["scratch"] = 1
        with pytest.raises(FuzzError, match="frame 0402"):
            pair.exchange([encoded(pair.protocol.upcoming, Command.READ_REGISTER, b"\0\1")])


def test_pipelining_keeps_the_board_busy_over_an_adapters_delay():
    """With requests in flight, the virtual board keeps most of its training rate over an adapter's delay.

    Wall-clock times depend on the machine's other work; `tests/host/training/test_throughput.py`
    has exact figures.
    """
    undelayed, delayed, stretched, alone = measured(TINY, DATA, ADAPTER_DELAY, BAUD, samples=48, rounds=2)
    assert undelayed.share == 1
    assert delayed.share > 0.7
    assert stretched.share > 3 * alone.share
