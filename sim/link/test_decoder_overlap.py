# amaranth: UnusedElaboratable=no
"""The decoder with several samples in progress: what may be started beside them, and the answers' order."""

import functools
import random

import cocotb

from nudge.golden.contract.protocol import VERSION, Command, Sampled, Status
from nudge.hw.link.decoder import EXECUTORS, Decoder
from nudge.hw.link.interface import Request
from sim.harness.streams import Port, start

from .decoder_model import IDENTITY, Model, PlayedFramer, frame, length_of, offer

#: `decoder_<window>_<most samples in flight>`.
UNITS = {
    f"decoder_{window}_{most}": Decoder(IDENTITY, window, most)
    for window, most in ((1, 4), (2, 4), (8, 1), (8, 4))
}


def outcome(request: int) -> tuple[Status, bytes]:
    """Derive the status and the answer of a request from its arguments; a sample with status OK is taken."""
    draw = random.Random(Request.from_bits(request).arguments)
    status = draw.choice((*[Status.OK] * 6, Status.BAD_ORDER, Status.BAD_RANGE))
    sample = Request.from_bits(request).command in (Command.INFER, Command.TRAIN)
    size = Sampled.size() if sample else draw.choice((0, 1, 5, 40))
    return status, draw.randbytes(size) if status is Status.OK else b""


class PlayedBoard:
    """All executors: samples finish in order after random times, and the core is busy a little longer."""

    def __init__(self, dut, unit: str):
        self.port, self.unit = Port(dut, unit), UNITS[unit]
        self.samples = Port(dut, f"{unit}__samples")
        #: Started requests, in order; and the largest number of samples in progress at once.
        self.begun: list[int] = []
        self.together = 0
        #: Taken samples: payload of the answer, and the cycle in which it is known.
        self._under_way: list[tuple[bytes, int]] = []
        self._now = self._rests = 0
        self._offered: int | None = None
        self._room = False
        cocotb.start_soon(self._tell())
        for name in EXECUTORS:
            cocotb.start_soon(self._play(name, Port(dut, f"{unit}__{name}")))

    @staticmethod
    @functools.cache
    def _fits(request: int | None) -> bool:
        sample = request is not None and Request.from_bits(request).command in (Command.INFER, Command.TRAIN)
        return sample and outcome(request)[0] is Status.OK

    async def _tell(self):
        """Drive the levels `fits`, `finished` and `idle`."""
        port = self.samples
        while True:
            self.finished = bool(self._under_way) and self._now >= self._under_way[0][1]
            self.idle = not self._under_way and self._now >= self._rests
            # once there is room, it stays until a start
            self._room = self._room or (len(self._under_way) < self.unit.most_taken and random.random() < 0.1)
            port.fits.value = self.fits = self._room and self._fits(self._offered)
            port.finished.value, port.idle.value = self.finished, self.idle
            await port.edge
            self._now += 1
            self._offered = int(self.port.i__payload.value) if self.port.i__valid.value else None

    async def _speak(self, port, payload: bytes):
        """Send bytes with random gaps."""
        for byte in payload:
            while random.random() < 0.3:
                await port.edge
            port.o__valid.value, port.o__payload.value = 1, byte
            await port.edge
            port.o__valid.value = 0

    async def _play(self, name: str, port):
        sampling = name == "samples"
        while True:
            await port.edge
            if sampling and port.say.value:
                assert self.finished, "asked for an answer that isn't finished"
                payload, _ = self._under_way[0]
                await self._speak(port, payload)
                port.done.value = 1
                await port.edge
                port.done.value = 0
                del self._under_way[0]
                continue
            if not port.start.value:
                continue
            request = int(port.request.value)
            self.begun.append(request)
            assert self.idle or (sampling and self.fits), f"{name}: started beside samples"
            self._room = False
            (status, payload), held = outcome(request), random.choice((0, 0, 5, 60))
            taken = sampling and self._fits(request)
            if not taken:
                await self._speak(port, payload)
            for _ in range(held):
                await port.edge
                assert port.request.value == request, f"{name}: the request isn't stable"
                assert not port.start.value, f"{name}: started while busy"
                assert not (sampling and port.say.value), f"{name}: asked while busy"
            ends, port.status.value = port.taken if taken else port.done, int(status)
            ends.value = 1
            if taken:
                self._under_way.append((payload, self._now + random.choice((1, 100, 600))))
                self.together = max(self.together, len(self._under_way))
            await port.edge
            ends.value = 0
            # the core becomes idle some time after the last sample
            self._rests = self._now + random.choice((0, 0, 20)) + (300 if taken else 0)


@cocotb.test()
@cocotb.parametrize(unit=list(UNITS))
async def samples_overlap_and_answers_keep_the_order(dut, unit):
    await start(dut)
    window, most = UNITS[unit].window, UNITS[unit].most_taken
    port, framer, model, board = (
        Port(dut, unit),
        PlayedFramer(dut, unit, window),
        Model(window),
        PlayedBoard(dut, unit),
    )
    expected: list[tuple[int, int, Status, bytes]] = []
    begun: list[int] = []
    for number in range(300):
        fields = frame(model)
        good = None
        if number in (3, 150):
            good = Command.HELLO
        elif random.random() < 0.7:
            # most requests are good samples, so that several are in progress at once
            good, fields["sequence"] = random.choice((Command.INFER, Command.TRAIN)), model.upcoming
        if good:
            fields |= {"command": good, "length": length_of(good), "version": VERSION, "status": Status.OK}
        sequence, command = fields["sequence"], fields["command"]
        verdict = model.judge(**fields)
        request = Request.const(fields).as_bits()
        if verdict == "again":
            expected.append((sequence, *model.stored[sequence]))
        elif verdict == "execute":
            status, payload = outcome(request)
            if command == Command.HELLO:
                status, payload = Status.OK, IDENTITY
            else:
                begun.append(request)
            expected.append((sequence, command, status, payload))
            model.execute(sequence, command, status, payload)
        else:
            expected.append((sequence, command, Status(verdict), b""))
        while random.random() < 0.2:
            await port.edge
        await offer(port, fields, f"request {number}")
        # the deframer offers the next frame three cycles later
        for _ in range(3):
            await port.edge
    for _ in range(5000):
        if len(framer.taken) == len(expected):
            break
        await port.edge
    got = [(answer.sequence, answer.command, Status(answer.status), data) for answer, data in framer.taken]
    for number, pair in enumerate(zip(got, expected, strict=True)):
        assert pair[0] == pair[1], f"answer {number}: got {pair[0]}, expected {pair[1]}"
    assert board.begun == begun, "what is executed, or its order"
    assert board.together == most, f"only {board.together} samples together"
