# amaranth: UnusedElaboratable=no
"""TRAIN_STORED and INFER_STORED with `FakeCore`, and a played store of samples."""

import random
from collections import deque
from typing import NamedTuple

import cocotb

from nudge.golden.contract.protocol import ASKED_BYTES, MAX_ASKED, PIXELS, VALUE_BYTES, Command, Status
from nudge.golden.contract.stored import DAMAGED, MAX_MOVE, Asked, ImageStatus
from nudge.hw.core.interface import Operation
from nudge.hw.link.interface import issued
from nudge.hw.link.stored_samples import StoredSamples
from nudge.hw.memory.interface import Found, Move
from sim.harness.fake_core import TINY, FakeCore, predicted
from sim.harness.issued import Issued
from sim.harness.requester import Requester, watch
from sim.harness.streams import Port, start
from sim.harness.units import pulse

NAME = "stored_samples"

#: Number of samples in the store, and in a batch.
STORED, BATCH = 12, 7

#: Number of images that the store fetches ahead.
AHEAD = 2


UNITS = {NAME: Issued(StoredSamples(TINY), FakeCore(TINY))}


class Image(NamedTuple):
    """A stored sample: status, label and pixels."""

    status: ImageStatus
    label: int
    pixels: bytes


class PlayedStore:
    """A store that takes up to `AHEAD` moves, and shows their images in order, each after a random time."""

    def __init__(self, dut, images: list[Image]):
        self.port, self.images = Port(dut, NAME), images
        #: All requested samples and moves, in order.
        self.asked: list[Asked] = []
        cocotb.start_soon(self._serve())

    async def _serve(self) -> None:
        port, kept, wait, offered = self.port, deque[Image](), 0, None
        port.count.value = len(self.images)
        while True:
            await port.edge
            at = int(port.address.value)
            if kept and kept[0].status is ImageStatus.OK:
                port.pixel.value = kept[0].pixels[at] if at < PIXELS else 0
            if port.found__valid.value and port.found__ready.value:
                kept.popleft()
                port.found__valid.value, wait = 0, random.choice((0, 1, 5, 300))
            elif kept and not wait:
                fields = {"status": kept[0].status, "label": kept[0].label}
                port.found__valid.value, port.found__payload.value = 1, Found.const(fields).as_bits()
            wait = max(wait - 1, 0)
            move = int(port.move__payload.value) if port.move__valid.value else None
            assert offered in (None, move), "a move that isn't offered any longer"
            offered = move
            if move is not None and port.move__ready.value:
                fields = Move.from_bits(move)
                index, dy, dx = (int(getattr(fields, name)) for name in ("index", "dy", "dx"))
                self.asked.append(Asked(index, dy, dx, bool(fields.mirrored)))
                kept.append(self.images[index])
                offered = None
            port.move__ready.value = len(kept) < AHEAD and random.random() < 0.5


def images() -> list[Image]:
    """Draw the stored samples; every fourth is damaged."""
    made = []
    for number in range(STORED):
        status = random.choice(DAMAGED) if number % 4 == 3 else ImageStatus.OK
        # the first pixel determines the sample's time in the core
        pixels = bytes((random.choice((0, 1, 30, 70)),)) + random.randbytes(PIXELS - 1)
        made.append(Image(status, random.randrange(10), pixels))
    return made


def asked(count: int, good: bool) -> list[Asked]:
    def move() -> int:
        return random.randint(-MAX_MOVE, MAX_MOVE)

    indices = [n for n in range(STORED) if n % 4 != 3 or not good]
    return [Asked(random.choice(indices), move(), move(), random.random() < 0.5) for _ in range(count)]


