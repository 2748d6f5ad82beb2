# amaranth: UnusedElaboratable=no
"""In 256 cycles 510 transitions are counted at an 8-bit counter, and as many at its adder."""

import cocotb
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from nudge.boards.ulx3s import ULX3S
from sim.harness.streams import Port, start

from .probes import SAMPLE, Probed, draw


class Counter(wiring.Component):
    """An 8-bit counter of cycles."""

    value: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.value.eq(self.value + 1)
        return m


UNITS = {"counter": Probed(Counter(), "counter", ULX3S)}


@cocotb.test()
async def transitions_are_counted_while_asked(dut):
    await start(dut, before=0)
    port = Port(dut, "counter")
    for _ in range(2):
        port.counting.value = 1
        for _ in range(256):
            await port.edge
        port.counting.value = 0
        for _ in range(10):
            await port.edge
    assert int(port.counted.value) == 512
    counts = {
        kind: int(getattr(port, f"count_{kind}").value) for kind in ("TRELLIS_FF", "LUT4", "CCU2C", "DP16KD")
    }
    assert counts["TRELLIS_FF"] == 2 * 510
    assert counts["LUT4"] + counts["CCU2C"] == 2 * 510, counts
    assert counts["DP16KD"] == 0


def test_a_sample_is_drawn_by_its_seed():
    wires = list(range(2, 2 * SAMPLE))
    cells = {
        str(bit): {"type": "LUT4", "connections": {"Z": [bit]}, "port_directions": {"Z": "output"}}
        for bit in wires
    }
    module = {"ports": {"out": {"direction": "output", "bits": wires[1:]}}, "cells": cells}
    drawn = draw(module, 1)["LUT4"]
    assert (drawn.total, len(drawn.wires)) == (len(wires) - 1, SAMPLE)
    assert set(drawn.wires) <= set(wires[1:])
    assert drawn == draw(module, 1)["LUT4"] != draw(module, 2)["LUT4"]
