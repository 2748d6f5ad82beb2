# amaranth: UnusedElaboratable=no
"""The compact core of preset `tiny` trains real digits bit for bit like the golden model."""

import cocotb
from cocotb.triggers import First, RisingEdge, ValueChange

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset
from nudge.hw.compact.compact_core import CompactCore
from nudge.hw.core.interface import Operation
from sim.core.whole.check import check_training
from sim.harness.testbench import CLOCK

CONFIG = Config(preset("tiny"), (1, 1, 1), compact=True)
TOP = CompactCore(CONFIG)
WINDOW = CONFIG.spec.schedule.window


@cocotb.test()
# no sweep beyond the averaging window; one such sweep in the free phase; the preset's own phases
@cocotb.parametrize(steps=[(WINDOW, WINDOW), (WINDOW + 1, WINDOW), None])
async def trains_bit_for_bit(dut, steps):
    ends = Ends(dut)
    cocotb.start_soon(ends.watch())
    await check_training(dut, CONFIG, 3, seed=1, steps=steps, traced=2)
    assert ends.started == ends.done == 3 + 1 + 2


class Ends:
    """Checks of the handshake in `CoreSignature` at the begin and end of each sample."""

    def __init__(self, dut):
        self.dut, self.started, self.done = dut, 0, 0

    async def watch(self):
        dut, going, started = self.dut, False, False
        signals = (dut.ready, dut.busy, dut.holding, dut.done, dut.start)
        while True:
            if not started:  # the cycle after a start is checked even if no signal changes
                await First(*map(ValueChange, signals))
            await RisingEdge(getattr(dut, CLOCK))
            assert dut.ready.value == (not dut.busy.value)
            if started:
                assert dut.busy.value
                assert dut.holding.value == going
                # both were sampled with the start, so a change has no effect
                dut.label.value, dut.operation.value = 15 - dut.label.value.to_unsigned(), 3
            if dut.holding.value:
                assert going, "holds an image of no sample"
            if dut.done.value:
                assert going
                assert not dut.holding.value
                going = False
                self.done += 1
            elif not dut.busy.value:
                assert not going, "a sample ended without a word"
            started = bool(dut.start.value)
            if started and dut.operation.value != Operation.COMMIT.value:
                going = True
                self.started += 1
