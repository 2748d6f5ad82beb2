# amaranth: UnusedElaboratable=no
"""The decoder, one request after another: refusals, order, exactly once, cycles."""

import random

import cocotb
import pytest

from nudge.golden.contract.protocol import COUNTED, Command, Status
from nudge.hw.link.decoder import EXECUTORS, Decoder
from nudge.hw.link.interface import ANSWER_PAYLOAD, Request
from sim.harness.streams import Port, start
from sim.harness.units import Recorder

from .decoder_model import IDENTITY, Model, PlayedFramer, frame, offer

#: Number of stored answers, less than on a board, so that a sequence number soon becomes too old.
WINDOW = 2
UNITS = {"decoder": Decoder(IDENTITY, WINDOW)}

#: Name of the executor of each command.
SERVED = {command: name for name, commands in EXECUTORS.items() for command in commands}


class PlayedExecutor:
    """An executor with random times, bytes and statuses; `done` records all requests and answers."""

    def __init__(self, dut, name):
        self.port, self.done = Port(dut, f"decoder__{name}"), []
        cocotb.start_soon(self._play())

    async def _play(self):
        port = self.port
        while True:
            await port.edge
            # before a start its outputs don't matter
            if not port.start.value:
                continue
            request, payload = int(port.request.value), bytearray()
            cycles = random.choice((1, 2, random.randint(1, 300)))
            for _ in range(cycles - 1):
                valid = len(payload) < ANSWER_PAYLOAD and random.random() < 0.7
                byte = random.randrange(256)
                port.o__valid.value, port.o__payload.value = int(valid), byte
                payload += bytes((byte,)) if valid else b""
                await port.edge
                assert port.request.value == request, f"{port.name}: the request isn't stable"
                assert not port.start.value, f"{port.name}: started while busy"
            status = random.choice((Status.OK, Status.OK, Status.BAD_ORDER, Status.BAD_RANGE))
            port.o__valid.value, port.done.value, port.status.value = 0, 1, int(status)
            await port.edge
            self.done.append((request, status, bytes(payload), cycles))
            port.done.value, port.status.value = 0, random.choice((0, Status.BAD_RANGE))


def due(model, fields, verdict, done, where) -> tuple[int, Status, bytes, int | None]:
    """Return the command, status and payload of the answer that is due, and its cycles (None: any number).
    Check that an accepted request is executed once, and a refused one never.

    done: by the name of an executor, the requests and answers that it recorded since the frame was offered.
    """
    command = fields["command"]
    if verdict == "execute" and command != Command.HELLO:
        name = SERVED[Command(command)]
        assert list(done) == [name], f"{where}: {list(done)} executed"
        assert len(done[name]) == 1, f"{where}: executed {len(done[name])} times"
        ((request, status, payload, took),) = done[name]
        assert request == Request.const(fields).as_bits(), (
            f"{where}: the executor saw {Request.from_bits(request)}"
        )
        return command, status, payload if status is Status.OK else b"", 4 + took
    assert not done, f"{where}: {done} executed"
    if verdict == "execute":
        return command, Status.OK, IDENTITY, None
    if verdict == "again":
        return *model.stored[fields["sequence"]], 3
    return command, Status(verdict), b"", 3 if verdict == Status.BAD_SEQUENCE else 2


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.9])
async def each_frame_is_answered_as_the_model_says(dut, stall):
    """stall: probability, in each cycle, that no frame is offered."""
    await start(dut)
    port, framer, model = Port(dut, "decoder"), PlayedFramer(dut, "decoder", WINDOW), Model(WINDOW)
    # each request ends before the next one: samples are executed like other commands, and none is taken
    executors = {name: PlayedExecutor(dut, name) for name in EXECUTORS}
    executors["samples"].port.idle.value = 1
    refusals, offered = Recorder(dut, "decoder__refused"), Recorder(dut, "decoder__o__valid")
    requests, happened = Recorder(dut, "decoder__i__valid"), set()
    for number in range(500):
        while random.random() < stall:
            port.i__payload.value = random.getrandbits(len(port.i__payload))
            await port.edge
        fields = frame(model)
        verdict = model.judge(**fields)
        known, refused, begun = (
            {name: len(e.done) for name, e in executors.items()},
            len(refusals.cycles),
            len(requests.cycles),
        )
        await offer(port, fields, f"request {number}")
        counted = Status(int(port.status.value)) if port.refused.value else Status.OK
        if not port.o__valid.value:
            await port.edge
        for _ in range(5000):
            if len(framer.taken) > number:
                break
            await port.edge
        else:
            raise AssertionError(f"request {number}, {fields}: no answer")

        where, sequence = f"request {number}, {fields}, {verdict}", fields["sequence"]
        done = {name: e.done[known[name] :] for name, e in executors.items() if e.done[known[name] :]}
        command, status, payload, cycles = due(model, fields, verdict, done, where)
        if verdict == "execute":
            model.execute(sequence, command, status, payload)
        answer, data = framer.taken[number]
        got = {
            "sequence": answer.sequence,
            "command": answer.command,
            "status": Status(answer.status),
            "payload": data,
        }
        expected = {"sequence": sequence, "command": command, "status": status, "payload": payload}
        assert got == expected, f"{where}: got {got}, expected {expected}"
        assert counted == (Status.OK if verdict == "again" else status), f"{where}: counted as {counted.name}"
        assert len(refusals.cycles) - refused == (counted is not Status.OK), (
            f"{where}: counted more than once"
        )
        asked = requests.cycles[begun]
        latency = next(cycle for cycle in offered.cycles if cycle > asked) - asked
        if cycles is not None:
            # an executor may have to wait until the framer has sent the older answer in its slot
            late = latency - cycles
            assert late == 0 or (late > 0 and verdict == "execute"), (
                f"{where}: {latency} cycles, expected {cycles}"
            )
        happened.add((verdict, status))
    missing = {Status.OK, *COUNTED} - {status for _, status in happened}
    assert not missing, f"{missing} never happened"
    assert ("again", Status.OK) in happened


def test_an_identity_that_is_too_long_is_refused():
    with pytest.raises(
        ValueError, match=rf"^identity must have at most {ANSWER_PAYLOAD} bytes, not {ANSWER_PAYLOAD + 1}$"
    ):
        Decoder(bytes(ANSWER_PAYLOAD + 1))
