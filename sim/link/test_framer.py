# amaranth: UnusedElaboratable=no
"""The framer against the host's codec: answers of many lengths from all slots, stalls, cycles."""

import random

import cocotb

from nudge.golden.contract.protocol import ANSWER, ANSWER_HEADER, CRC_BYTES, VERSION, WINDOW, Status
from nudge.host.link import frame
from nudge.hw.link.framer import LONGEST_CODE, Framer
from nudge.hw.link.interface import ANSWER_PAYLOAD, Answer
from sim.harness.streams import Port, StreamSink, start
from sim.harness.units import Recorder

UNITS = {"framer": Framer()}


def answers() -> list[tuple[int, int, Status, bytes]]:
    """Draw (sequence, command, status, payload).

    Some have no zero and lengths around the longest COBS block, others any length with few or many zeros, and
    one has zeros only.
    """
    edge = LONGEST_CODE - 1 - ANSWER_HEADER - CRC_BYTES  # one longest block, exactly
    out = []
    for length in [0, 1, edge - 1, edge, edge + 1, ANSWER_PAYLOAD] * 2:
        payload = bytes(random.randint(1, 255) for _ in range(length))
        out.append((random.randint(1, 255), random.randrange(ANSWER), Status.BAD_RANGE, payload))
    for length in (0, 1, 2, 5, ANSWER_PAYLOAD, *(random.randint(0, ANSWER_PAYLOAD) for _ in range(30))):
        low = random.choice((0, 1, 254))
        payload = bytes(random.choice((low, random.randint(low, 255))) for _ in range(length))
        out.append(
            (
                random.choice((0, random.randint(1, 255))),
                random.randrange(ANSWER),
                random.choice(list(Status)),
                payload,
            )
        )
    return [*out, (0, 0, Status.OK, bytes(ANSWER_PAYLOAD))]


async def store(port, slot: int, payload: bytes):
    """Write the payload of an answer slot, with random idle cycles."""
    for address, byte in enumerate(payload):
        while random.random() < 0.1:
            port.write.value = 0
            await port.edge
        port.write.value, port.slot.value, port.address.value, port.data.value = 1, slot, address, byte
        await port.edge
    port.write.value = 0


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def frames_equal_the_reference(dut, stall):
    await start(dut)
    port, sink = Port(dut, "framer"), StreamSink(dut, "framer__o")
    taken, first = Recorder(dut, "framer__i__valid", "framer__i__ready"), Recorder(dut, "framer__o__valid")
    sent = Recorder(dut, "framer__o__valid", "framer__o__ready")
    slot = 0
    for sequence, command, status, payload in answers():
        body = bytes((VERSION, sequence, command | ANSWER, status)) + payload
        await store(port, slot, payload)
        answer = {
            "sequence": sequence,
            "command": command,
            "status": status,
            "slot": slot,
            "length": len(payload),
        }
        port.i__payload.value, port.i__valid.value = Answer.const(answer).as_bits(), 1
        await port.edge
        assert port.i__ready.value, "not ready when it has nothing to send"
        port.i__valid.value, port.i__payload.value = 0, random.getrandbits(len(port.i__payload))
        slot = (slot + 1) % WINDOW
        # another slot may be written meanwhile
        other = cocotb.start_soon(store(port, slot, random.randbytes(ANSWER_PAYLOAD)))
        wire = frame.encode_answer(body)
        got = bytes(await sink.get(len(wire), stall=stall, patience=2000))
        assert got == wire, f"{body.hex()}: got {got.hex()}"
        await port.edge
        assert port.i__ready.value, "more bytes than the frame has"
        begun = taken.cycles[-1]
        latency = next(cycle for cycle in first.cycles if cycle > begun) - begun
        n = len(body)
        assert latency == n + 6 + wire[0], (
            f"{n} bytes, first block {wire[0]}: first byte after {latency} cycles"
        )
        if stall == 0.0:
            empty, at = 0, 0
            while at < len(wire) - 1:
                empty, at = empty + (wire[at] == 1), at + wire[at]
            cycles = sent.cycles[-1] - begun
            assert cycles == n + 4 + 4 * (len(wire) - 1) + empty, (
                f"{n} bytes, {empty} empty blocks: {cycles} cycles"
            )
        await other
