"""A board in software for an undamaged line: it stores weights and samples, and computes nothing."""

import numpy as np

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    ANSWER,
    REQUEST_HEADER,
    VALUE_BYTES,
    VERSION,
    BundleNumber,
    Command,
    Identity,
    RegisterRange,
    SampleNumber,
    SampleRange,
    Status,
    WordAddress,
    Words,
    most_answered,
    registers_by_address,
    split_records,
)
from nudge.golden.model import weight_image
from nudge.golden.model.image_store import ImageStore
from nudge.golden.model.parameters import zeros
from nudge.host.link import frame


class PlainBoard:
    """A board that predicts 0. Registers always read 0, except `stored` and `store_end`.

    images: masters of each bundle (`golden.model.weight_image`).
    """

    def __init__(self, config: Config, identity: Identity):
        self.identity, self.images = identity, weight_image.pack_all(config, zeros(config.spec))
        self.store = ImageStore(identity.capacity)
        self._registers = registers_by_address(config.spec, identity.capacity > 0)

    def answer(self, piece: bytes) -> bytes:
        """Return the body of the answer to a request's frame, given without its zero byte."""
        body = frame.decode(piece)
        _, sequence, command = body[:REQUEST_HEADER]
        hello = command == Command.HELLO
        payload = self.identity.encode() if hello else self.execute(Command(command), body[REQUEST_HEADER:])
        return bytes((VERSION, sequence, command | ANSWER, Status.OK)) + payload

    def execute(self, command: Command, payload: bytes) -> bytes:
        """Execute a command other than HELLO and return the payload of its answer."""
        match command:
            case Command.READ_REGISTER:
                name = self._registers[RegisterRange.decode(payload).address].name
                return _value({"stored": self.store.count, "store_end": self.store.end}.get(name, 0))
            case Command.DIGEST:
                return _value(weight_image.digest(self.images[BundleNumber.decode(payload).bundle - 1]))
            case Command.READ_WEIGHTS:
                words = Words.decode(payload)
                return self.images[words.bundle - 1][words.word :][: words.count].tobytes()
            case Command.WRITE_WEIGHTS:
                to = WordAddress.decode(payload[: WordAddress.size()])
                rows = self.images[to.bundle - 1][to.word :]
                masters = np.frombuffer(payload[WordAddress.size() :], rows.dtype).reshape(-1, rows.shape[1])
                rows[: len(masters)] = masters
            case Command.STORE:
                first = SampleNumber.decode(payload[: SampleNumber.size()]).index
                for index, record in enumerate(split_records(payload[SampleNumber.size() :]) or (), first):
                    self.store.append(index, record)
                return b""
            case Command.STORE_DIGEST:
                asked = SampleRange.decode(payload)
                return _value(self.store.digest(asked.index, asked.count) or 0)
        return bytes(most_answered(command, payload))


def _value(number: int) -> bytes:
    return number.to_bytes(VALUE_BYTES, "little")
