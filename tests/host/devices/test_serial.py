"""`SerialBoard` on a modelled board: its requests, results and errors."""

import inspect
import re
import statistics
from dataclasses import replace

import numpy as np
import pytest
import torch

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import (
    MAX_WINDOW,
    VERSION,
    Command,
    Committed,
    Sampled,
    Status,
    WordAddress,
)
from nudge.golden.model.difference import first_master
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.batch import Batch
from nudge.golden.training.data import load
from nudge.host.devices import serial
from nudge.host.devices.serial import SerialBoard
from nudge.host.link.link import Link
from nudge.plumbing.errors import BoardError, IdentityError, ModelError, UsageError
from nudge.plumbing.progress import note
from sim.rigs.modelled.golden_device import GoldenDevice
from sim.rigs.modelled.modelled import Modelled

TINY = preset("tiny")
SETTINGS = Settings(4, 4, 77, (100, 200), (3, 4))
DATA = load("embedded")
IMAGES, LABELS = DATA.train_images[:24].numpy(), DATA.train_labels[:24].numpy()


class Bench(Modelled):
    """A modelled board. Each sample takes a cycle more than the last one, each request `seconds` seconds."""

    seconds = 0.0

    def __init__(self, spec=TINY):
        super().__init__(configuration(spec))
        self.board = self.open()
        self.board.write_settings(SETTINGS)
        self.board.load(initial(spec, 5))

    def execute(self, command, payload):
        self.clock.now += self.seconds
        status, answer = super().execute(command, payload)
        if status is Status.OK and command in (Command.TRAIN, Command.INFER):
            answer = Sampled(Sampled.decode(answer).prediction, 100 + self.executed.count(command)).encode()
        if status is Status.OK and command is Command.COMMIT:
            answer = Committed(Committed.decode(answer).samples, 7000).encode()
        return status, answer


@pytest.fixture
def bench():
    return Bench()


def test_it_trains_as_the_model_and_tells_the_cycles_of_each_request(bench):
    model, board = FixedModel(TINY), bench.board
    model.write_settings(SETTINGS)
    model.load(initial(TINY, 5))
    found = board.train(IMAGES[:8], LABELS[:8])
    assert found.dtype == np.int64
    assert found.tolist() == model.train(IMAGES[:8], LABELS[:8]).tolist()
    assert board.cycles == [101 + n for n in range(8)]
    assert (board.commit(), board.cycles) == (8, [7000])
    model.commit()
    assert board.infer(IMAGES[8:], LABELS[8:]).tolist() == model.infer(IMAGES[8:], LABELS[8:]).tolist()
    assert board.cycles == [101 + n for n in range(16)]
    for got, expected in zip(board.read(), model.read(), strict=True):
        assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


def batches(count):
    return [Batch(DATA, np.arange(at, at + 8)) for at in range(0, 8 * count, 8)]


def test_batches_are_counted_with_their_commits(bench):
    board = bench.board
    board.identity = replace(board.identity, clock_hz=48_000_000)
    assert board.core_rate() is None
    found = list(board.train_batches(batches(3)))
    assert [len(predictions) for predictions in found] == [8, 8, 8]
    assert board.trained == 24
    assert board.worked == sum(range(101, 125)) + 3 * 7000
    assert board.core_rate() == pytest.approx(48e6 * 24 / board.worked)
    # inferred samples aren't counted
    list(board.infer_batches(batches(2)))
    assert board.trained == 24


@pytest.mark.parametrize(("seconds", "ahead"), [(0.001, 8), (0.003, 4), (1.0, 2)])
def test_a_fast_board_is_told_more_ahead(bench, seconds, ahead):
    """Batches for 0.1 s of work are sent ahead, within 2..window: 4 where nine requests take 3 ms each."""
    bench.seconds = seconds
    assert bench.board.link.window == 8
    seen = [bench.board._ahead for _ in bench.board.train_batches(batches(40))]
    assert statistics.mode(seen[10:30]) == ahead, seen


def test_samples_that_another_host_trained_are_noticed(bench):
    board = bench.board
    board.train(IMAGES[:2], LABELS[:2])
    with pytest.raises(
        BoardError, match=r"^model: 10 samples were committed, not 8: does another host use the board\?$"
    ):
        list(board.train_batches(batches(1)))


def test_a_board_in_the_middle_of_a_batch_is_brought_to_rest(bench):
    board = bench.board
    board.write_register("batch", 5)
    board.train(IMAGES[:3], LABELS[:3])
    assert board.read_register("pending") == 3
    board.settle()
    assert (board.read_register("pending"), board.read_register("batch")) == (0, TINY.formats.max_batch)
    bench.executed.clear()
    board.settle()
    assert Command.COMMIT not in bench.executed


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_registers_have_a_range(bench, value):
    with pytest.raises(UsageError, match=f"^register beta must be 0..4294967295, not {value}$"):
        bench.board.write_register("beta", value)


def test_registers_have_names(bench):
    values = bench.board.registers()
    assert (values["free_steps"], values["nudged_steps"], values["beta"]) == (4, 4, 77)
    assert [values[f"weight_rate_{n}"] for n in (1, 2)] == [100, 200]
    assert [values[f"bias_rate_{n}"] for n in (1, 2)] == [3, 4]
    assert set(values) < {register.name for register in bench.board.map}
    with pytest.raises(UsageError, match=r"^unknown register 'gamma': choose one of .*beta"):
        bench.board.read_register("gamma")


