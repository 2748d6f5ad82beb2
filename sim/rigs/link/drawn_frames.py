"""Random and mutated frames for a board, drawn from a seed: mostly valid requests, some wrong in any way."""

import random
from collections.abc import Iterator

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    FULL_BLOCK,
    LABELS,
    MAX_DIGESTED,
    MAX_REGISTERS,
    PAYLOAD_BYTES,
    PIXELS,
    REQUEST_BYTES,
    STORED_PAYLOAD_BYTES,
    VERSION,
    WEIGHTS_PAYLOAD,
    WINDOW,
    Access,
    Asked,
    BundleNumber,
    Command,
    RegisterRange,
    RegisterValue,
    Sample,
    SampleNumber,
    SampleRange,
    WordAddress,
    Words,
    registers,
)
from nudge.golden.contract.stored import record
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model.image_store import ImageStore
from nudge.golden.training.data import Data
from sim.rigs.modelled.beside_model import encoded
from sim.rigs.modelled.faults import Kind, OneFault
from sim.rigs.modelled.protocol_model import ProtocolModel

#: Commands that process samples.
SAMPLES = (Command.TRAIN, Command.INFER, Command.TRAIN_STORED, Command.INFER_STORED)

#: Probability of a sample, and of another one after a sample. Samples take a thousand times as long as other
#: requests, so they are rare, but come in groups, so that they overlap.
SAMPLE_SHARE, MORE_SAMPLES = 0.015, 0.5


