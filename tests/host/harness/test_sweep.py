"""Single faults: what each kind does to bytes, and that a session survives a sample of all of them."""

import random

import pytest
import torch

from golden.contract.presets import preset
from host.boards.golden import GoldenBoard
from host.harness.faults import Kind, OneFault, RandomFaults, single_faults
from host.harness.sweep import Sweep, cases, parameters


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.DROP, 0, b"ab\0de\0"),
        (Kind.FLIP, 1, b"aba\0de\0"),
        (Kind.INSERT, 0, b"ab\0c\0de\0"),
        (Kind.DUPLICATE, 0, b"abcc\0de\0"),
        (Kind.SWAP, 0, b"ab\0cde\0"),
        (Kind.TRUNCATE, 0, b"ab\0de\0"),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_fault_hits_its_byte_however_the_bytes_come(kind, value, expected, step):
    fault, data = OneFault(2, kind, value), b"abc\0de\0"
    assert b"".join(fault.carry(data[i : i + step]) for i in range(0, len(data), step)) == expected
    assert fault.hits == 1


def test_random_faults_depend_on_seed_and_name_alone():
    data = random.Random(1).randbytes(20_000)
    whole, parts = RandomFaults(0.01, 3, "up"), RandomFaults(0.01, 3, "up")
    damaged = whole.carry(data)
    assert damaged == b"".join(parts.carry(data[i : i + 7]) for i in range(0, len(data), 7))
    assert 140 < whole.hits < 260
    assert damaged != data
    assert RandomFaults(0.01, 3, "down").carry(data) != damaged
    assert RandomFaults(0, 3).carry(data) == data


@pytest.fixture(scope="module")
def sweep():
    return Sweep.record(preset("tiny"))


def test_the_healthy_session_is_the_golden_models(sweep):
    board = GoldenBoard(sweep.config)
    board.load(parameters(sweep.config.spec))
    predictions = board.train(sweep.data.train_images[:4].numpy(), sweep.data.train_labels[:4].numpy())
    assert sweep.outcome[:3] == (predictions.tobytes(), board.commit(), board.digest())
    masters = torch.cat([t.reshape(-1) for part in board.read() for t in part])
    assert sweep.outcome[3] == masters.numpy().tobytes()


def test_a_sample_of_single_faults_ends_complete(sweep):
    every = cases(sweep)
    assert len(every) == 14 * (sweep.up + sweep.down)
    for direction, at, kind, value in random.Random(5).sample(every, 600):
        ending = sweep.try_fault(direction, OneFault(at, kind, value))
        assert ending == "complete", f"{direction} {at} {kind} {value}: {ending}"


def test_a_board_that_executes_twice_is_found(sweep, monkeypatch):
    """The sweep can fail: a board without stored answers repeats what it is asked to."""
    from host.harness.protocol_model import ProtocolModel

    def forgetful(self, status, sequence, command):
        self.upcoming = sequence
        return refuse(self, status, sequence, command)

    refuse = ProtocolModel._refuse
    monkeypatch.setattr(ProtocolModel, "_refuse", forgetful)
    endings = {sweep.try_fault("up", OneFault(9000, kind)) for kind in (Kind.DROP, Kind.DUPLICATE)}
    assert endings == {"wrong"}


def test_every_way_to_damage_a_byte():
    faults = list(single_faults(3))
    assert len({(f.at, f.kind, f.value) for f in faults}) == len(faults) == 3 * 14
