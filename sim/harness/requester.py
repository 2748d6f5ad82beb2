"""Acts as the decoder and the frame buffer for an executor (`hw.link.interface.Executor`)."""

import random

import cocotb

from nudge.golden.contract.protocol import CRC_BYTES, REQUEST_BYTES, REQUEST_HEADER, VERSION, Command, Status
from nudge.hw.link.interface import Request

from .streams import PATIENCE, Port, serve_memory


class Requester(Port):
    """Gives requests to `<unit>__execute`, one at a time. `<unit>__buffer` reads the frame in `buffer`."""

    def __init__(self, dut, unit: str, *, buffered: bool = False):
        super().__init__(dut, f"{unit}__execute")
        self.buffer = bytearray()
        if buffered:
            serve_memory(dut, f"{unit}__buffer__address", f"{unit}__buffer__data", self.buffer)

    async def execute(
        self, command: Command, payload: bytes = b"", *, patience: int = PATIENCE
    ) -> tuple[Status, bytes, int]:
        """Executes a command; returns status, payload of the answer, and cycles from `start` to `done`.

        Between commands the request has random values, since the decoder may show the next one.
        """
        sequence = random.randrange(256)
        frame = bytes((VERSION, sequence, command)) + payload + random.randbytes(CRC_BYTES)
        self.buffer[:] = frame + random.randbytes(REQUEST_BYTES - len(frame))
        fields = {
            "status": Status.OK,
            "length": len(frame),
            "version": VERSION,
            "sequence": sequence,
            "command": command,
        }
        width = Request.as_shape()["arguments"].width
        fields["arguments"] = int.from_bytes(frame[REQUEST_HEADER:][: width // 8], "little")
        self.request.value, self.start.value = Request.const(fields).as_bits(), 1
        await self.edge
        assert not self.done.value, f"{self.name}: done in the cycle of start"
        self.start.value = 0
        answer, cycles, done = bytearray(), 0, False
        while not done:
            cycles += 1
            assert cycles < patience, f"{self.name}: {command.name} is not done after {patience} cycles"
            await self.edge
            if self.o__valid.value:
                answer.append(int(self.o__payload.value))
            done = bool(self.done.value)
        status = Status(int(self.status.value))
        for _ in range(random.choice((0, 0, 3))):
            self.request.value = random.getrandbits(len(self.request))
            await self.edge
            assert not self.done.value, f"{self.name}: done again"
            assert not self.o__valid.value, f"{self.name}: goes on after it was done"
        return status, bytes(answer), cycles


def watch(dut, *names: str) -> list[tuple[int, ...]]:
    """A list that receives these signals' values in each cycle in which the first signal isn't 0."""
    seen: list[tuple[int, ...]] = []
    signals, edge = [getattr(dut, name) for name in names], Port(dut, "").edge

    async def look():
        while True:
            await edge
            if signals[0].value:
                seen.append(tuple(int(signal.value) for signal in signals))

    cocotb.start_soon(look())
    return seen