class DrawnFrames:
    """Draw frames from a seed. protocol, store: the model's, for the next number and the stored samples."""

    def __init__(self, config: Config, data: Data, protocol: ProtocolModel, store: ImageStore, seed: int):
        self.data, self.protocol, self.store, self.ahead = data, protocol, store, 0
        #: Whether the previous request was a sample.
        self.sampling = False
        self.chance = random.Random(f"fuzz {seed}")
        stores = protocol.identity.capacity > 0
        self.registers = registers(config.spec, stores)
        self.known = [*PAYLOAD_BYTES, *(STORED_PAYLOAD_BYTES if stores else ())]
        self.samples = [c for c in SAMPLES if c in self.known]

    def piece(self) -> bytes:
        """Draw the bytes between two zeros: a request, a mutated one (perhaps with zeros), or garbage."""
        match self.chance.choices(("request", "mutated", "garbage", "long"), (60, 25, 12, 3))[0]:
            case "request":
                return self.request()
            case "mutated":
                return self.mutated(self.request())
            case "garbage":
                alphabet = self.chance.choice(
                    (range(1, 8), range(256), (1, 2, FULL_BLOCK, FULL_BLOCK + 1, 255))
                )
                return bytes(self.chance.choice(alphabet) for _ in range(self.chance.randrange(1, 40)))
        value = self.chance.choice((1, 9, FULL_BLOCK, 255, self.chance.randrange(1, 256)))
        return bytes((value,)) * self.chance.choice(
            (32, 33, 100, REQUEST_BYTES - 1, REQUEST_BYTES, REQUEST_BYTES + 1, 3000)
        )

    def request(self) -> bytes:
        """Draw a frame with a correct CRC: mostly a valid request, sometimes wrong in a field."""
        chance = self.chance
        commands = [c for c in self.known if c not in (*SAMPLES, Command.HELLO)]
        command: int = chance.choice(commands)
        self.sampling = chance.random() < (
            MORE_SAMPLES if self.sampling else SAMPLE_SHARE * len(self.samples) / 2
        )
        if self.sampling:
            command = chance.choice((Command.TRAIN, *self.samples))
        elif chance.random() < 0.03:
            command = Command.HELLO
        payload = self.payload(Command(command))
        sequence = self.ahead + chance.choice(
            (0,) * 14 + (-1, -1, -2, -WINDOW, -WINDOW - 1, 1, chance.randrange(256))
        )
        version = VERSION if chance.random() < 0.98 else chance.randrange(256)
        if chance.random() < 0.02:
            command = chance.randrange(256)
        if chance.random() < 0.02:
            payload = payload[:-1] if chance.random() < 0.5 else payload + b"\7"
        sequence %= 256
        if version == VERSION and (
            command == Command.HELLO or (sequence == self.ahead and command in self.known)
        ):
            # if the request isn't executed after all, the following ones are out of sequence
            self.ahead = (sequence + 1) % 256
        return encoded(sequence, command, payload, version)

    def payload(self, command: Command) -> bytes:
        """Draw a payload of the command's length, with values inside and at the bounds of their ranges."""
        chance = self.chance
        bundle = chance.choice((0, 1, 1, 1, 2, 2, 2, 3, 255))
        word = chance.choice((0, 1, chance.randrange(700), chance.randrange(1 << 32)))
        match command:
            case Command.READ_REGISTER:
                counts = (1, 1, 1, 2, 5, 16, 0, MAX_REGISTERS, 255)
                return RegisterRange(chance.choice(self.registers).address, chance.choice(counts)).encode()
            case Command.WRITE_REGISTER:
                return self.written()
            case Command.READ_WEIGHTS:
                return Words(bundle, word, chance.choice((1, 2, 12, 31, 0, 255))).encode()
            case Command.WRITE_WEIGHTS:
                size = chance.choice((2, 8, 16, 20, 200, 400, WEIGHTS_PAYLOAD, WEIGHTS_PAYLOAD + 1))
                masters = chance.choice((chance.randbytes(size), bytes(size), b"\0\1" * (size // 2)))
                return WordAddress(bundle, word).encode() + masters
            case Command.DIGEST:
                return BundleNumber(bundle).encode()
            case Command.TRAIN | Command.INFER:
                digit = self.data.train_images[chance.randrange(1000)].numpy().tobytes()
                image = chance.choice((digit, chance.randbytes(PIXELS)))
                return Sample(chance.choice((*range(LABELS), *range(LABELS), LABELS, 255)), image).encode()
            case Command.STORE:
                return self.records()
            case Command.STORE_DIGEST:
                return SampleRange(
                    self.index(), chance.choice((1, 2, 5, self.store.count, 0, MAX_DIGESTED + 1))
                ).encode()
            case Command.TRAIN_STORED | Command.INFER_STORED:
                asked = [
                    Asked(self.index(), *chance.choices(range(-4, 5), k=2), chance.random() < 0.5)
                    for _ in range(4)
                ]
                payload = b"".join(sample.encode() for sample in asked[: chance.choice((1, 1, 2, 4))])
                return (
                    payload
                    if chance.random() < 0.9
                    else payload + chance.choice((b"\1", chance.randbytes(4), bytes(260)))
                )
        return b""

    def index(self) -> int:
        """Draw an index, mostly of a stored sample."""
        count = self.store.count
        return self.chance.choice(
            (*[self.chance.randrange(max(count, 1))] * 8, count, count + 1, (1 << 17) - 1)
        )

    def records(self) -> bytes:
        """Draw the payload of a STORE: records of digits or noise.

        Some have the CRC of another index, which makes the sample damaged; a few have an illegal label.
        """
        chance = self.chance
        index = chance.choice((self.store.count, self.index()))
        payload = b""
        for number in range(index, index + chance.choice((1, 1, 2, 3))):
            image = self.data.train_images[chance.randrange(1000)].numpy().tobytes()
            image = image if chance.random() < 0.9 else chance.randbytes(PIXELS)
            label = chance.choice((*range(LABELS), *range(LABELS), *range(LABELS), LABELS))
            payload += record(number if chance.random() < 0.9 else number ^ 1, label, image, stuff(image))
        return SampleNumber(index).encode() + payload

    def written(self) -> bytes:
        """Draw the payload of a WRITE_REGISTER; numbers of sweeps stay small, because each costs time."""
        register = self.chance.choice(self.registers)
        high = register.high if "steps" not in register.name else register.low + 3
        value = self.chance.choice((register.low, high, self.chance.randint(min(register.low, high), high)))
        if self.chance.random() < 0.2:
            value = self.chance.choice((register.low - 1, register.high + 1, 0xFFFFFFFF))
        if register.access is Access.READ and self.chance.random() < 0.7:
            register, value = self.registers[0], self.chance.randrange(1 << 32)
        return RegisterValue(register.address, value % (1 << 32)).encode()

    def mutated(self, data: bytes) -> bytes:
        """Apply one to five random faults to `data`."""
        for _ in range(self.chance.choice((1, 1, 1, 2, 5))):
            kind = self.chance.choice(list(Kind))
            other = self.chance.choice((0, 1, 255, self.chance.randrange(256)))
            value = self.chance.randrange(8) if kind is Kind.FLIP else other
            data = OneFault(self.chance.randrange(len(data) + 1), kind, value).carry(data)
        return data

    def bursts(self) -> Iterator[list[bytes]]:
        """Yield bursts of 1 to `WINDOW` non-empty frames without zeros, without end."""
        waiting: list[bytes] = []
        while True:
            size = self.chance.choice((1, 1, 2, 4, WINDOW))
            self.ahead = self.protocol.upcoming
            while len(waiting) < size:
                waiting += [piece for piece in self.piece().split(b"\0") if piece]
            yield waiting[:size]
            waiting = waiting[size:]
