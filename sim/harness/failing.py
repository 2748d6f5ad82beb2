"""cocotb tests that must fail: `test_forks` checks that they do, and with which message."""

import cocotb

from .streams import StreamSink, start


@cocotb.test()
async def wrong_value(dut):
    """A plain wrong comparison."""
    await start(dut)
    five = 5
    assert five == 6


@cocotb.test()
async def no_such_port(dut):
    """A port that the design doesn't have."""
    await start(dut)
    dut.sum__nothing.value = 1


@cocotb.test()
async def nothing_comes(dut):
    """A stream on which nothing is ever offered."""
    await start(dut)
    await StreamSink(dut, "queue__o").get(1, patience=50)


@cocotb.test()
async def no_end(dut):
    """Simulated time doesn't go on."""
    await start(dut)
    while True:
        pass
