"""cocotb tests that must fail; `test_forks` checks their messages."""

import cocotb

from .streams import StreamSink, start


@cocotb.test()
async def wrong_value(dut):
    """An assertion that fails."""
    await start(dut)
    five = 5
    assert five == 6


@cocotb.test()
async def no_such_port(dut):
    """Access to a port that the design doesn't have."""
    await start(dut)
    dut.sum__nothing.value = 1


@cocotb.test()
async def nothing_comes(dut):
    """Waits for a stream on which nothing is ever offered."""
    await start(dut)
    await StreamSink(dut, "queue__o").get(1, patience=50)


@cocotb.test()
async def no_end(dut):
    """Never ends, and doesn't advance the simulated time."""
    await start(dut)
    while True:
        pass
