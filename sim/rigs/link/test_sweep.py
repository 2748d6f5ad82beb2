"""Single faults: the effect of each kind on bytes, and sessions that survive a random sample of faults."""

import random

import pytest

from nudge.golden.contract.presets import preset
from nudge.host.devices.golden import GoldenBoard
from nudge.host.training.script import session
from sim.rigs.modelled.faults import Kind, OneFault, RandomFaults, single_faults
from sim.rigs.modelled.protocol_model import ProtocolModel

from .sweep import Sweep, case_name, cases


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
    assert sweep.outcome == session(GoldenBoard(sweep.config), sweep.data, sweep.samples)


def test_a_sample_of_single_faults_ends_complete(sweep):
    every = cases(sweep)
    assert len(every) == 14 * (sweep.up + sweep.down)
    for case in random.Random(5).sample(every, 600):
        ending = sweep.try_fault(case)
        assert ending == "complete", f"{case_name(case)}: {ending}"


def test_a_board_that_executes_twice_is_found(sweep, monkeypatch):
    """The sweep can fail: a board without stored answers executes repeated requests again."""

    def forgetful(self, status, sequence, command):
        self.upcoming = sequence
        return refuse(self, status, sequence, command)

    refuse = ProtocolModel._refuse
    monkeypatch.setattr(ProtocolModel, "_refuse", forgetful)
    endings = {sweep.try_fault(("up", 9000, kind, 0)) for kind in (Kind.DROP, Kind.DUPLICATE)}
    assert endings == {"wrong"}


def test_every_way_to_damage_a_byte():
    faults = list(single_faults(3))
    assert len(set(faults)) == len(faults) == 3 * 14
