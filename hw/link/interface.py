"""What the parts of the link hand to each other: requests, answers, and the executors' handshake."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import protocol
from golden.contract.protocol import ANSWER_PAYLOAD, Status
from hw.lib.flow import Flow

#: Payload bytes that stay in registers with the header: the longest fixed payload.
ARGUMENT_BYTES = protocol.Words.size()


class Request(data.Struct):
    """A received frame, whose bytes lie in the frame buffer.

    Header and arguments are 0 where the frame was too short for them.
    """

    #: OK, BAD_FRAME, BAD_LENGTH or BAD_CRC.
    status: Status
    #: Decoded bytes, CRC included; one more than a frame may have if longer.
    length: bits_for(protocol.REQUEST_BYTES + 1)
    #: Version byte as received.
    version: 8
    #: Sequence number.
    sequence: 8
    #: Command byte as received.
    command: 8
    #: The first payload bytes, first one lowest.
    arguments: 8 * ARGUMENT_BYTES


def request_shape(frame_bytes: int = protocol.REQUEST_BYTES):
    """`Request` where frames have at most so many bytes."""
    if frame_bytes == protocol.REQUEST_BYTES:
        return Request
    fields = {name: field.shape for name, field in Request.as_shape()}
    return data.StructLayout(fields | {"length": bits_for(frame_bytes + 1)})


class Answer(data.Struct):
    """An answer to send: its header, and where its payload lies."""

    #: Sequence number of the request.
    sequence: 8
    #: Command of the request.
    command: 8
    #: How it ended.
    status: Status
    #: Answer slot of the payload.
    slot: range(protocol.MAX_WINDOW)
    #: Bytes of the payload.
    length: range(ANSWER_PAYLOAD + 1)


class Executor(wiring.Signature):
    """The part that executes some commands, seen from the decoder.

    Parameters
    ----------
    frame_bytes : int
        Of a frame, at most.

    Members
    -------
    start : Out(1)
        One cycle, with a legal frame in `request`.
    request : Out(request_shape(frame_bytes))
        Stable, as its buffer is, from `start` to `done`.
    o : In(Flow(8))
        The answer's payload, from `start` to `done`. Void if `status` isn't OK.
    done : In(1)
        One cycle, at least one after `start`.
    status : In(Status)
        Together with `done`. If it isn't OK nothing was changed.
    """

    def __init__(self, frame_bytes: int = protocol.REQUEST_BYTES, **more):
        super().__init__(
            {
                "start": Out(1),
                "request": Out(request_shape(frame_bytes)),
                "o": In(Flow(8)),
                "done": In(1),
                "status": In(Status),
            }
            | more
        )


class SampleExecutor(Executor):
    """An executor that may have taken several samples before it answers the first: seen from the decoder.

    A request ends with `done`, as any other, or with `taken`: then it was a sample, its frame isn't needed any longer, and
    its answer is said later, on `say`, when it is `finished`. Answers are said in the order in which samples were taken.

    Members
    -------
    start, request, o, done, status
        As in `Executor`, but `request` may change after `taken`, and another one may be started then. `o`, of the bytes of
        `protocol.Sampled`, and `done` with status OK also follow `say`.
    fits : In(1)
        The request offered in the cycle before is a sample that can be started beside those under way, and would be taken,
        not refused. Stays, as long as that request is offered and nothing else is started.
    taken : In(1)
        One cycle, at least one after `start`, instead of `done`.
    finished : In(1)
        The answer of the oldest taken sample is known. Stays until `say`.
    say : Out(1)
        One cycle, while `finished` and nothing is started: the payload follows, then `done`.
    idle : In(1)
        No taken sample's answer is still to be said, and the core rests.
    """

    def __init__(self, frame_bytes: int = protocol.REQUEST_BYTES):
        levels = dict.fromkeys(("fits", "taken", "finished", "idle"), In(1))
        super().__init__(frame_bytes, say=Out(1), **levels)


class ReadPort(wiring.Signature):
    """Synchronous read, seen from the reader: `data` belongs to the `address` of the cycle before.

    Frame buffer: address 0 is the version byte, `REQUEST_HEADER` the first payload byte of the current request.
    """

    def __init__(self, frame_bytes: int = protocol.REQUEST_BYTES):
        super().__init__({"address": Out(range(frame_bytes)), "data": In(8)})
