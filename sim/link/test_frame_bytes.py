# amaranth: UnusedElaboratable=no
"""The bytes of a frame from any place on, and the cycles of each byte."""

import random

import cocotb

from nudge.golden.contract.protocol import REQUEST_BYTES
from nudge.hw.link.frame_bytes import FrameBytes
from sim.harness.streams import Port, StreamSink, serve_memory, start
from sim.harness.units import pulse

NAME = "frame_bytes"
UNITS = {NAME: FrameBytes()}

#: Cycles per byte.
LATENCY = 3


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def bytes_from_a_place_on(dut, stall):
    await start(dut)
    frame = random.randbytes(REQUEST_BYTES)
    serve_memory(dut, f"{NAME}__buffer__address", f"{NAME}__buffer__data", frame)
    port, sink = Port(dut, NAME), StreamSink(dut, f"{NAME}__o")
    for _ in range(40):
        place, count = random.randrange(REQUEST_BYTES - 20), random.randint(0, 20)
        # `seek` may come while a byte is offered or being fetched
        for _ in range(random.randrange(5)):
            await port.edge
        port.place.value = place
        await pulse(port.seek, port.edge)
        port.place.value = random.randrange(REQUEST_BYTES)
        assert bytes(await sink.get(count, stall=stall)) == frame[place : place + count]


@cocotb.test()
async def a_byte_takes_three_cycles(dut):
    await start(dut)
    serve_memory(dut, f"{NAME}__buffer__address", f"{NAME}__buffer__data", range(200))
    port = Port(dut, NAME)
    port.place.value, port.o__ready.value = 7, 1
    await pulse(port.seek, port.edge)
    seen = []
    for cycle in range(1, 10 * LATENCY + 1):
        await port.edge
        if port.o__valid.value:
            seen.append((cycle, int(port.o__payload.value)))
    assert seen == [(LATENCY * (n + 1), 7 + n) for n in range(10)]
