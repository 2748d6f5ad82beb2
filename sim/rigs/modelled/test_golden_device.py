"""The modelled board has a value for every register of the contract."""

import re

import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Access, Command, Register, RegisterRange, Status, registers
from nudge.golden.contract.stored import LOG_AT
from sim.rigs.modelled import golden_device
from sim.rigs.modelled.golden_device import GoldenDevice

CONFIG = configuration(preset("tiny"))


@pytest.mark.parametrize("capacity", [0, 4 * LOG_AT])
def test_registers_are_those_of_the_contract_at_their_reset_values(capacity):
    device = GoldenDevice(CONFIG, capacity)
    every = registers(CONFIG.spec, stores=capacity > 0)
    for register in every:
        status, value = device.execute(Command.READ_REGISTER, RegisterRange(register.address, 1).encode())
        at_reset = LOG_AT if register.name == "store_end" else register.reset
        assert (status, int.from_bytes(value, "little")) == (Status.OK, at_reset), register.name
    beyond = RegisterRange(every[-1].address + 1, 1).encode()
    assert device.execute(Command.READ_REGISTER, beyond) == (Status.BAD_RANGE, b"")


def test_a_register_that_the_model_does_not_know_is_named(monkeypatch):
    known = golden_device.registers_by_address
    novelty = Register("novelty", 0x7F, Access.READ, "")
    monkeypatch.setattr(
        golden_device, "registers_by_address", lambda *of: known(*of) | {novelty.address: novelty}
    )
    with pytest.raises(ValueError, match=re.escape("GoldenDevice has no value for the register novelty")):
        GoldenDevice(CONFIG)
