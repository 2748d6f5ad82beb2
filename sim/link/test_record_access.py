# amaranth: UnusedElaboratable=no
"""STORE and STORE_DIGEST against the board's model, with a played store of samples behind the unit."""

import random

import cocotb

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import MAX_DIGESTED, Command, SampleNumber, SampleRange, Status
from nudge.golden.contract.stored import (
    CAPACITY,
    MAX_CODED,
    MAX_SAMPLES,
    WORD_BYTES,
    Header,
    record_words,
    sealed,
)
from nudge.golden.contract.stored_messages import STORED_PAYLOAD_BYTES
from nudge.golden.model.image_store import ImageStore
from nudge.hw.link.record_access import RecordAccess
from nudge.hw.memory.interface import Range, Record
from sim.harness.requester import Requester
from sim.harness.streams import Port, start
from sim.rigs.modelled.golden_device import GoldenDevice

NAME = "record_access"
UNITS = {NAME: RecordAccess()}

#: Smallest number of record bytes in a STORE: the decoder refuses shorter ones.
SHORTEST = STORED_PAYLOAD_BYTES[Command.STORE] - SampleNumber.size()

#: Largest number of record bytes in a STORE here, unless it has a single record.
MOST = 500


class PlayedStore:
    """The store behind the unit: takes records word by word, and computes digests."""

    def __init__(self, dut, stall: float):
        self.port, self.model, self.stall = Port(dut, NAME), ImageStore(CAPACITY), stall
        cocotb.start_soon(self._records())
        cocotb.start_soon(self._digests())

    def show(self) -> None:
        self.port.count.value, self.port.end.value = self.model.count, self.model.end

    async def _records(self) -> None:
        port, data = self.port, bytearray()
        while True:
            port.data__ready.value = random.random() >= self.stall
            await port.edge
            if port.data__valid.value and port.data__ready.value:
                assert port.record__valid.value, "a word of no record"
                data += int(port.data__payload.value).to_bytes(WORD_BYTES, "little")
            record = Record.from_bits(int(port.record__payload.value))
            if port.record__valid.value and len(data) == WORD_BYTES * record.words:
                self.model.append(int(record.index), bytes(data))
                data.clear()
                port.data__ready.value = 0
                for _ in range(random.choice((0, 1, 30)) if self.stall else 0):
                    await port.edge
                    assert not port.data__valid.value, "a word too many"
                port.record__ready.value = 1
                await port.edge
                port.record__ready.value = 0
                self.show()

    async def _digests(self) -> None:
        port = self.port
        while True:
            await port.edge
            port.digest.value = random.getrandbits(32)
            if port.range__valid.value:
                asked = Range.from_bits(int(port.range__payload.value))
                for _ in range(random.randint(1, 9)):
                    await port.edge
                digest = self.model.digest(int(asked.first), int(asked.count))
                assert digest is not None, "a digest of what isn't stored"
                port.digest.value, port.range__ready.value = digest, 1
                await port.edge
                port.range__ready.value = 0


def records() -> bytes:
    """Draw the record bytes of a STORE, mostly whole records."""
    made = b""
    while True:
        coded = random.randbytes(random.choice((1, 2, 3, 40, random.randint(1, 200)) * 4 + (MAX_CODED,)))
        one = (
            Header(len(coded), random.randrange(10), random.choice((0, 255)), random.getrandbits(32)).encode()
            + coded
        )
        one += random.randbytes(len(coded) % WORD_BYTES)
        if made and (len(made) + len(one) > MOST or random.random() < 0.3):
            break
        made += one
    match random.randrange(16):
        case 0:
            return max(made[: -random.choice((1, 2, 3))], made[:SHORTEST], key=len)
        case 1:
            return made + random.randbytes(random.randint(1, 9))
        case 2:
            return made + sealed(10, 0, b"\1")
        case 3:
            return made + Header(0, 1, 0, 0).encode()
        case 4:
            return Header(MAX_CODED + 1, 1, 0, 0).encode() + bytes(MAX_CODED + 2)
    return made


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def equals_the_model(dut, stall):
    await start(dut)
    device = GoldenDevice(configuration(preset("tiny")), CAPACITY)
    store, requester, seen = PlayedStore(dut, stall), Requester(dut, NAME, buffered=True), set()
    for number in range(100):
        if number == 50:
            # from here on the log is nearly full; from 75 on, the table of samples instead
            device.store.end = store.model.end = CAPACITY // WORD_BYTES - 3 * record_words(200)
        if number == 75:
            device.store.count = store.model.count = MAX_SAMPLES - 4
            device.store.end = store.model.end = CAPACITY // WORD_BYTES // 2
        store.show()
        count = device.store.count
        index = random.choice(
            (count, count, count, count + 1, random.randrange(count + 1), MAX_SAMPLES, (1 << 32) - 1)
        )
        if random.random() < 0.7:
            command, payload = Command.STORE, SampleNumber(index).encode() + records()
        else:
            first = random.choice((index, random.randrange(count + 1), max(count - 2, 0)))
            many = random.choice(
                (0, 1, 1, 2, 2, max(count - first, 0) & 0xFF, MAX_DIGESTED, MAX_DIGESTED + 1, 0xFFFF)
            )
            command, payload = Command.STORE_DIGEST, SampleRange(first, many).encode()
        wanted, answer = device.execute(command, payload)
        status, found, _ = await requester.execute(command, payload)
        where = f"{number}, {command.name} {payload[:40].hex()}"
        assert status == wanted, f"{where}: {status.name}, expected {wanted.name}"
        assert found == answer or status is not Status.OK, where
        assert (store.model.count, store.model.end) == (device.store.count, device.store.end), where
        seen.add((command, status))
    assert store.model.words == device.store.words
    ends = (Status.OK, Status.BAD_RANGE, Status.NOT_STORED)
    assert seen == {(command, end) for command in (Command.STORE, Command.STORE_DIGEST) for end in ends}
