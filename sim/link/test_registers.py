# amaranth: UnusedElaboratable=no
"""The register file against `protocol.registers`: every output in every cycle of random traffic."""

import random
from dataclasses import astuple
from typing import Any

import cocotb

from nudge.golden.contract import protocol
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import BUILD, Access, BuildFacts
from nudge.hw.core.interface import settings_layout
from nudge.hw.link.counters import Counters
from nudge.hw.link.registers import RegisterFile, counter_names
from sim.harness.streams import Port, start
from sim.harness.units import each

BUILDS = {"tiny": BuildFacts(), "small": BuildFacts(0xFEDCBA98, 7, 70 << 16, 11)}
UNITS = {
    f"registers_{name}": RegisterFile(configuration(preset(name)), build) for name, build in BUILDS.items()
}


class Model:
    """Model of the register file: the value of each register."""

    def __init__(self, config, build):
        self.config, self.n = config, len(config.spec.bundles)
        self.registers = {r.address: r for r in protocol.registers(config.spec)}
        self.values = {r.name: r.reset for r in self.registers.values()}
        self.values |= dict(zip(BUILD, astuple(build), strict=True))

    def writable(self, address: int, value: int) -> bool:
        r = self.registers.get(address)
        return r is not None and r.access is not Access.READ and r.low <= value <= r.high

    def settings(self) -> int:
        """Return the value of the port `settings`."""
        fields: dict[str, Any] = {name: self.values[name] for name in ("free_steps", "nudged_steps", "beta")}
        fields |= {
            rate: [self.values[f"{rate}_{n}"] for n in range(1, self.n + 1)]
            for rate in ("weight_rate", "bias_rate")
        }
        return settings_layout(self.config).const(fields).as_bits()

    def tick(self, address, write, value, increment, commit):
        """Apply one clock edge."""
        r, clear = self.registers.get(address), False
        if write and self.writable(address, value):
            clear = r.access is Access.ACTION
            if not clear:
                self.values[r.name] = value
        for n, name in enumerate(counter_names(self.config)):
            if commit if name == "pending" else clear:
                self.values[name] = 0
            self.values[name] = (self.values[name] + (increment >> n & 1)) % (
                1 << (7 if name == "pending" else 32)
            )


@cocotb.test()
async def every_cycle_equals_the_map(dut):
    await start(dut, before=0)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, model = Port(dut, name), Model(unit.config, unit.build)
    spikes = [f"spikes_{n + 1}" for n in range(model.n)]
    cycles = [f"cycles_{phase}" for phase in protocol.PHASES]
    inputs = {f"spikes__{n}": counter for n, counter in enumerate(spikes)}
    inputs |= {f"phase_cycles__{n}": counter for n, counter in enumerate(cycles)}
    width = len(counter_names(unit.config))
    names = counter_names(unit.config)
    settling = Counters(len(names) - 1).settling
    visited, read, settings, settled = set(), None, 0, 0
    address, value, r = 0, 0, model.registers[0]
    # cycles for which the address and the value have been the same, and whether the address had a register
    steady, existed = 0, True
    for cycle in range(6000):
        # a write needs the same address and value in the two cycles before
        again, writable = random.random() < 0.75, model.writable(address, value)
        steady = steady + 1 if again else 0
        if not again:
            address = random.choice(list(model.registers)) if random.random() < 0.9 else random.randrange(256)
            r = model.registers.get(address, model.registers[0])
            value = random.choice((r.low, r.high, r.low - 1, r.high + 1, random.getrandbits(32))) % (1 << 32)
        write, commit = steady >= 2 and random.random() < 0.6, random.random() < 0.02
        # `pending` may count in any cycle; the others are in a memory, so their events need `settling`
        # cycles between them
        increment = random.getrandbits(1) << names.index("pending")
        if cycle % (settling + 20) == 0:
            increment |= random.getrandbits(width)
        port.address.value, port.write.value, port.write_data.value = address, int(write), value
        port.increment.value, port.commit.value = increment, int(commit)
        for signal, counter in inputs.items():
            if random.random() < 0.1:
                model.values[counter] = random.getrandbits(32)
                getattr(port, signal).value = model.values[counter]
        await port.edge

        where = f"{name}, cycle {cycle}, address {address:#x}, {value:#x}"
        assert not cycle or port.exists.value == existed, where
        assert steady < 2 or port.writable.value == writable, where
        existed = address in model.registers
        action = address in model.registers and r.access is Access.ACTION
        assert port.clear.value == (write and writable and action), where
        if write or not cycle:
            settings = model.settings()
        assert port.settings.value == settings, where
        assert port.batch.value == model.values["batch"], where
        assert port.pending.value == model.values["pending"], where
        if increment & ~(1 << names.index("pending")) or port.clear.value:
            settled = cycle + settling
        if read is not None and (read[0] not in names or read[0] == "pending" or cycle > settled):
            assert port.read_data.value == read[1], (
                f"{name}, cycle {cycle}: read {port.read_data.value}, expected {read}"
            )

        known = address in model.registers and not action
        read = (r.name, model.values[r.name]) if known else (None, 0)
        visited |= {(address, write and writable)}
        model.tick(address, write, value, increment, commit)
        if write:
            settings = model.settings()
    for r in model.registers.values():
        assert (r.address, r.access is not Access.READ) in visited, f"{name}: {r.name} was never tried"
