"""Interfaces between parts of the link: requests, answers, executors' handshake, sources of samples."""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import ANSWER_PAYLOAD, REQUEST_PAYLOAD, Status
from nudge.hw.core.interface import CoreSignature, Operation, label_bits
from nudge.hw.lib.flow import Flow

#: Payload bytes that are kept in registers beside the header: the longest payload of fixed length.
ARGUMENT_BYTES = protocol.Words.size()


class Request(data.Struct):
    """A received frame, whose bytes are in the frame buffer.

    Bytes of header and arguments beyond the end of a short frame are 0.
    """

    #: OK, BAD_FRAME, BAD_LENGTH or BAD_CRC.
    status: Status
    #: Decoded bytes, CRC included; of a frame that is too long, the maximum and 1.
    length: bits_for(protocol.REQUEST_BYTES + 1)
    #: Version byte as received.
    version: 8
    #: Sequence number.
    sequence: 8
    #: Command byte as received.
    command: 8
    #: The first payload bytes, the first one in the lowest bits.
    arguments: 8 * ARGUMENT_BYTES


def request_shape(frame_bytes: int = protocol.REQUEST_BYTES):
    """The shape of `Request` for frames of at most ``frame_bytes`` bytes."""
    if frame_bytes == protocol.REQUEST_BYTES:
        return Request
    fields = {name: field.shape for name, field in Request.as_shape()}
    return data.StructLayout(fields | {"length": bits_for(frame_bytes + 1)})


class Answer(data.Struct):
    """An answer to be sent: its header, and the slot of its payload."""

    #: Sequence number of the request.
    sequence: 8
    #: Command of the request.
    command: 8
    #: Status of the request.
    status: Status
    #: Slot of the payload in the framer's memory.
    slot: range(protocol.MAX_WINDOW)
    #: Bytes of the payload.
    length: range(ANSWER_PAYLOAD + 1)


class Executor(wiring.Signature):
    """Interface of a part that executes some of the commands, seen from the decoder.

    Parameters
    ----------
    frame_bytes : int
        Maximum bytes of a frame.

    Members
    -------
    start : Out(1)
        Strobe, with a legal frame in `request`.
    request : Out(request_shape(frame_bytes))
        Stable, as its frame buffer is, from `start` to `done`.
    o : In(Flow(8))
        The answer's payload, from `start` to `done`. Discarded unless `status` is OK or BAD_IMAGE.
    done : In(1)
        Strobe, at least one cycle after `start`.
    status : In(Status)
        Valid with `done`. Unless it is OK or BAD_IMAGE, the request changed nothing.
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
    """An executor that may take several samples before the first of them is answered, seen from the decoder.

    A request ends either with `done`, as in `Executor`, or with `taken`: it then is a sample whose frame
    isn't needed any longer. When the sample is `finished`, the decoder requests its answer by `say`. Answers
    keep the order in which samples were taken.

    Members
    -------
    start, request, o, done, status
        As in `Executor`, but after `taken` the `request` may change and another one may be started. `o`, with
        the bytes of `protocol.Sampled`, and then `done` with status OK also follow `say`.
    fits : In(1)
        The request offered in the two cycles before is a sample that could be started beside those in flight,
        and would be taken, not refused. Stays high as long as that request is offered and no other one is
        started.
    taken : In(1)
        Strobe, at least one cycle after `start`, instead of `done`.
    finished : In(1)
        The answer of the oldest taken sample is known. Stays high until `say`.
    say : Out(1)
        Strobe, only while `finished` is high and no request is being executed: the payload follows, then
        `done`.
    idle : In(1)
        All taken samples have been answered, and the core is idle.
    """

    def __init__(self, frame_bytes: int = protocol.REQUEST_BYTES):
        levels = dict.fromkeys(("fits", "taken", "finished", "idle"), In(1))
        super().__init__(frame_bytes, say=Out(1), **levels)


class ReadPort(wiring.Signature):
    """Read port of the frame buffer, seen from the reader: `data` belongs to the `address` of the cycle
    before.

    Address 0 is the version byte of the current request, `REQUEST_HEADER` its first payload byte.
    """

    def __init__(self, frame_bytes: int = protocol.REQUEST_BYTES):
        super().__init__({"address": Out(range(frame_bytes)), "data": In(8)})


def issued(config: Config) -> data.StructLayout:
    """Layout of an operation that a source offers. label: of a sample."""
    return data.StructLayout({"operation": Operation, "label": label_bits(config)})


def result(config: Config) -> data.StructLayout:
    """Layout of a result. value: a sample's prediction, or the number of samples that a COMMIT covers.
    mistaken: the prediction isn't the label. cycles: as in `protocol.Sampled` and `protocol.Committed`."""
    value = max(label_bits(config), config.spec.formats.max_batch.bit_length())
    return data.StructLayout({"value": value, "mistaken": 1, "cycles": 32})


class SampleSource(wiring.Signature):
    """Interface of a source of samples with the `Issuer`, seen from the source.

    Members
    -------
    o : Out(stream.Signature(issued(config)))
        An operation, which starts when the core allows it. It is transferred when the core no longer needs
        the sample's image, or at the end of a COMMIT.
    address : In, pixel : Out(8)
        Synchronous read of the image of the sample offered.
    count : Out(range(REQUEST_PAYLOAD))
        Number of samples in the current request.
    refused : In(1)
        BAD_ORDER: ``count`` samples with the operation of ``o.payload`` of the cycle before, valid or not,
        break the order rules.
    room : In(1)
        A sample that is offered now starts at once.
    idle : In(1)
        All results have been transferred, and the core is idle.
    result : In(stream.Signature(result(config)))
        The oldest result; results keep the order of the operations.
    answers : Out(1)
        Strobe for each result of a sample, no later than its transfer: the registers count it.
    """

    def __init__(self, config: Config):
        core = CoreSignature(config).members
        super().__init__(
            {
                "o": Out(stream.Signature(issued(config))),
                "address": In(core["pixel_address"].shape),
                "pixel": Out(core["pixel"].shape),
                "count": Out(range(REQUEST_PAYLOAD)),
                "refused": In(1),
                "room": In(1),
                "idle": In(1),
                "result": In(stream.Signature(result(config))),
                "answers": Out(1),
            }
        )