class Model:
    """Model of the board: refusals, answers and counters."""

    def __init__(self, lying: list[Image]):
        self.lying, self.total, self.pending, self.stale = lying, 0, 0, False
        self.trained = self.sampled = self.mistaken = self.committed = 0

    def commit(self) -> None:
        self.total, self.pending, self.stale, self.committed = self.total + 1, 0, False, self.committed + 1

    def execute(self, command: Command, payload: bytes) -> tuple[Status, bytes, int]:
        """Return status, answer without cycles, and smallest number of samples requested of the store."""
        train, (count, odd) = command is Command.TRAIN_STORED, divmod(len(payload), ASKED_BYTES)
        if self.stale or (train and self.pending + count > BATCH):
            return Status.BAD_ORDER, b"", 0
        if odd or count > MAX_ASKED:
            return Status.BAD_RANGE, b"", 0
        wanted = [Asked.decode(payload[n : n + ASKED_BYTES]) for n in range(0, len(payload), ASKED_BYTES)]
        for one in wanted:
            if max(abs(one.dy), abs(one.dx)) > MAX_MOVE:
                return Status.BAD_RANGE, b"", 0
            if one.index >= STORED:
                return Status.NOT_STORED, b"", 0
        answer = bytearray()
        for one in wanted:
            found = self.lying[one.index]
            if found.status is not ImageStatus.OK:
                break
            answer.append(predicted(found.pixels, 0))
            self.mistaken += answer[-1] != found.label
            self.total += train * sum(found.pixels)
        self.sampled += len(answer)
        self.trained += train * len(answer)
        self.pending += train * len(answer)
        whole = len(answer) == count
        if whole and train:
            self.commit()
        return Status.OK if whole else Status.BAD_IMAGE, bytes(answer), min(len(answer) + 1, count)


def request() -> tuple[Command, bytes]:
    """Draw a request, mostly a good one."""
    command = random.choice((Command.TRAIN_STORED, Command.INFER_STORED))
    wanted = asked(random.randint(1, 5), random.random() < 0.6)
    payload = b"".join(one.encode() for one in wanted)
    match random.randrange(12):
        case 0:
            payload += random.randbytes(random.randint(1, 3))
        case 1:
            payload += Asked(STORED).encode()
        case 2:
            far = bytearray(payload)
            far[-1] = random.choice((0x05, 0x50, 0xB0, 0x0B))
            payload = bytes(far)
        case 3:
            payload = Asked(1).encode() * (MAX_ASKED + 1)
            command = Command.INFER_STORED
        case 4:
            command, payload = Command.TRAIN_STORED, Asked(1).encode() * (BATCH + 1)
    return command, payload


async def commit(source: Port) -> None:
    """Offer a COMMIT, as the other source."""
    source.o__payload.value = issued(TINY).const({"operation": Operation.COMMIT}).as_bits()
    source.o__valid.value = 1
    await source.edge
    while not source.o__ready.value:
        await source.edge
    source.o__valid.value = 0
    while not source.result__valid.value:
        await source.edge
    await pulse(source.result__ready, source.edge)


@cocotb.test()
async def equals_the_model(dut):
    await start(dut)
    lying = images()
    port, store, model = Port(dut, NAME), PlayedStore(dut, lying), Model(lying)
    requester, seen = Requester(dut, NAME, buffered=True), set()
    pulses = {name: watch(dut, f"{NAME}__{name}") for name in ("trained", "sampled", "committed")}
    mistakes = watch(dut, f"{NAME}__sampled", f"{NAME}__mistaken")
    port.batch.value = BATCH
    for number in range(45):
        if number in (10, 30):
            await pulse(port.written, port.edge)
            model.stale = True
        if number in (12, 32):
            await commit(Port(dut, f"{NAME}__other"))
            model.commit()
        if model.pending and random.random() < 0.5:
            # as after a COMMIT request
            model.pending = 0
        port.pending.value = model.pending
        command, payload = request()
        store.asked.clear()
        wanted, answer, fetched = model.execute(command, payload)
        status, found, cycles = await requester.execute(command, payload)
        where = f"{number}, {command.name} {payload.hex()[:80]}"
        assert status == wanted, f"{where}: {status.name}, expected {wanted.name}"
        if status in (Status.OK, Status.BAD_IMAGE):
            assert found[:-VALUE_BYTES] == answer, f"{where}: {found.hex()}"
            assert len(answer) <= int.from_bytes(found[-VALUE_BYTES:], "little") <= cycles, where
        # samples are requested in order; some behind a damaged one may have been requested already
        whole = [
            Asked.decode(payload[n : n + ASKED_BYTES])
            for n in range(0, len(payload) & -ASKED_BYTES, ASKED_BYTES)
        ]
        assert store.asked == whole[: len(store.asked)], where
        assert fetched <= len(store.asked) <= fetched + (AHEAD if fetched else 0), where
        while port.core_busy.value:
            await port.edge
        assert port.total.value == model.total, where
        counted = {name: len(cycles) for name, cycles in pulses.items()}
        assert counted == {name: getattr(model, name) for name in pulses}, where
        assert sum(mistaken for _, mistaken in mistakes) == model.mistaken, where
        seen.add(status)
    refused = {Status.BAD_ORDER, Status.BAD_RANGE, Status.NOT_STORED, Status.BAD_IMAGE}
    assert seen == {Status.OK} | refused
