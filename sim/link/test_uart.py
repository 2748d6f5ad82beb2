# amaranth: UnusedElaboratable=no
"""Serial receiver and transmitter, cycle by cycle: 1 to 16 cycles per bit, gaps, damage."""

import random
from collections import deque

import cocotb
import pytest

from nudge.hw.link.uart import FRAME_BITS, Receiver, Transmitter
from sim.harness.streams import Monitor, Port, StreamSink, start, wait_for
from sim.harness.units import Recorder, each

#: Cycles per bit; half a bit rounds down to 0, 1, 1, 4 and 8 cycles.
DIVISORS = (1, 2, 3, 8, 16)
RECEIVERS = {f"receiver_{divisor}": Receiver(divisor) for divisor in DIVISORS}
TRANSMITTERS = {f"transmitter_{divisor}": Transmitter(divisor) for divisor in DIVISORS}
UNITS = RECEIVERS | TRANSMITTERS

#: Cycles from the middle of the stop bit to `o.valid`.
RECEIVER_LATENCY = 3


def bits_of(byte: int, *, stop: int = 1) -> list[int]:
    """Return start bit, data bits and stop bit in the order of transmission."""
    return [0, *(byte >> n & 1 for n in range(8)), stop]


async def idle(port, unit):
    """Keep the line idle for longer than a byte."""
    await shift_out(port, [1] * 2 * FRAME_BITS, unit.divisor)


async def settle(port, unit):
    """Raise the line, which `start` left low, and drain the receiver, discarding what it has received."""
    port.o__ready.value = 1
    await idle(port, unit)


async def shift_out(port, bits, cycles):
    """Send bits on the line, `cycles` cycles each."""
    for bit in bits:
        port.rx.value = bit
        for _ in range(cycles):
            await port.edge


@cocotb.test()
@cocotb.parametrize(gap=[0, 3])
async def receives_every_byte(dut, gap):
    await start(dut)
    await each(dut, RECEIVERS, check_received, gap)


async def check_received(dut, name, unit, gap):
    port, sink = Port(dut, name), StreamSink(dut, f"{name}__o")
    await settle(port, unit)
    sent = [0x00, 0xFF, 0x55, 0xAA, *random.sample(range(256), 60)]
    # each byte is taken within a few cycles, so none is lost
    read = cocotb.start_soon(sink.get(len(sent), stall=0.3))
    for byte in sent:
        await shift_out(port, bits_of(byte), unit.divisor)
        for _ in range(random.randint(0, gap * unit.divisor)):
            await port.edge
    assert await read == sent, name


@cocotb.test()
async def receiver_latency(dut):
    await start(dut)
    await each(dut, RECEIVERS, check_latency)


async def check_latency(dut, name, unit):
    port = Port(dut, name)
    await settle(port, unit)
    cocotb.start_soon(shift_out(port, bits_of(0xA7), unit.divisor))
    fell = await wait_for(dut, f"{name}__rx", 0)
    cycles = await wait_for(dut, f"{name}__o__valid", patience=20 * unit.divisor)
    assert (fell, port.o__payload.value) == (1, 0xA7), name
    middle = 9 * unit.divisor + unit.divisor // 2
    assert cycles == middle + RECEIVER_LATENCY, f"{name}: {cycles - middle} cycles"


@cocotb.test()
async def receiver_drops_what_is_no_byte(dut):
    await start(dut)
    await each(dut, RECEIVERS, check_damage)


async def check_damage(dut, name, unit):
    port = Port(dut, name)
    await settle(port, unit)
    monitor, expected = Monitor(dut, f"{name}__o"), []
    errors, damages = Recorder(dut, f"{name}__error"), 0
    for _ in range(20):
        good, bad = random.randrange(256), random.randrange(256)
        expected.append(good)
        await shift_out(port, bits_of(good), unit.divisor)
        kind = random.choice(("error", "break", "glitch"))
        damages += kind != "glitch"
        match kind:
            case "error":
                await shift_out(port, bits_of(bad, stop=0), unit.divisor)
            case "break":
                await shift_out(port, [0] * random.randint(FRAME_BITS, 40), unit.divisor)
            case "glitch":
                # too short for a start bit
                await shift_out(port, [0], random.randint(0, unit.divisor // 2))
        await shift_out(port, [1] * 2, unit.divisor)
    await idle(port, unit)
    assert monitor.words == expected, name
    assert len(errors.cycles) == damages, f"{name}: {len(errors.cycles)} errors, expected {damages}"


@cocotb.test()
async def receiver_holds_one_byte(dut):
    await start(dut)
    await each(dut, RECEIVERS, check_held)


async def check_held(dut, name, unit):
    port = Port(dut, name)
    await settle(port, unit)
    port.o__ready.value = 0
    for _ in range(5):
        kept, lost = random.randrange(256), random.randrange(256)
        await shift_out(port, bits_of(kept) + bits_of(lost), unit.divisor)
        await idle(port, unit)
        assert await StreamSink(dut, f"{name}__o").get(1, patience=50) == [kept], name
        await port.edge
        assert not port.o__valid.value, f"{name}: a second byte was kept"


#: Tolerated relative clock difference of the sender, by cycles per bit: less than half a bit in ten, because
#: the start bit is detected up to a cycle late.
DRIFTS = {8: 0.03, 16: 0.04}


@cocotb.test()
async def receiver_takes_another_clock(dut):
    await start(dut)
    await each(dut, {name: unit for name, unit in RECEIVERS.items() if unit.divisor in DRIFTS}, check_clock)


async def check_clock(dut, name, unit):
    port, drift = Port(dut, name), DRIFTS[unit.divisor]
    await settle(port, unit)
    monitor, sent = Monitor(dut, f"{name}__o"), [0x00, 0xFF, *random.sample(range(256), 20)]
    for factor in (1 - drift, 1 + drift):
        due, now = 0.0, 0
        for bit in [1, 1, *(bit for byte in sent for bit in bits_of(byte)), 1, 1]:
            due += unit.divisor * factor
            await shift_out(port, [bit], round(due) - now)
            now = round(due)
    await idle(port, unit)
    assert monitor.words == sent * 2, name


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.05, 0.9])
async def transmits_every_bit(dut, stall):
    await start(dut)
    await each(dut, TRANSMITTERS, check_transmitted, stall)


async def check_transmitted(dut, name, unit, stall):
    """Check the line in every cycle.

    The start bit follows the transfer; the next byte is taken in the last cycle of the stop bit.
    """
    port, line = Port(dut, name), deque[int]()
    taken, waiting = 0, None
    while taken < 40 or line:
        if waiting is None and taken < 40 and random.random() >= stall:
            waiting = random.randrange(256)
        port.i__valid.value = int(waiting is not None)
        port.i__payload.value = random.randrange(256) if waiting is None else waiting
        await port.edge
        tx = line.popleft() if line else 1
        assert port.tx.value == tx, f"{name}, byte {taken}: the line is {port.tx.value}, expected {tx}"
        assert port.i__ready.value == (not line), f"{name}, byte {taken}: ready is {port.i__ready.value}"
        if waiting is not None and not line:
            line.extend(bit for bit in bits_of(waiting) for _ in range(unit.divisor))
            taken, waiting = taken + 1, None


@pytest.mark.parametrize("divisor", [0, -1, 1.5, 65536])
@pytest.mark.parametrize("kind", [Receiver, Transmitter])
def test_divisor_out_of_range(kind, divisor):
    with pytest.raises(ValueError, match=r"^divisor must be 1\.\.65535 clock cycles per bit, not "):
        kind(divisor)
