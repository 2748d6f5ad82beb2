"""The golden model behind the protocol: a whole board in this process, as its serial line sees it."""

import random
import struct
import zlib

import numpy as np
import torch

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.protocol import (
    ADDRESS_COUNTERS,
    ADDRESS_SPIKES,
    ANSWER_BYTES,
    ANSWER_HEADER,
    CRC_BYTES,
    LABELS,
    PIXELS,
    Access,
    Command,
    Identity,
    Status,
    registers,
)
from golden.model.fixed import FixedModel
from golden.model.parameters import Parameters
from golden.model.settings import Settings
from host.boards.serial import MASTER

from .protocol_model import ProtocolModel

#: Payload bytes of an answer.
ROOM = ANSWER_BYTES - ANSWER_HEADER - CRC_BYTES


class GoldenDevice:
    """Executes commands as the gateware does, bit for bit; only the cycle counts in its answers and counters are 0.

    config: network and lanes. protocol: takes frames and gives answers.
    """

    def __init__(self, config: Config):
        self.config, self.spec = config, config.spec
        self.model = FixedModel(self.spec)
        self.protocol = ProtocolModel(self.identity_of(config), self.execute)
        self.registers = {r.address: r for r in registers(self.spec)}
        self.values = {r.name: r.reset for r in self.registers.values() if r.access is Access.READ_WRITE}
        self.model.settings = self._settings()
        self._written = False
        self.images = self._masters()

    def _parameters(self) -> Parameters:
        weights, biases = [], []
        for bundle, image in zip(self.spec.bundles, self.images, strict=True):
            weight, bias = layout.unpack(self.config, bundle, image.astype(np.int64))
            weights.append(torch.from_numpy(weight.copy()))
            biases.append(torch.from_numpy(bias.copy()))
        return Parameters(tuple(weights), tuple(biases))

    @staticmethod
    def identity_of(config: Config) -> Identity:
        """What HELLO answers: no clock, as there is none."""
        return Identity(config.spec.name, config.spec.identity, 0, 1, config.lanes)

    def _masters(self) -> list[np.ndarray]:
        masters = zip(self.spec.bundles, *self.model.parameters, strict=True)
        return [layout.pack(self.config, b, weight.numpy(), bias.numpy()).astype(MASTER) for b, weight, bias in masters]

    def flip(self, chooser: random.Random) -> None:
        """Invert a bit of a weight, as something that hits a memory would; between two batches."""
        image = chooser.choice(self.images).view(np.uint16)
        image.flat[chooser.randrange(image.size)] ^= np.uint16(1 << chooser.randrange(16))
        self.model.load(self._parameters())

    def execute(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        """Status and payload of the answer."""
        match command:
            case Command.READ_REGISTER:
                return self._read_registers(payload[0], payload[1])
            case Command.WRITE_REGISTER:
                return self._write_register(payload[0], int.from_bytes(payload[1:], "little"))
            case Command.READ_WEIGHTS | Command.WRITE_WEIGHTS | Command.DIGEST:
                if self.model.pending:
                    return Status.BAD_ORDER, b""
                if not 1 <= payload[0] <= len(self.spec.bundles):
                    return Status.BAD_RANGE, b""
                return self._access(command, self.images[payload[0] - 1], payload[1:])
            case Command.INFER | Command.TRAIN:
                return self._sample(command, payload[0], payload[1:])
        return self._commit()

    def _access(self, command: Command, image: np.ndarray, rest: bytes) -> tuple[Status, bytes]:
        if command is Command.DIGEST:
            return Status.OK, zlib.crc32(image.tobytes()).to_bytes(4, "little")
        word, size = int.from_bytes(rest[:4], "little"), image.itemsize * image.shape[1]
        count, odd = (rest[4], 0) if command is Command.READ_WEIGHTS else divmod(len(rest) - 4, size)
        if odd or not count or word + count > len(image) or (command is Command.READ_WEIGHTS and count * size > ROOM):
            return Status.BAD_RANGE, b""
        if command is Command.READ_WEIGHTS:
            return Status.OK, image[word : word + count].tobytes()
        image[word : word + count] = np.frombuffer(rest[4:], MASTER).reshape(count, -1)
        self._written = True
        return Status.OK, b""

    def _sample(self, command: Command, label: int, pixels: bytes) -> tuple[Status, bytes]:
        if self._written or (command is Command.TRAIN and self.model.pending >= self.values["batch"]):
            return Status.BAD_ORDER, b""
        if label >= LABELS:
            return Status.BAD_RANGE, b""
        side = int(PIXELS**0.5)
        image, labels = np.frombuffer(pixels, np.uint8).reshape(1, side, side).copy(), np.array([label])
        predictions = (self.model.train if command is Command.TRAIN else self.model.infer)(image, labels)
        return Status.OK, struct.pack("<BI", int(predictions[0]), 0)

    def _commit(self) -> tuple[Status, bytes]:
        count = self.model.commit()
        if self._written:
            self.model.load(self._parameters())
            self.model.settings = self._settings()
        self._written = False
        self.images = self._masters()
        return Status.OK, struct.pack("<HI", count, 0)

    def _write_register(self, address: int, value: int) -> tuple[Status, bytes]:
        register = self.registers.get(address)
        if register is None or register.access is Access.READ or not register.low <= value <= register.high:
            return Status.BAD_RANGE, b""
        if register.access is Access.ACTION:
            self.model.clear()
            self.protocol.clear()
            return Status.OK, b""
        self.values[register.name] = value
        self.model.settings = self._settings()
        return Status.OK, b""

    def _settings(self) -> Settings:
        value, numbers = self.values, [b.index for b in self.spec.bundles]
        weight_rates, bias_rates = (tuple(value[f"{kind}_rate_{n}"] for n in numbers) for kind in ("weight", "bias"))
        return Settings(value["free_steps"], value["nudged_steps"], value["beta"], weight_rates, bias_rates)

    def _read_registers(self, address: int, count: int) -> tuple[Status, bytes]:
        asked = [self.registers.get(a) for a in range(address, address + count)]
        if not asked or len(asked) * 4 > ROOM or None in asked:
            return Status.BAD_RANGE, b""
        known = self.values | self.counters()
        return Status.OK, b"".join((known.get(r.name, 0) % 2**32).to_bytes(4, "little") for r in asked if r is not None)

    def counters(self) -> dict[str, int]:
        """By the names of `golden.contract.protocol.registers`; those of frames, samples and spikes."""
        names = {r.name for r in self.registers.values() if ADDRESS_COUNTERS <= r.address < ADDRESS_SPIKES}
        values = {name: value for name, value in self.protocol.counters().items() if name in names}
        values |= {name: getattr(self.model, name) for name in ("pending", "samples", "errors")}
        return values | {f"spikes_{layer.index}": self.model.spikes[n] for n, layer in enumerate(self.spec.layers[1:])}