def test_a_prediction_that_no_network_makes(bench):
    with pytest.raises(IdentityError, match=r"^model: not a nudge board: it predicts 10, not 0\.\.9$"):
        bench.board._classes([3, 10])
    assert bench.board._classes([]).dtype == np.int64


def test_masters_that_the_link_can_not_carry(bench):
    for value, limit in ((32767, 32768), (-32768, -32769)):
        parameters = initial(TINY, 5)
        parameters.weights[1].view(-1)[3] = value
        bench.board.load(parameters)
        assert bench.board.read().weights[1].view(-1)[3] == value
        parameters.weights[1].view(-1)[3] = limit
        with pytest.raises(
            ModelError, match=rf"^bundle 2: masters must be -32768\.\.32767 \(LSB 2\^-15\), not {limit}$"
        ):
            bench.board.load(parameters)


def test_running_means_stand_behind_the_biases():
    """All 18 bits of means go over the link and back, and change in commits; larger means are refused."""
    spec = replace(TINY, schedule=replace(TINY.schedule, centred=True))
    board = Bench(spec).board
    written = initial(spec, 5)
    for mean in written.means:
        mean[:] = torch.randint(0, 1 << 18, mean.shape, generator=torch.Generator().manual_seed(3))
    written.means[1][:3] = torch.tensor([0, (1 << 18) - 1, 1 << 15])
    board.load(written)
    assert first_master(board.read(), written) is None
    settings = Settings(4, 4, 200, (9000, 9000), (9000, 9000))
    model = FixedModel(spec, settings, written)
    board.write_settings(settings)
    for part in (slice(0, 5), slice(5, 8)):
        board.train(IMAGES[part], LABELS[part])
        model.train(IMAGES[part], LABELS[part])
        assert (board.commit(), model.commit()) == (part.stop - part.start,) * 2
    assert first_master(board.read(), model.parameters) is None
    assert not torch.equal(model.parameters.weights[0], written.weights[0]), "nothing was learned"
    for wrong in (1 << 18, -1):
        written.means[1][2] = wrong
        for each in (board, model):
            with pytest.raises(
                ModelError, match=rf"^bundle 2: running means must be 0\.\.262143, not {wrong}$"
            ):
                each.load(written)


def test_a_board_refuses_running_means_that_have_more():
    """WRITE_WEIGHTS beyond 18 bits is BAD_RANGE and writes nothing; COMMIT clears lanes without a channel."""
    spec = replace(TINY, schedule=replace(TINY.schedule, centred=True))
    config = Config(spec, (1, 4, 1))
    device, bundle = GoldenDevice(config), spec.bundles[0]
    first = layout.master_words(config, bundle)

    def write(word: int, *values: int) -> Status:
        payload = WordAddress(1, first + word).encode() + np.array(values, "<i2").tobytes()
        before = device.images[0].copy()
        status, _ = device.execute(Command.WRITE_WEIGHTS, payload)
        assert status is Status.OK or np.array_equal(device.images[0], before)
        return status

    assert layout.mean_words(config, bundle) == 2
    assert write(0, 300000 & 0x7FFF, -1, 7, -1) is Status.OK, "low halves have all their bits"
    assert write(1, 300000 >> 16, 0, 0, 0) is Status.BAD_RANGE
    assert write(0, *[-1] * 4, -1, 0, 0, 0) is Status.BAD_RANGE, "-1"
    assert write(1, 0, 0, 0, 4) is Status.BAD_RANGE, "in a lane that no channel has, too"
    assert write(1, 3, 0, 0, 3) is Status.OK
    assert device.execute(Command.COMMIT, b"")[0] is Status.OK
    assert device.images[0][first:].tolist() == [[300000 & 0x7FFF, 0, 0, 0], [3, 0, 0, 0]]


def test_windows_that_a_link_may_have(bench):
    board, identity = bench.board, bench.board.identity
    for window in (1, MAX_WINDOW):
        assert board._checked(replace(identity, window=window)) == board.config
    for window in (0, MAX_WINDOW + 1):
        said = (
            f"model: the board's link has version {VERSION}, window {window}; this host needs version "
            f"{VERSION}, window 1"
        )
        with pytest.raises(IdentityError, match=f"^{re.escape(said)}"):
            board._checked(replace(identity, window=window))


def test_an_answer_of_another_size(bench):
    execute = bench.device.protocol.execute
    bench.device.protocol.execute = lambda command, payload: (Status.OK, execute(command, payload)[1] + b"\1")
    with pytest.raises(
        IdentityError, match=r"^model: not a nudge board: 5 bytes, not 4, answer READ_REGISTER$"
    ):
        bench.board.read_register("beta")


def test_it_opens_its_port_as_it_is_told(bench, monkeypatch):
    calls, patient = [], inspect.signature(Link.open).parameters["timeout"].default

    def opened(url, **options):
        calls.append((url, options))
        return bench.board.link

    monkeypatch.setattr(serial.Link, "open", opened)
    SerialBoard("port", TINY)
    SerialBoard("other", TINY, baud=9600, timeout=3.5)
    assert calls == [
        ("port", {"baud": None, "timeout": patient, "note": note}),
        ("other", {"baud": 9600, "timeout": 3.5, "note": note}),
    ]
