"""The golden model behind the protocol: a whole board in this process, byte by byte as on its serial line."""

import random

import numpy as np

from nudge.golden.contract import stored
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    ASKED_BYTES,
    BUILD,
    COUNTERS,
    CYCLES,
    MAX_ASKED,
    MAX_DIGESTED,
    MAX_REGISTERS,
    STORED,
    VALUE_BYTES,
    WINDOW,
    Access,
    BundleNumber,
    Command,
    Committed,
    Identity,
    RegisterRange,
    RegisterValue,
    Sample,
    Sampled,
    SampledStored,
    SampleNumber,
    SampleRange,
    Status,
    WordAddress,
    Words,
    payload_bytes,
    readable_words,
    register_names,
    registers_by_address,
    request_bytes,
    split_asked,
    split_records,
    window_for,
)
from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.stored import ENTRY_WORDS, LOG_AT, MAX_MOVE, MAX_SAMPLES, WORD_BYTES, ImageStatus
from nudge.golden.model import weight_image
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.image_store import ImageStore
from nudge.golden.model.settings import Settings

from .protocol_model import ProtocolModel


class GoldenDevice:
    """Execute commands as the gateware does, bit for bit, except that all cycle counts are 0.

    config: network and lanes. capacity: size of the memory for samples in bytes. protocol: answers frames.
    Raises `ValueError` if the contract has a register without a value here.
    """

    def __init__(self, config: Config, capacity: int = 0):
        capacity = capacity if stored.storable(config.spec.input) else 0
        self.config, self.spec = config, config.spec
        self.model = FixedModel(self.spec)
        self.store = ImageStore(capacity)
        sizes = payload_bytes(self.spec), request_bytes(self.spec)
        self.protocol = ProtocolModel(self.identity_of(config, capacity), self.execute, *sizes)
        self.registers = registers_by_address(self.spec, capacity > 0)
        self.values = {r.name: r.reset for r in self.registers.values() if r.access is Access.READ_WRITE}
        actions = [r.name for r in self.registers.values() if r.access is Access.ACTION]
        #: Registers that read 0: facts of a bitstream, cycles, and bytes lost on a serial line
        #: don't exist here.
        self.zeros = dict.fromkeys(
            [*actions, *BUILD, *register_names(self.spec, CYCLES), "overruns", "framing"], 0
        )
        if unknown := [r.name for r in self.registers.values() if r.name not in self._known()]:
            raise ValueError(f"GoldenDevice has no value for the register {', '.join(unknown)}")
        self.model.settings = self._settings()
        self._written = False
        self.images = self._masters()

    @staticmethod
    def identity_of(config: Config, capacity: int = 0) -> Identity:
        """Return the identity of the answer to HELLO, with clock frequency 0."""
        window = window_for(config.spec, WINDOW)
        return Identity(
            config.spec.name, config.spec.identity, 0, 1, config.lanes, window=window, capacity=capacity
        )

    def _masters(self) -> list[np.ndarray]:
        return weight_image.pack_all(self.config, self.model.parameters)

    def _load(self) -> None:
        self.model.load(weight_image.unpack_all(self.config, self.images))

    def flip(self, chooser: random.Random) -> None:
        """Invert a random bit of a random master, like an upset in a memory; only between two batches."""
        image = chooser.choice(self.images).view(np.uint16)
        image.flat[chooser.randrange(image.size)] ^= np.uint16(1 << chooser.randrange(16))
        self._load()

    def flip_stored(self, chooser: random.Random) -> None:
        """Invert a random bit of a stored record or of the table of samples, unless the store is empty."""
        used = [*range(ENTRY_WORDS * self.store.count), *range(LOG_AT, self.store.end)]
        if used:
            self.store.flip(chooser.choice(used), chooser.randrange(16))

    def execute(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        """Execute a command; return status and payload of its answer."""
        match command:
            case Command.STORE:
                return self._store(payload), b""
            case Command.STORE_DIGEST:
                return self._digest(SampleRange.decode(payload))
            case Command.TRAIN_STORED | Command.INFER_STORED:
                return self._stored_samples(command, payload)
            case Command.READ_REGISTER:
                return self._read_registers(RegisterRange.decode(payload))
            case Command.WRITE_REGISTER:
                return self._write_register(RegisterValue.decode(payload))
            case Command.READ_WEIGHTS | Command.WRITE_WEIGHTS | Command.DIGEST:
                if self.model.pending:
                    return Status.BAD_ORDER, b""
                bundle = BundleNumber.decode(payload[: BundleNumber.size()]).bundle
                if not 1 <= bundle <= len(self.spec.bundles):
                    return Status.BAD_RANGE, b""
                return self._access(command, self.spec.bundles[bundle - 1], payload)
            case Command.INFER | Command.TRAIN:
                return self._sample(command, Sample.decode(payload))
        return self._commit()

    def _access(self, command: Command, bundle: Bundle, payload: bytes) -> tuple[Status, bytes]:
        image = self.images[bundle.index - 1]
        if command is Command.DIGEST:
            return Status.OK, _value(weight_image.digest(image))
        if command is Command.READ_WEIGHTS:
            words = Words.decode(payload)
            end = words.word + words.count
            if end > len(image) or not 1 <= words.count <= readable_words(image.shape[1]):
                return Status.BAD_RANGE, b""
            return Status.OK, image[words.word : end].tobytes()
        word = WordAddress.decode(payload[: WordAddress.size()]).word
        masters = payload[WordAddress.size() :]
        count, odd = divmod(len(masters), image.itemsize * image.shape[1])
        if odd or not count or word + count > len(image):
            return Status.BAD_RANGE, b""
        rows = np.frombuffer(masters, image.dtype).reshape(count, -1)
        if not weight_image.means_fit(self.config, bundle, word, rows):
            return Status.BAD_RANGE, b""
        image[word : word + count] = rows
        self._written = True
        return Status.OK, b""

    def _sample(self, command: Command, sample: Sample) -> tuple[Status, bytes]:
        if self._written or (command is Command.TRAIN and self.model.pending >= self.values["batch"]):
            return Status.BAD_ORDER, b""
        if sample.label >= self.spec.classes:
            return Status.BAD_RANGE, b""
        image = np.frombuffer(sample.pixels, np.uint8).reshape(1, *self.spec.input.shape).copy()
        run = self.model.train if command is Command.TRAIN else self.model.infer
        return Status.OK, Sampled(int(run(image, np.array([sample.label]))[0]), 0).encode()

    def _store(self, payload: bytes) -> Status:
        index = SampleNumber.decode(payload[: SampleNumber.size()]).index
        records, store = split_records(payload[SampleNumber.size() :]), self.store
        if records is None:
            return Status.BAD_RANGE
        if index > store.count:
            return Status.NOT_STORED
        if index + len(records) > MAX_SAMPLES or store.end * WORD_BYTES + sum(map(len, records)) > len(
            store.words
        ):
            return Status.BAD_RANGE
        for number, record in enumerate(records, index):
            store.append(number, record)
        return Status.OK

    def _digest(self, asked: SampleRange) -> tuple[Status, bytes]:
        if not 1 <= asked.count <= MAX_DIGESTED:
            return Status.BAD_RANGE, b""
        digest = self.store.digest(asked.index, asked.count)
        return (Status.NOT_STORED, b"") if digest is None else (Status.OK, _value(digest))

    def _stored_samples(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        """Refuse all samples, or execute them up to the first damaged one."""
        count, odd = divmod(len(payload), ASKED_BYTES)
        if self._written or (
            command is Command.TRAIN_STORED and self.model.pending + count > self.values["batch"]
        ):
            return Status.BAD_ORDER, b""
        if odd or count > MAX_ASKED:
            return Status.BAD_RANGE, b""
        asked = split_asked(payload)
        for sample in asked:
            if max(abs(sample.dy), abs(sample.dx)) > MAX_MOVE:
                return Status.BAD_RANGE, b""
            if sample.index >= self.store.count:
                return Status.NOT_STORED, b""
        images, labels = bytearray(), []
        for sample in asked:
            found, label, pixels = self.store.fetch(sample)
            if found is not ImageStatus.OK:
                break
            images += pixels
            labels.append(label)
        predictions = b""
        if labels:
            whole = np.frombuffer(images, np.uint8).reshape(-1, *self.spec.input.shape)
            run = self.model.train if command is Command.TRAIN_STORED else self.model.infer
            predictions = bytes(run(whole, np.array(labels)).tolist())
        status = Status.OK if len(labels) == count else Status.BAD_IMAGE
        if status is Status.OK and command is Command.TRAIN_STORED:
            self._commit()
        return status, SampledStored(predictions, 0).encode()

    def _commit(self) -> tuple[Status, bytes]:
        count = self.model.commit()
        if self._written:
            self._load()
            self.model.settings = self._settings()
        self._written = False
        self.images = self._masters()
        return Status.OK, Committed(count, 0).encode()

    def _write_register(self, written: RegisterValue) -> tuple[Status, bytes]:
        register = self.registers.get(written.address)
        if (
            register is None
            or register.access is Access.READ
            or not register.low <= written.value <= register.high
        ):
            return Status.BAD_RANGE, b""
        if register.access is Access.ACTION:
            if register.name == "forget":
                self.store.reset()
                return Status.OK, b""
            self.model.clear()
            self.protocol.clear()
            return Status.OK, b""
        self.values[register.name] = written.value
        self.model.settings = self._settings()
        return Status.OK, b""

    def _settings(self) -> Settings:
        value, numbers = self.values, [b.index for b in self.spec.bundles]
        weight_rates, bias_rates = (
            tuple(value[f"{kind}_rate_{n}"] for n in numbers) for kind in ("weight", "bias")
        )
        return Settings(value["free_steps"], value["nudged_steps"], value["beta"], weight_rates, bias_rates)

    def _read_registers(self, asked: RegisterRange) -> tuple[Status, bytes]:
        found = [self.registers.get(a) for a in range(asked.address, asked.address + asked.count)]
        if not 1 <= len(found) <= MAX_REGISTERS or None in found:
            return Status.BAD_RANGE, b""
        known = self._known()
        return Status.OK, b"".join(_value(known[r.name]) for r in found if r is not None)

    def _known(self) -> dict[str, int]:
        """Return the values of all registers by name."""
        return self.zeros | self.values | self.counters()

    def counters(self) -> dict[str, int]:
        """Return counters of frames, samples and spikes, named as in `golden.contract.protocol.registers`."""
        names = register_names(self.spec, COUNTERS) + register_names(self.spec, STORED, stores=True)
        values = {name: value for name, value in self.protocol.counters().items() if name in names}
        values |= {"stored": self.store.count, "store_end": self.store.end}
        values |= {name: getattr(self.model, name) for name in ("pending", "samples", "errors")}
        return values | {
            f"spikes_{layer.index}": self.model.spikes[n] for n, layer in enumerate(self.spec.layers[1:])
        }


def _value(number: int) -> bytes:
    """Encode a register's value or a digest, mod 2^32, in 4 bytes."""
    return (number % 2 ** (8 * VALUE_BYTES)).to_bytes(VALUE_BYTES, "little")
